import csv

import numpy as np
import pytest

from jaxd2l.data import DataError
from jaxd2l.data.houses import load_ames, read_houses, write_submission
from jaxd2l.data.table import apply_table, fit_table


def written(tmp_path, text):
    path = tmp_path / "houses.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.slow
def test_ames_has_de_cocks_sales_split_by_odd_and_even_id():
    train, test = load_ames()
    assert train.features.shape == test.features.shape == (1465, 79)
    assert sorted([*train.ids, *test.ids]) == sorted(str(number) for number in range(1, 2931))
    assert {int(number) % 2 for number in train.ids} == {1}
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
    assert houses.ids.tolist() == ["7", "5"]
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
        ("Id,a,SalePrice\n1,2,1e400\n", "SalePrice is 1e400"),
        ("Id,a,SalePrice\n1,2,3\n2,2,?\n", "SalePrice is missing at row 2"),
        ('Id,a,SalePrice\n1,2,"110,000"\n', "SalePrice is 110,000 at row 1 .1 such row.; expected .* such as 110000"),
        ("Id,a,SalePrice\n1,2,$5\n", r"SalePrice is \$5"),
        ("Id,a,SalePrice\n1,2,1_000\n", "SalePrice is 1_000"),
        ("Id,a,SalePrice\n1,2,0x10\n", "SalePrice is 0x10"),
        ("Id,a,SalePrice\n1,2,\uff11\n", "SalePrice is \uff11"),
        ("Id,a,SalePrice, Id\n1,2,3,4\n", "'Id' appears twice, but for blanks"),
        ("Id;a;SalePrice\n1;2;3\n", "separated by semicolons"),
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
    assert path.read_text(encoding="utf-8") == "Id,SalePrice\n3,100000.50\n2,70000.00\n"
    with pytest.raises(ValueError, match="finite price"):
        write_submission(path, np.array([1]), np.array([np.nan]))


def test_identifiers_are_the_text_in_the_file_and_come_back_from_the_submission(tmp_path):
    ids = [
        "0901",
        "901",
        "9.01e2",
        "a,1",
        'b "2"',
        "c\nd",
        "e\rf",
        "g\r\nh",
        " 1",
        "1",
        "01",
        "None",
        "\xe9",
        "'",
        "#1",
        "1;2",
        "+1",
    ]
    path = tmp_path / "houses.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["Id", "a"], *([number, row] for row, number in enumerate(ids))])
    houses = read_houses(path, needs_price=False)
    assert houses.ids.tolist() == ids
    submission = tmp_path / "submission.csv"
    write_submission(submission, houses.ids, np.arange(1.0, 1 + len(ids)))
    with submission.open(encoding="utf-8", newline="") as file:
        assert [record[0] for record in csv.reader(file, strict=True)] == ["Id", *ids]


def test_blanks_around_names_in_the_header_are_no_part_of_them(tmp_path):
    plain = read_houses(written(tmp_path, "Id,a,SalePrice\n1,2,3\n"))
    typed = read_houses(written(tmp_path, "Id, a ,\tSalePrice\n1,2,3\n"))
    assert typed.features.equals(plain.features)
    assert typed.price == plain.price


@pytest.mark.parametrize(
    ("price", "text"),
    [
        (110_000.126, "110000.13"),
        (1000.0, "1000.00"),
        (215.25, "215.250"),
        (0.21525, "0.215250"),
        (3.5e-9, "0.00000000350000"),
    ],
)
def test_a_submitted_price_keeps_two_decimals_and_six_digits(tmp_path, price, text):
    write_submission(tmp_path / "s.csv", np.array(["1"]), np.array([price]))
    assert (tmp_path / "s.csv").read_text(encoding="utf-8") == f"Id,SalePrice\n1,{text}\n"


@pytest.mark.parametrize("spelling", ["110000", "110000.0", "1.1e5", "+110000", " 110000 ", "0110000", "11E4"])
def test_a_price_is_the_number_however_it_is_spelled(tmp_path, spelling):
    assert read_houses(written(tmp_path, f"Id,a,SalePrice\n1,2,{spelling}\n")).price.tolist() == [110_000.0]
