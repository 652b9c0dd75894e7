import numpy as np
import pytest

from jaxd2l.data import DataError
from jaxd2l.data.houses import load_ames, read_houses, write_submission
from jaxd2l.data.table import apply_table, fit_table


def written(tmp_path, text):
    path = tmp_path / "houses.csv"
    path.write_text(text)
    return path


def test_ames_has_de_cocks_sales_split_by_odd_and_even_id():
    train, test = load_ames()
    assert train.features.shape == test.features.shape == (1465, 79)
    np.testing.assert_array_equal(np.sort(np.concatenate([train.ids, test.ids])), np.arange(1, 2931))
    assert set(train.ids % 2) == {1}
    assert train.price[0] == 215_000  # his first sale
    assert test.price[0] == 105_000
    total = train.price.sum() + test.price.sum()
    assert round(total / 2930) == 180_796  # the mean that he publishes
    table = fit_table(train.features)
    assert len(table.numeric) == 36
    assert table.notes == ("column Utilities is left out: every training value is AllPub",)
    assert np.isfinite(apply_table(table, test.features).x).all()


def test_a_file_to_predict_needs_no_price(tmp_path):
    houses = read_houses(written(tmp_path, "Id,a\n7,1\n5,2\n"), needs_price=False)
    assert houses.price is None
    assert houses.ids.tolist() == [7, 5]
    assert list(houses.features.columns) == ["a"]
    blank = read_houses(written(tmp_path, "Id,a,SalePrice\n7,1,NA\n5,2,\n"), needs_price=False)
    assert blank.price is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,SalePrice\n1,2\n", "no column 'Id'"),
        ("Id,a\n1,2\n", "no target column 'SalePrice'"),
        ("Id,SalePrice\n1,2\n", "no feature"),
        ("Id,a,SalePrice\n1,2,3\n4,5,0\n", "SalePrice is 0 at row 2"),
        ("Id,a,SalePrice\n1,2,-3\n", "SalePrice is -3 at row 1"),
        ("Id,a,SalePrice\n1,2,NA\n2,2,NA\n", "2 such rows"),
        ("Id,a,SalePrice\n1,2,cheap\n", "SalePrice is cheap"),
        ("Id,a,SalePrice\n1,2,inf\n", "SalePrice is inf"),
        ("Id,a,SalePrice\n1,2,3\n2,2,3\n1,2,3\n", "Id 1 is a duplicate at row 3"),
        ("Id,a,SalePrice\nNA,2,3\n", "row 1 has no Id"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(DataError, match=message) as caught:
        read_houses(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_submission_has_one_line_an_id(tmp_path):
    path = tmp_path / "submission.csv"
    write_submission(path, np.array([3, 2]), np.array([100_000.5, 70_000.0]))
    assert path.read_text() == "Id,SalePrice\n3,100000.50\n2,70000.00\n"
    with pytest.raises(ValueError, match="finite price"):
        write_submission(path, np.array([1]), np.array([np.nan]))
