from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

from jaxd2l import data
from jaxd2l.data import DataError
from jaxd2l.data.division import held_out_rows
from jaxd2l.data.table import apply_table, fit_table

BUNCH = load_iris(as_frame=True)
IRIS = BUNCH.frame.drop(columns="target").assign(kind=BUNCH.target_names[BUNCH.target])
WIDTH = "petal width (cm)"


def test_text_is_classified_and_numbers_are_a_regression():
    found, table, target = data.from_table(IRIS, "kind")
    assert target == "kind"
    assert found.classes == ("setosa", "versicolor", "virginica")
    assert np.bincount(found.train.y).tolist() == [40, 40, 40]
    assert np.bincount(found.test.y).tolist() == [10, 10, 10]
    assert found.train.x.shape == (120, len(table.names)) == (120, 4)
    found, _, _ = data.from_table(IRIS, WIDTH)
    assert found.classes == ()
    assert found.train.y.shape == (120, 1)
    assert found.train.y.dtype == np.float32


@pytest.mark.parametrize("different", [2, 20, 21])
def test_few_whole_numbers_are_classes(different):
    frame = pd.DataFrame({"x": np.arange(100.0), "t": 5 * (np.arange(100) % different)})
    found = data.from_table(frame, "t").dataset
    assert len(found.classes) == (different if different <= 20 else 0)
    if found.classes:
        assert found.classes == tuple(str(5 * k) for k in range(different))  # 5 before 10
    assert data.from_table(frame, "t", task="regression").dataset.classes == ()


def test_truth_values_are_classes():
    frame = pd.DataFrame({"x": np.arange(10.0), "t": np.arange(10) > 4})
    assert data.from_table(frame, "t").dataset.classes == ("False", "True")


def test_nothing_of_the_test_rows_reaches_the_transform():
    frame = IRIS.assign(row=np.arange(150.0))
    first = data.from_table(frame, "kind", seed=3)
    rows = apply_table(first.table, frame.drop(columns="kind")).x
    is_test = np.array([(rows[i] == first.dataset.test.x).all(1).any() for i in range(150)])
    assert is_test.sum() == 30
    assert first.table == fit_table(frame[~is_test].drop(columns="kind"))
    spoiled = frame.copy()
    spoiled.loc[is_test, ["row", WIDTH]] = 1e6
    second = data.from_table(spoiled, "kind", seed=3)
    assert second.table == first.table
    np.testing.assert_array_equal(second.dataset.train.x, first.dataset.train.x)


def test_an_ignored_column_might_as_well_not_be_there():
    named = IRIS.assign(id=[f"flower {i}" for i in range(150)], price=np.nan)
    found = data.from_table(named[::2], "kind", test=named[1::2], ignore=["price", "id"], on_note=lambda note: None)
    plain = data.from_table(IRIS[::2], "kind", test=IRIS[1::2], on_note=lambda note: None)
    assert found.table == plain.table
    np.testing.assert_array_equal(found.dataset.test.x, plain.dataset.test.x)
    assert found.dataset.sha256 == plain.dataset.sha256


def test_rows_and_targets_stay_together():
    frame = pd.DataFrame({"x": np.arange(100.0), "t": np.arange(100) * 0.5})
    found, table, _ = data.from_table(frame, "t", test_fraction=0.3)
    (number,) = table.numeric
    for part, n in ((found.train, 70), (found.test, 30)):
        assert part.x.shape == (n, 1)
        np.testing.assert_allclose(number.mean + part.x * number.scale, 2 * part.y, atol=1e-4)


def test_a_csv_and_its_frame_are_the_same(tmp_path):
    IRIS.to_csv(tmp_path / "iris.csv", index=False)
    found = data.from_table(tmp_path / "iris.csv", "kind").dataset
    assert found.name == "iris"
    assert found.sha256 == data.from_table(IRIS, "kind").dataset.sha256


def test_a_test_table_is_judged_by():
    notes = []
    train, test = IRIS[::2].assign(place="garden"), IRIS[1::2].assign(place="meadow")
    train.loc[train.index[::3], "place"] = "wood"
    found = data.from_table(train, "kind", test=test, on_note=notes.append).dataset
    assert (len(found.train.x), len(found.test.x)) == (75, 75)
    assert notes == ["table: the test part has categories that no training row has, in place (75 rows)"]
    with pytest.raises(DataError, match="class rose has examples in the test part but none in the training part"):
        data.from_table(train, "kind", test=test.assign(kind="rose"))


