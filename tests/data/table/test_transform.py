import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jaxd2l.data import DataError
from jaxd2l.data.table import apply_table, fit_table, read_table, typed

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


def test_a_category_is_the_text_in_the_file_whatever_else_the_column_holds(tmp_path):
    rows = ("20,85", "NA,100", "30,125", "RL,100", "020,1")
    train = read_table(written(tmp_path, "Class,Area\n20,80\n20,90\n30,120\n30,130\nRL,100\nRL,105\n"))
    table = fit_table(train)
    assert table.names == ("Area", "Class_20", "Class_30", "Class_RL")
    x, unseen = apply_table(table, read_table(written(tmp_path, "\n".join(("Class,Area", *rows)))))
    np.testing.assert_array_equal(x[:, 1:], [[1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]])
    assert unseen == {"Class": 2}
    alone = [apply_table(table, read_table(written(tmp_path, f"Class,Area\n{row}\n"))).x[0] for row in rows]
    np.testing.assert_array_equal(x, alone)


def test_column_names_are_taken_by_their_text():
    frame = pd.DataFrame({0: [1, 2, 4], ("a", 1): ["u", "v", "u"], None: [3, 1, 1]})
    table = fit_table(frame)
    assert table.names == ("0", "None", "('a', 1)_u", "('a', 1)_v")
    renamed = frame.rename(columns=str)
    np.testing.assert_array_equal(apply_table(table, frame).x, apply_table(table, renamed).x)


@pytest.mark.parametrize("names", [["a", "a"], [1, "1"]])
def test_two_columns_of_one_name_are_refused(names):
    frame = pd.DataFrame([[1, 2], [2, 3]], columns=names)
    with pytest.raises(DataError, match=r"column (a|1) appears twice"):
        fit_table(frame)
    with pytest.raises(DataError, match=r"column (a|1) appears twice"):
        apply_table(fit_table(frame.iloc[:, :1]), frame)


@pytest.mark.parametrize(
    "rows", [np.zeros((2, 3)), pd.Series([1, 2]), {"a": [1, 2]}, [[1]]], ids=["array", "series", "dict", "list"]
)
def test_what_is_no_frame_is_refused(rows):
    with pytest.raises(TypeError, match="expected a pandas DataFrame, got"):
        fit_table(rows)


@pytest.mark.parametrize(
    "values", [[0, 1e-200, 0], [1e308, 1.7e308, -1e308], [-1.7e308, 1.7e308], [0, 1e-300, 2e-300], [1e16, 1e16 + 64]]
)
def test_a_spread_of_any_size_is_standardised(values):
    frame = pd.DataFrame({"a": values})
    x = apply_table(fit_table(frame), frame).x[:, 0]
    assert x.mean() == pytest.approx(0, abs=1e-6)
    assert x.std() == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("values", [[0, 5e-324, 0], [0.1 + 0.2, 0.3, 0.3], [1e-310, 2e-310], [1e16, 1e16 + 2]])
def test_a_spread_that_is_rounding_is_left_out_and_said(values):
    table = fit_table(pd.DataFrame({"a": values, "b": range(len(values))}))
    assert table.names == ("b",)
    assert table.notes[0].endswith("up to rounding")


def test_a_number_too_far_out_for_float32_is_refused_with_its_row_or_capped():
    train, far = pd.DataFrame({"a": [1.0, 2.0, 3.0]}), pd.DataFrame({"a": [2.0, 1e300]})
    with pytest.raises(DataError, match="column a is 1e\\+300 at row 2, which is too large for float32"):
        apply_table(fit_table(train), far)
    with pytest.raises(DataError, match="too large for float32"):
        apply_table(fit_table(train, standardise=False), far)
    np.testing.assert_array_equal(apply_table(fit_table(train, limit=3), far).x, [[0], [3]])


def test_a_typed_frame_is_fitted_as_the_text_and_each_part_keeps_its_kinds():
    text = {
        "a": ["1", "2", "x", "2", "1"],
        "b": ["1", "2.5", "NA", "7", "9"],
        "c": ["NA"] * 5,
        "d": ["True", "", *["False"] * 3],
    }
    frame = pd.DataFrame({**text, "e": ["u", "v", "v", "NA", "u"]})
    whole, kept = fit_table(frame), fit_table(typed(frame))
    assert kept._replace(notes=()) == whole._replace(notes=())
    np.testing.assert_array_equal(apply_table(kept, frame).x, apply_table(whole, typed(frame)).x)
    part = fit_table(typed(frame).iloc[[0, 1, 3, 4]])  # without the x, whose rows would else be numbers
    assert part.categorical[0].categories == ("1", "2")
    assert apply_table(part, frame).unseen == {"a": 1}


