import house_loops
import numpy as np
import pandas as pd
import pytest

from jaxd2l.data import DataError
from jaxd2l.data.houses import Houses, load_ames
from jaxd2l.experiments.house_peers import peers
from jaxd2l.experiments.houses import LINEAR, cross_validate, log_rmse, prepare
from jaxd2l.selection.folds import assign_folds
from jaxd2l.selection.grid import grid

pytestmark = pytest.mark.usefixtures("unoptimised")

COLUMNS = ["GrLivArea", "OverallQual", "Neighborhood", "LotFrontage"]


@pytest.fixture(scope="module")
def few():
    """83 training and 31 test rows of four columns."""
    train, test = load_ames()
    return tuple(Houses(h.ids[:n], h.features[COLUMNS][:n], h.price[:n]) for h, n in ((train, 83), (test, 31)))


def test_log_rmse_of_ten_percent_is_a_tenth():
    price = np.array([100_000.0, 350_000.0])
    assert log_rmse(price * np.exp([0.1, -0.1]), price) == pytest.approx(0.1)


def test_a_folds_table_and_scale_come_from_its_training_rows_alone(few):
    train, _ = few
    fold = assign_folds(83, 3, 0)
    before = prepare(train, fold)
    changed = Houses(train.ids, train.features.copy(), train.price.copy())
    held_out = np.flatnonzero(fold == 1)
    changed.features.loc[held_out, "GrLivArea"] = 99_999
    changed.features.loc[held_out, "Neighborhood"] = "Elsewhere"
    changed.price[held_out] *= 7
    after = prepare(changed, fold)
    assert after.tables[1] == before.tables[1]
    assert after.centre[1] == before.centre[1]
    assert after.spread[1] == before.spread[1]
    assert after.tables[0] != before.tables[0]
    kept = np.s_[1, fold != 1, : len(before.tables[1].names)]  # beyond it is padding, to the widest fold's table
    np.testing.assert_array_equal(after.folds.x[kept], before.folds.x[kept])


def test_targets_are_centred_over_each_folds_training_rows_and_come_back_as_dollars(few):
    train, _ = few
    fold = assign_folds(83, 3, 0)
    prepared = prepare(train, fold)
    for j in range(3):
        y = prepared.folds.y[j][:, 0]
        assert y[fold != j].mean() == pytest.approx(0, abs=1e-5)
        assert y[fold != j].std() == pytest.approx(1, rel=1e-5)
        np.testing.assert_allclose(prepared.dollars(y, j), train.price, rtol=1e-5)


@pytest.mark.slow
def test_the_chosen_model_beats_the_mean_and_predicts_each_test_row(few):
    train, test = few
    fold = assign_folds(83, 3, 0)
    family = LINEAR._replace(points=grid((0.02,), (0.01, 0.1)), epochs=20, batch_size=200)  # all 55 rows at once
    outcome = cross_validate(family, train, test, fold)
    assert outcome.scores.shape == (2, 1, 3)
    assert outcome.test_price.shape == (31,)
    guess = np.full(31, np.exp(np.log(train.price).mean()))
    assert outcome.test_log_rmse < log_rmse(guess, test.price)
    assert outcome.log_rmse == outcome.scores.mean(axis=(1, 2)).min()


def test_columns_that_differ_are_refused_before_anything_trains(few):
    train, test = few
    with pytest.raises(DataError, match="without LotFrontage"):
        cross_validate(LINEAR, train, test._replace(features=test.features[COLUMNS[:3]]), assign_folds(83, 3, 0))


def few_codes():
    """Houses of a column of codes and one of areas, both as they stand in a file; the price follows both."""
    code = ["20", "30"] * 7 + ["RL"]
    area = [str(80 + 7 * i % 31) for i in range(15)]
    price = np.array([1000.0 * int(a) * {"20": 1, "30": 2, "RL": 4}[c] for a, c in zip(area, code, strict=True)])
    features = pd.DataFrame({"Class": code, "Area": area}, dtype=object)
    return Houses(np.array([f"0{i}" for i in range(15)], object), features, price)