def test_a_row_is_named_by_its_place_in_the_users_table():
    """Whichever part it falls into, and whatever is held out of the training rows."""
    for row in range(12):
        frame = pd.DataFrame({"x": np.arange(12.0), "t": np.arange(12) * 0.5}, index=range(100, 112))
        frame.loc[100 + row, "x"] = np.inf
        for dtype in (float, object):
            with pytest.raises(DataError, match=rf"column x is infinite at row {row + 1} "):
                data.from_table(frame.astype({"x": dtype}), "t", learned_from=lambda y: np.arange(len(y)) % 3 > 0)
    texts = pd.DataFrame({"x": [*map(str, range(11)), "none"], "t": np.arange(12) * 0.5})
    told = [_refused(texts.iloc[np.roll(range(12), by)], seed=by) for by in range(6)]
    assert [f"'none' at row {by or 12}" in line for by, line in enumerate(told)] == [True] * 6


def _refused(frame, **options):
    with pytest.raises(DataError) as refused:
        data.from_table(frame, "t", **options)
    return str(refused.value)


def test_an_error_of_the_test_table_says_so():
    frame = pd.DataFrame({"x": np.arange(8.0), "t": np.arange(8) * 0.5})
    wrong = frame.assign(x=["0", "1", "two", *map(str, range(5))])
    assert _refused(frame, test=wrong).startswith("table, test table: column x holds 'two' at row 3")
    assert _refused(frame, test=frame.where(frame.t != 1)).startswith("table, test table: target t is missing at row 3")
    for other in (frame.assign(t=pd.Timestamp("2026-01-01")), pd.concat([frame, frame[["x"]]], axis=1)):
        assert _refused(frame, test=other).startswith("table, test table: column ")
        assert _refused(other).startswith("column ")
    assert "test table" not in _refused(frame.where(frame.t != 1), test=frame)


def test_new_categories_are_told_of_the_rows_that_have_them():
    frame = pd.DataFrame({"x": list("aabbab"), "t": np.arange(6) * 0.5})
    notes, fitted = [], fit_table(frame[["x"]])
    other = frame.assign(x=list("aabbac"))
    data.from_table(other, "t", fitted=fitted, hold_out=False, on_note=notes.append)
    assert notes == ["table: rows have categories that no training row of the run had, in x (1 row)"]


def test_a_path_below_home_is_found(tmp_path, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    IRIS.to_csv(tmp_path / "iris.csv", index=False)
    assert data.from_table("~/iris.csv", "kind", test="~/iris.csv").dataset.name == "iris"


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        (IRIS, {"target": "nothing"}, "no column 'nothing' to predict; the columns are sepal length"),
        (IRIS.assign(kind=IRIS.kind.where(IRIS.index != 4)), {}, "target kind is missing at row 5"),
        (IRIS, {"ignore": ["id", WIDTH]}, "no column 'id' to ignore; the columns are sepal length"),
        (IRIS, {"ignore": ["kind"]}, "column kind is the target and cannot be ignored"),
        (IRIS, {"ignore": [c for c in IRIS if c != "kind"]}, "no column is left to predict kind from"),
        (IRIS, {"task": "regression"}, "target kind is 'setosa' at row 1, expected a finite number"),
        (IRIS.assign(kind=range(150)), {"task": "classification"}, "150 different values in 150 rows"),
        (
            IRIS.assign(kind=[f"id{i}" for i in range(150)]),
            {},
            "150 different values in 150 rows; those are no classes",
        ),
        (IRIS.assign(kind="a"), {}, "is a in every row"),
        (IRIS.assign(kind=[1e39, *range(149)]), {}, r"is '1e\+39' at row 1, expected a finite number"),
        (IRIS.assign(kind=[float("inf"), *range(149)]), {}, "is 'inf' at row 1"),
        (IRIS[["kind"]], {}, "no usable column"),
        (IRIS[:1].assign(kind=0.5), {}, "one row; at least two are needed"),
        (IRIS.assign(kind=["a", *"b" * 149]), {}, "fewer than two different examples of class a"),
    ],
)
def test_a_table_that_cannot_be_learned_from_is_refused(frame, options, message):
    with pytest.raises(DataError, match=message):
        data.from_table(frame, **{"target": "kind", **options})


def test_a_setting_out_of_range_is_named():
    with pytest.raises(ValueError, match="task must be"):
        data.from_table(IRIS, "kind", task="ranking")
    with pytest.raises(ValueError, match="test_fraction"):
        data.from_table(IRIS, "kind", test_fraction=1.5)


