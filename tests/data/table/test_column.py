"""What a column is: decided on the training rows, out of text or of whatever pandas holds."""

import datetime
import decimal

import numpy as np
import pandas as pd
import pytest

from jaxd2l.data import DataError
from jaxd2l.data.table import apply_table, fit_table
from jaxd2l.data.table.column import dressed_number_in, is_missing, number_in


@pytest.mark.parametrize(
    "text", ["1", "+1", "1.0", "1.", "01", "001.00", "1e0", "10E-1", " 1 ", "\t1", "1\xa0", ".1e1"]
)
def test_a_decimal_number_is_a_number_however_it_is_spelled(text):
    assert number_in(text) == 1


NO_NUMBERS = ["1_000", "1,000", "1 000", "$5", "5%", "0x10", "0b1", "1d5", "1e", "e5", ".", "+", "--5", "1.2.3", "5-"]
NO_NUMBERS += ["\uff11\uff12", "\u0661", "\u22125", "\xbd", "1/2", "nan", "NA", "", "None", "True", "one", "(5)", "1j"]


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_only_programs_or_people_read_as_a_number_is_none(text):
    assert number_in(text) is None


@pytest.mark.parametrize(
    ("text", "number"), [("$1,200", 1200), ("5 %", 5), ("(3)", 3), ("1_0", 10), ("\uff11", 1), ("\u22125", -5)]
)
def test_a_number_written_for_people_is_known_as_one(text, number):
    assert dressed_number_in(text) == number