def test_what_a_column_is_does_not_differ_from_fold_to_fold():
    train = few_codes()
    for row in range(15):  # RL, the only text, is in one fold's validation rows
        fold = np.arange(15) % 3
        fold[[row, 14]] = fold[[14, row]]
        prepared = prepare(train, fold)
        assert all(table.categorical[0].categories[:2] == ("20", "30") for table in prepared.tables)
        assert np.isfinite(prepared.folds.x).all()


@pytest.mark.slow
def test_a_missing_value_in_another_test_row_changes_no_prediction():
    train, fold = few_codes(), np.arange(15) % 3
    family = LINEAR._replace(points=grid((0.03,), (0.01,)), epochs=30)
    rows = pd.DataFrame({"Class": ["20", "NA", "30", "RL"], "Area": ["85", "100", "100", "NA"]}, dtype=object)
    price = {}
    for kept in ([0, 1, 2, 3], [0, 2], [2, 0, 3], [1]):
        test = Houses(np.array(kept), rows.iloc[kept].reset_index(drop=True), None)
        price[tuple(kept)] = dict(zip(kept, cross_validate(family, train, test, fold).test_price, strict=True))
    whole = price.pop((0, 1, 2, 3))
    assert whole[0] < whole[2]
    for part in price.values():
        assert part == pytest.approx({row: whole[row] for row in part}, rel=1e-6)  # matrix products of other sizes


@pytest.mark.parametrize(
    "prices", [np.full(9, 0.1), np.full(9, 110_000.0), np.full(9, 1e300), np.array([1e-300, 1e300, 1] * 3)]
)
def test_targets_of_any_size_and_spread_are_finite(prices):
    train = Houses(np.arange(9), pd.DataFrame({"a": range(9)}), prices)
    prepared = prepare(train, np.arange(9) % 3)
    assert np.isfinite(prepared.folds.y).all()
    for j in range(3):
        np.testing.assert_allclose(prepared.dollars(prepared.folds.y[j, :, 0], j), prices, rtol=1e-4)
    assert np.isfinite(prepared.dollars(np.array([-1e30, 1e30]), 0)).all()


def test_a_fold_without_information_is_named():
    train = Houses(np.arange(3), pd.DataFrame({"a": [1, 1, 2]}), np.array([1.0, 2.0, 3.0]))
    with pytest.raises(DataError, match=r"fold 2, 2 training rows: no usable column .* use fewer folds or more rows"):
        prepare(train, np.array([0, 1, 2]))


@pytest.mark.slow
def test_peers_are_judged_on_the_same_folds(few):
    train, test = few
    ridge, boosting = peers(train, test, assign_folds(83, 3, 0))
    assert ridge.scores.shape == (4, 1, 3)
    assert boosting.scores.shape == (1, 1, 3)
    assert 0.05 < ridge.log_rmse < 0.5
    assert ridge.test_price.shape == (31,)


@pytest.mark.slow
def test_a_sample_of_each_loop_stands_for_all_fits(few, ticking):
    train, _ = few
    family = LINEAR._replace(points=grid((0.01,)), epochs=1, batch_size=55)
    ticking(house_loops)
    costs = house_loops.loop_costs(family, train, assign_folds(83, 3, 0), rounds=1, sample=2)
    assert [cost.sample for cost in costs] == [3, 2, 1, 1]
    assert [cost.seconds for cost in costs] == [1, 3, 3, 3]  # three fits at once, or three times one
    assert [cost.compile_seconds for cost in costs] == [1, 1, 1, 0]


@pytest.mark.slow
def test_the_embedded_sales_reach_the_published_error():
    """Ames, five folds: the linear model's published error is .1703; capped features and decay bring .1233."""
    train, test = load_ames()
    family = LINEAR._replace(points=grid((0.01,), (0.01,)), epochs=30)
    outcome = cross_validate(family, train, test, assign_folds(len(train.ids), 5, 0))
    assert outcome.log_rmse < 0.130
    assert outcome.test_log_rmse < 0.135