SPELLINGS = {
    "one each": (["0", "1"] * 6, ("0", "1")),
    "whole": (["1", "0", "1.0", "0.0", "1e0", "-0", "+1", "00", " 1", "0 ", "1.", ".0"], ("0", "1")),
    "never plain": (["1.0", "2.0", "1.00", "2.0"] * 3, ("1.0", "2.0")),
    "truth": (["True", "false", "TRUE", "False"] * 3, ("False", "TRUE")),
    "beyond float64": (["9007199254740993", "9007199254740992"] * 6, ("9007199254740992", "9007199254740993")),
    "text": (["1", "one", "1.0", "one"] * 3, ("1", "1.0", "one")),
}


@pytest.mark.parametrize("case", SPELLINGS)
def test_a_number_is_one_class_however_it_is_spelled(case):
    texts, classes = SPELLINGS[case]
    notes = []
    frame = pd.DataFrame({"x": np.arange(12.0), "t": texts})
    found = data.from_table(frame, "t", test=frame, on_note=notes.append).dataset
    assert found.classes == classes
    assert notes == [f"table: target t: {', '.join(group)} are one class" for group in _told(texts, classes)]
    if classes == ("0", "1"):
        assert found.train.y.tolist() == [int(float(text)) for text in texts]


def _told(texts, classes):
    """The spellings of each class that has several."""
    if "one" in classes:
        return []
    value = str.lower if "TRUE" in classes else (Decimal)
    groups = {}
    for text in sorted({text.strip() for text in texts}):
        groups.setdefault(value(text), set()).add(text)
    return [sorted(group) for group in groups.values() if len(group) > 1]


def test_rows_for_a_network_that_knows_its_classes_get_its_labels():
    known = ("3", "0", "1")
    frame = pd.DataFrame({"x": [1.0, 2.0], "t": ["1.0", "1"]})
    fitted = fit_table(frame[["x"]])
    whole = {"classes": known, "hold_out": False, "fitted": fitted}
    found = data.from_table(frame, "t", **whole).dataset
    assert found.classes == known
    assert found.test.y.tolist() == [2, 2]
    with pytest.raises(DataError, match=r"class 2, x is none of the 3 known ones: 3, 0, 1"):
        data.from_table(frame.assign(t=["x", "2"]), "t", **whole)


@pytest.mark.parametrize(
    ("table", "target", "error", "message"),
    [
        (pd.DataFrame([[1, 0, 0]] * 4, columns=["x", "t", "t"]), "t", DataError, "column t appears twice"),
        (pd.DataFrame({"x": [], "t": []}), "t", DataError, "no row"),
        (pd.DataFrame({"x": [1, 2], " t": [0, 1]}), "t", DataError, "the columns are x, ' t'"),
        ({"x": [1], "t": [2]}, "t", TypeError, "expected a pandas DataFrame, got dict"),
        (np.zeros((3, 2)), "t", TypeError, "expected a pandas DataFrame, got ndarray"),
    ],
)
def test_what_is_no_table_with_that_target_is_named(table, target, error, message):
    with pytest.raises(error, match=message):
        data.from_table(table, target)


def test_a_column_is_named_by_the_text_of_its_label():
    found = data.from_table(pd.DataFrame(np.arange(20).reshape(10, 2) % 3), "1").dataset
    assert found.classes == ("0", "1", "2")
    assert found.train.x.shape[1] == 1


@pytest.mark.parametrize("target", ["kind", WIDTH])
def test_nothing_of_the_validation_rows_reaches_the_transform(target):
    def learned_from(y):
        return ~held_out_rows(y, 0.3, 5)

    frame = IRIS.assign(row=np.arange(150.0), place=[f"p{i % 40}" for i in range(150)])
    notes = []
    first = data.from_table(frame, target, learned_from=learned_from, on_note=notes.append)
    kept = data.hold_out(first.dataset, 0.3, 5)
    rows = apply_table(first.table, frame.drop(columns=target)).x
    learned = np.array([(rows[i] == kept.train.x).all(1).any() for i in range(150)])
    assert learned.sum() == len(kept.train.x)
    assert first.table == fit_table(frame[learned].drop(columns=target))
    spoiled = frame.copy()
    spoiled.loc[~learned, ["row", "sepal length (cm)"]] = 1e6
    assert data.from_table(spoiled, target, learned_from=learned_from, on_note=notes.append).table == first.table