MARKERS = ("NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "-nan", "NULL", "null", "?", "-", "--", "", " ", " NA ")
MARKERS += ("\tN/A\t", "\xa0", "n.a.", "NaT", "(null)", "\\N", ".", "\u2014", "Null", "na", " ? ")


@pytest.mark.parametrize("marker", MARKERS)
def test_a_marker_of_a_missing_value_is_missing_in_columns_of_either_kind(marker):
    assert is_missing(marker)
    frame = pd.DataFrame({"a": ["10", "12", marker, "15"], "b": ["u", marker, "v", "u"]})
    table = fit_table(frame)
    assert table.names == ("a", "b_u", "b_v", "b_missing")
    assert not table.notes
    x, unseen = apply_table(table, frame)
    assert x[2, 0] == 0
    assert x[1, 1:].tolist() == [0, 0, 1]
    assert not unseen


@pytest.mark.parametrize("text", ["None", "none", "0", "x", "unknown", "N", "nanx", "NAN 1"])
def test_other_words_are_not_missing(text):
    assert not is_missing(text)


@pytest.mark.parametrize("word", ["unknown", "None", "missing", "#DIV/0!", "12O", "$5", "1_000", "0x10", "\uff11", "*"])
def test_one_word_among_numbers_is_refused_with_its_row(word):
    frame = pd.DataFrame({"a": ["10", "12", word, "15", "17"], "b": ["1", "2", "3", "4", "5"]})
    with pytest.raises(DataError) as caught:
        fit_table(frame)
    assert f"column a holds {word!r} at row 3" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_numbers_with_thousands_separators_are_no_thousand_categories():
    with pytest.raises(DataError, match="'1,200'"):
        fit_table(pd.DataFrame({"a": ["1,200", "950", "2,300", "1,100"]}))
    with pytest.raises(DataError, match=r"'\$5' .*numbers in most rows \(3 of 3\)"):
        fit_table(pd.DataFrame({"a": ["$5", "$6", "$7"]}))


CODES = (
    ["20", "30", "RL", "20"],
    ["01", "1", "1.0", "1e0", "+1", "RL"],
    ["007", "008", "009", "0010", "x"],
    ["1", "a"],
)


@pytest.mark.parametrize("codes", CODES, ids=["recurring", "spellings", "leading-zeros", "half"])
def test_codes_are_categories_by_their_text_and_that_is_said(codes):
    table = fit_table(pd.DataFrame({"a": codes}))
    assert table.categorical[0].categories == tuple(sorted(set(codes)))
    assert not table.numeric
    assert table.notes[0].startswith("column a is taken as categories: ")
    x, _ = apply_table(table, pd.DataFrame({"a": ["NA", *codes]}))
    assert not x[0].any()
    assert (x[1:].argmax(axis=1) == [sorted(set(codes)).index(code) for code in codes]).all()


def test_a_column_of_many_texts_is_said():
    frame = pd.DataFrame({"a": [f"house {i}" for i in range(30)], "b": range(30)})
    assert fit_table(frame).notes == ("column a is taken as categories: 30 different ones in 30 rows",)


def test_true_and_false_are_one_and_zero_in_any_dtype_and_out_of_a_file():
    plain = pd.DataFrame({"a": [True, False, True]})
    gone = pd.DataFrame({"a": [True, None, False, True]})
    x = apply_table(fit_table(plain), plain).x[:, 0]
    for ways in (gone, gone.astype("boolean"), pd.DataFrame({"a": ["True", "", "False", "True"]})):
        table = fit_table(ways)
        assert table == fit_table(gone)
        assert table.numeric[0].mean == 2 / 3
        for rows in (
            gone,
            gone.astype("boolean"),
            gone.astype("float64"),
            pd.DataFrame({"a": ["TRUE", "NA", "0", "1"]}),
        ):
            np.testing.assert_array_equal(apply_table(table, rows).x[:, 0], [x[0], 0, x[1], x[2]])
    with pytest.raises(DataError, match="'maybe'"):
        apply_table(fit_table(plain), pd.DataFrame({"a": ["True", "maybe"]}))
    with pytest.raises(DataError, match="'True'"):
        apply_table(fit_table(pd.DataFrame({"a": [1.0, 2.0]})), pd.DataFrame({"a": ["True", "1"]}))


NUMBERS = pd.Series([1, 2, None, 4], dtype=object)
NUMERIC_DTYPES = (
    "object",
    "float64",
    "float32",
    "float16",
    "Int64",
    "UInt8",
    "Float32",
    "Sparse[float]",
    "int64[pyarrow]",
)


@pytest.mark.parametrize("train", NUMERIC_DTYPES)
@pytest.mark.parametrize("test", [*NUMERIC_DTYPES, "string", "text", "category", "decimal"])
def test_numbers_are_numbers_in_every_dtype(train, test):
    def frame(dtype):
        if dtype == "text":
            return pd.DataFrame({"a": ["1", "+2.0", "?", "4e0"]})
        if dtype == "decimal":
            return pd.DataFrame({"a": [decimal.Decimal(1), decimal.Decimal("2.0"), None, decimal.Decimal("4")]})
        if dtype == "string":
            return pd.DataFrame({"a": pd.Series(["1", "2", None, "4"], dtype="string")})
        numbers = NUMBERS.astype("float64") if dtype.startswith(("Sparse", "float")) else NUMBERS
        return pd.DataFrame({"a": numbers.astype(dtype)})

    expected = (np.array([1, 2, 7 / 3, 4]) - 7 / 3) / np.std([1, 2, 4])
    np.testing.assert_allclose(
        apply_table(fit_table(frame(train)), frame(test)).x[:, 0], expected, rtol=1e-6, atol=1e-7
    )


def test_categories_are_found_though_pandas_made_numbers_of_them():
    table = fit_table(pd.DataFrame({"a": ["20", "30", "RL", "20", "040"]}))
    assert table.names == ("a_040", "a_20", "a_30", "a_RL")
    for column in ([20.0, np.nan, 30.0, 40.0], [20, None, 30, 40], pd.array([20, None, 30, 40], "Int64")):
        x, unseen = apply_table(table, pd.DataFrame({"a": column}))
        assert x.argmax(axis=1).tolist() == [1, 0, 2, 0]
        assert unseen == {"a": 1}
    twice = fit_table(pd.DataFrame({"a": ["1", "01", "x", "1"]}))
    assert apply_table(twice, pd.DataFrame({"a": ["1.0", "1"]})).unseen == {"a": 1}
    assert fit_table(pd.DataFrame({"a": [20, 20.0, "20", "RL", None]})).names == ("a_20", "a_RL", "a_missing")


def test_a_column_declared_as_categories_is_categories():
    frame = pd.DataFrame({"a": pd.Categorical([20, 30, None, 20])})
    table = fit_table(frame)
    assert table.names == ("a_20", "a_30", "a_missing")
    assert apply_table(table, pd.DataFrame({"a": ["30", "NA"]})).x.tolist() == [[0, 1, 0], [0, 0, 1]]
    binned = pd.DataFrame({"a": pd.cut([1, 5, 9], 2)})
    assert apply_table(fit_table(binned), binned).x.sum() == 3


OTHERS = {
    "dates": pd.to_datetime(["2020-01-01", "2020-01-02"]),
    "time-zone": pd.to_datetime(["2020-01-01", "2020-01-02"]).tz_localize("UTC"),
    "durations": pd.to_timedelta([1, 2], "s"),
    "periods": pd.period_range("2020", periods=2, freq="M"),
    "intervals": pd.interval_range(0, 2),
    "complex": np.array([1j, 2]),
    "date-objects": [datetime.date(2020, 1, 1), None],
    "lists": [[1], [2, 3]],
    "bytes": [b"a", b"b"],
    "arrays": [np.zeros(2), np.zeros(3)],
}


@pytest.mark.parametrize("values", OTHERS.values(), ids=OTHERS)
def test_what_is_neither_number_nor_text_nor_boolean_is_refused(values):
    frame = pd.DataFrame({"a": pd.Series(values), "b": [1, 2]})
    with pytest.raises(DataError, match=r"column a holds .* expected numbers, text or booleans") as caught:
        fit_table(frame)
    assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(DataError, match="column a holds "):
        apply_table(fit_table(pd.DataFrame({"a": [1, 2], "b": [1, 2]})), frame)


@pytest.mark.parametrize("value", [10**400, "1e400", "inf", "-Infinity", float("inf"), decimal.Decimal("1e999")])
def test_an_infinite_number_is_refused(value):
    with pytest.raises(DataError, match="column a is infinite at row 2"):
        fit_table(pd.DataFrame({"a": pd.Series(["1", value, "3"], dtype=object)}))