# The oracle is scikit-learn's pipeline; columns that it keeps though they say nothing are dropped from its result.
CELLS = {
    "number": st.one_of(st.none(), st.floats(-1e6, 1e6).map(lambda x: round(x, 2)), st.sampled_from((0.0, 1.0, -2.5))),
    "category": st.one_of(st.none(), st.sampled_from(("20", "30", "020", "RL", "None", "a,1", "\xe9"))),
}


@st.composite
def parts(draw):
    """Training and test rows of the same columns."""
    kinds = draw(st.lists(st.sampled_from(("number", "category")), min_size=1, max_size=4))
    n, m = draw(st.integers(1, 9)), draw(st.integers(0, 5))
    columns = {f"c{i}": draw(st.lists(CELLS[kind], min_size=n + m, max_size=n + m)) for i, kind in enumerate(kinds)}
    frame = pd.DataFrame(columns, dtype=object)
    for name, kind in zip(columns, kinds, strict=True):
        frame[name] = frame[name].astype("float64" if kind == "number" else pd.CategoricalDtype())
    return frame[:n], frame[n:], dict(zip(columns, kinds, strict=True))


def by_scikit_learn(table, train, test):
    """The columns of `table`, made by SimpleImputer, StandardScaler and OneHotEncoder."""
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    made = [np.empty((len(test), 0))]
    for number in table.numeric:
        pipeline = make_pipeline(SimpleImputer(), StandardScaler())
        # Ours is the deviation of the values that are there; scikit-learn's counts imputed ones, each at the mean.
        there = train[[number.name]].notna().to_numpy().mean()
        made.append(pipeline.fit(train[[number.name]]).transform(test[[number.name]]) * np.sqrt(there))
    for category in table.categorical:
        encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        text = [
            part[[category.name]].astype(object).where(part[[category.name]].notna(), None) for part in (train, test)
        ]
        made.append(encoder.fit(text[0]).transform(text[1]))
    return np.concatenate(made, axis=1)


@pytest.mark.slow
@settings(deadline=None)
@given(parts())
def test_random_tables_come_out_as_in_scikit_learn(tables):
    train, test, _ = tables
    try:
        table = fit_table(train)
    except DataError:
        says_nothing = [train[name].nunique(dropna=False) == 1 for name in train]
        constant = [train[name].nunique() <= 1 and pd.api.types.is_float_dtype(train[name]) for name in train]
        assert all(one or other for one, other in zip(says_nothing, constant, strict=True))
        return
    if not len(test):
        assert apply_table(table, test).x.shape == (0, len(table.names))
        return
    x, unseen = apply_table(table, test)
    np.testing.assert_allclose(x, by_scikit_learn(table, train, test), rtol=1e-5, atol=1e-5)
    width = len(table.numeric)
    for category in table.categorical:
        block = x[:, width : width + len(category.categories) + category.missing]
        width += block.shape[1]
        assert unseen.get(category.name, 0) == (block.sum(axis=1) == 0).sum()


@pytest.mark.slow
@settings(deadline=None)
@given(parts(), st.randoms(use_true_random=False))
def test_a_rows_features_depend_on_no_other_row(tables, random):
    train, test, _ = tables
    try:
        table = fit_table(train)
    except DataError:
        return
    x = apply_table(table, test).x
    some = random.sample(range(len(test)), random.randint(0, len(test)))
    np.testing.assert_array_equal(apply_table(table, test.iloc[some]).x, x[some])


SPELLINGS = (repr, "{:e}".format, "{:+.3f}".format, " {:.2f}00 ".format, "0{}".format, "{:.17g}".format)


@pytest.mark.slow
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts(), st.randoms(use_true_random=False))
def test_writing_and_reading_with_any_spelling_of_numbers_changes_nothing(tmp_path, tables, random):
    train, test, kinds = tables
    path = tmp_path / "table.csv"

    def spelled(value):
        way = random.choice(SPELLINGS)(abs(value))
        text = way if value >= 0 else way.strip().lstrip("+").join(("-", ""))
        return text if float(text) == value else repr(value)

    try:
        table = fit_table(train)
    except DataError:
        return
    x = apply_table(table, test).x
    for part, expected in ((train, apply_table(table, train).x), (test, x)):
        if not len(part):
            continue
        part.to_csv(path, index=False)
        np.testing.assert_array_equal(apply_table(table, read_table(path)).x, expected)
        text = {
            name: [
                random.choice(("NA", "N/A", "", "?", "nan"))
                if pd.isna(v)
                else spelled(v)
                if kinds[name] == "number"
                else v
                for v in part[name]
            ]
            for name in part
        }
        pd.DataFrame(text, dtype=object).to_csv(path, index=False)
        np.testing.assert_array_equal(apply_table(table, read_table(path)).x, expected)
        if part is train and table.numeric:
            numbers = [number.name for number in table.numeric]
            assert fit_table(read_table(path)[numbers]).numeric == table.numeric
