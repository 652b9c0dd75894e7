
import numpy as np
import pandas as pd
import pytest

from jaxd2l.data import DataError
from jaxd2l.data.table import apply_table, fit_table, read_table

HOUSE_TINY = "NumRooms,Alley,Price\nNA,Pave,127500\n2,NA,106000\n4,NA,178100\nNA,NA,140000\n"


def written(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_house_tiny_comes_out_as_in_the_book(tmp_path):
    frame = read_table(written(tmp_path, HOUSE_TINY))
    table = fit_table(frame.iloc[:, 0:2], standardise=False)
    x, unseen = apply_table(table, frame.iloc[:, 0:2])
    assert table.names == ("NumRooms", "Alley_Pave", "Alley_missing")
    np.testing.assert_array_equal(x, [[3, 1, 0], [2, 0, 1], [4, 0, 1], [3, 0, 1]])
    assert x.dtype == np.float32
    assert unseen == {}
    np.testing.assert_array_equal(frame["Price"].astype(float), [127500, 106000, 178100, 140000])


def test_training_rows_are_centred_and_scaled_and_missing_ones_stand_at_the_mean():
    values = np.array([1.0, 2.0, np.nan, 4.0, 9.0])
    frame = pd.DataFrame({"a": values})
    x = apply_table(fit_table(frame), frame).x[:, 0]
    present = values[~np.isnan(values)]
    np.testing.assert_allclose(x[[0, 1, 3, 4]], (present - present.mean()) / present.std(), rtol=1e-6)
    assert x[2] == 0


def test_no_other_row_than_the_training_rows_reaches_the_transform():
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0, 1e9], "b": ["u", "v", "u", "w"]})
    table = fit_table(frame.iloc[:3])
    assert table.numeric[0].mean == 2
    assert table.names == ("a", "b_u", "b_v")
    assert table == fit_table(frame.iloc[:3].copy())


def test_what_training_has_not_seen_becomes_zeros_and_is_counted():
    table = fit_table(pd.DataFrame({"a": ["u", "v"], "b": ["p", None]}))
    x, unseen = apply_table(table, pd.DataFrame({"a": ["w", None, "u"], "b": ["q", None, "p"]}))
    np.testing.assert_array_equal(x, [[0, 0, 0, 0], [0, 0, 0, 1], [1, 0, 1, 0]])
    assert unseen == {"a": 2, "b": 1}


def test_columns_without_information_are_left_out_and_said():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [5, 5], "c": [None, None], "d": ["u", "u"], "e": ["u", None]})
    table = fit_table(frame)
    assert table.names == ("a", "e_u", "e_missing")
    assert [note.split(" is left out: ") for note in table.notes] == [
        ["column b", "every training value is 5"],
        ["column c", "every training value is missing"],
        ["column d", "every training value is u"],
    ]


def test_a_limit_caps_standardised_values_only():
    frame = pd.DataFrame({"a": [0.0, 0.0, 0.0, 0.0, 10.0]})
    assert apply_table(fit_table(frame, limit=1.5), frame).x.max() == 1.5
    assert apply_table(fit_table(frame), frame).x.max() == 2
    with pytest.raises(ValueError, match="standardise=True"):
        fit_table(frame, standardise=False, limit=3)
    with pytest.raises(ValueError, match="above 0"):
        fit_table(frame, limit=0)


def test_columns_are_found_by_name_not_by_place():
    frame = pd.DataFrame({"a": [1.0, 2.0, 4.0], "b": ["u", "v", "u"]})
    table = fit_table(frame)
    np.testing.assert_array_equal(apply_table(table, frame).x, apply_table(table, frame[["b", "a"]]).x)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"a": [1.0]}), "without b"),
        (pd.DataFrame({"a": [1.0], "b": ["u"], "c": [0]}), "unexpected c"),
        (pd.DataFrame({"a": ["many"], "b": ["u"]}), "column a holds 'many' at row 1"),
        (pd.DataFrame({"a": [np.inf], "b": ["u"]}), "column a is infinite at row 1"),
    ],
)
def test_rows_that_do_not_fit_the_training_table_are_refused(frame, message):
    table = fit_table(pd.DataFrame({"a": [1.0, 2.0], "b": ["u", "v"]}))
    with pytest.raises(DataError, match=message):
        apply_table(table, frame)


@pytest.mark.parametrize("frame", [pd.DataFrame({"a": []}), pd.DataFrame({"a": [1, 1]}), pd.DataFrame()])
def test_a_table_to_learn_nothing_from_is_refused(frame):
    with pytest.raises(DataError, match=r"no row|no usable column"):
        fit_table(frame)


def test_a_file_that_is_not_there_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "absent.csv")
