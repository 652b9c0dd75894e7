"""What an estimator learns: by the library's own loop, a function of rows, weights and seed."""

import dataclasses
import pickle

import chex
import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from jaxd2l import train
from jaxd2l.data import Dataset, Examples
from jaxd2l.nn.batch_normalisation import BatchNorm
from jaxd2l.nn.models import MLP, LeNet
from jaxd2l.sklearn import JaxClassifier, JaxRegressor, programs
from jaxd2l.sklearn.rows import different_rows

pytestmark = pytest.mark.usefixtures("unoptimised")

SMALL = {"network": MLP(hidden=(5,)), "epochs": 2, "random_state": 7}


def _rows(n, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    return x, np.where(x[:, 0] + x[:, 1] > 0, "yes", "no")


def _weights(estimator):
    return jax.tree.map(np.asarray, (estimator.params_, estimator.batch_stats_))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_it_is_the_training_of_the_library_to_the_last_bit(kind):
    x, labels = _rows(256)
    y = labels if kind == "classes" else x[:, :2] * 3
    estimator = (JaxClassifier if kind == "classes" else JaxRegressor)(**SMALL).fit(x, y)
    targets = (y == "yes").astype(np.int32) if kind == "classes" else y.astype(np.float32)
    rows = different_rows(x.astype(np.float32), targets, np.ones(256))
    part = Examples(rows.x, rows.y)
    run = train.fit(estimator.recipe_, Dataset("X", part, part, ("no", "yes") if kind == "classes" else ()), seed=7)
    chex.assert_trees_all_equal(estimator.params_, jax.tree.map(np.asarray, run.state.params))
    assert estimator.loss_curve_ == [result.train_loss for result in run.epochs]
    assert estimator.n_iter_ == 2


@pytest.mark.slow
def test_a_weight_is_a_count_and_order_says_nothing():
    x, y = _rows(40)
    counts = np.random.default_rng(1).integers(0, 4, 40)
    order = np.random.default_rng(2).permutation(40)
    repeated = JaxClassifier(**SMALL).fit(x.repeat(counts, axis=0), y.repeat(counts))
    weighted = JaxClassifier(**SMALL).fit(x[order], y[order], sample_weight=counts[order] * 0.5)
    chex.assert_trees_all_equal(_weights(repeated), _weights(weighted))
    unweighted = JaxClassifier(**SMALL).fit(x, y)
    assert not np.array_equal(unweighted.predict_proba(x), weighted.predict_proba(x))
    chex.assert_trees_all_equal(_weights(unweighted), _weights(JaxClassifier(**SMALL).fit(x, y, np.full(40, 0.3))))


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(1, 5)), min_size=1, max_size=12))
def test_equal_rows_become_one_of_their_weights(given_rows):
    x, y, weight = (np.array(column) for column in zip(*given_rows, strict=True))
    rows = different_rows((x - 1).astype(np.float32)[:, None] * 0, y, weight)  # -0.0 and 0.0 are one number
    assert sorted(rows.y) == sorted(set(y))
    for label, share in zip(rows.y, rows.weight, strict=True):
        np.testing.assert_allclose(share, weight[y == label].sum() * len(rows.y) / weight.sum(), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("n", [5, 64, 70, 256])
def test_an_epoch_has_every_row_once_with_its_weight(n):
    x, y = _rows(n)
    recipe = JaxClassifier(**SMALL).fit(*_rows(64)).recipe_
    rows = different_rows(x.astype(np.float32), (y == "yes").astype(np.int32), np.arange(1, n + 1))
    training = programs.training_of(recipe, rows, None, ("no", "yes"))
    keys = train.run_keys(3)
    drawn, again = (training.program.shuffle(keys.shuffle, np.int32(epoch)) for epoch in (1, 2))
    real = drawn.weight > 0
    assert sorted(drawn.indices[real]) == list(range(n))
    np.testing.assert_array_equal(drawn.weight[real], rows.weight[drawn.indices[real]])
    assert n < 10 or not np.array_equal(drawn.indices, again.indices)
    assert real.any(axis=1).sum() == training.program.train_steps, "no batch of nothing but padding"


@pytest.mark.slow
def test_batches_that_statistics_are_of_hold_no_padding():
    rng = np.random.default_rng(0)
    x, y = rng.random((21, 12, 12)), np.arange(21) % 3
    net = LeNet(conv_features=(2, 3), dense_features=(5,), normalisation=BatchNorm)
    estimator = JaxClassifier(net, epochs=2, batch_size=8, random_state=0).fit(x, y)
    rows = different_rows(x[..., None].astype(np.float32), y.astype(np.int32), np.ones(21))
    training = programs.training_of(estimator.recipe_, rows, None, "abc")
    drawn = training.program.shuffle(train.run_keys(0).shuffle, np.int32(1))
    assert training.program.train_steps == 2
    assert (drawn.weight[:2] > 0).all()
    assert len(set(drawn.indices[:2].ravel())) == 16
    assert np.any(estimator.batch_stats_["BatchNorm_0"]["mean"] != 0)


@pytest.mark.slow
def test_one_epoch_more_and_again_is_the_whole_training_also_through_a_pickle():
    x, y = _rows(50)
    whole = JaxClassifier(**{**SMALL, "epochs": 3}).fit(x, y)
    part = JaxClassifier(**SMALL).partial_fit(x, y, classes=["no", "yes"]).partial_fit(x, y)
    part = pickle.loads(pickle.dumps(part)).partial_fit(x, y)
    chex.assert_trees_all_equal(_weights(whole), _weights(part))
    assert [r.train_loss for r in part.epochs_] == whole.loss_curve_
    more = pickle.loads(pickle.dumps(whole)).partial_fit(x, y)
    assert more.n_iter_ == 4
    assert not np.array_equal(more.predict_proba(x), whole.predict_proba(x))


@pytest.mark.slow
def test_partial_fit_sees_classes_that_come_later():
    x, y = _rows(40)
    first = y == "no"
    estimator = JaxClassifier(**SMALL).partial_fit(x[first], y[first], classes=["yes", "no"])
    assert estimator.predict_proba(x).shape == (40, 2)
    assert set(estimator.partial_fit(x[~first], y[~first]).classes_) == {"yes", "no"}


@pytest.mark.slow
def test_it_stops_early_with_the_best_weights():
    x, y = _rows(80)
    y[:30] = np.random.default_rng(0).permutation(y[:30])  # noise, so that it overfits
    net, wait = MLP(hidden=(40,)), 2
    estimator = JaxClassifier(net, epochs=60, learning_rate=0.05, early_stop=wait, validation_fraction=0.3)
    estimator.set_params(random_state=3).fit(x, y)
    best = train.best_epoch(estimator.epochs_)
    assert estimator.n_iter_ == best + wait < 60
    same = JaxClassifier(net, epochs=best, learning_rate=0.05, early_stop=60, validation_fraction=0.3, random_state=3)
    chex.assert_trees_all_equal(_weights(estimator), _weights(same.fit(x, y)))


@pytest.mark.slow
def test_programs_are_shared_by_sizes_rates_seeds_and_clones(monkeypatch):
    made = []
    compile_program = programs.compile_program
    monkeypatch.setattr(programs, "compile_program", lambda *a, **k: made.append(1) or compile_program(*a, **k))
    net = MLP(hidden=(6,))
    for n, rate, seed in ((30, 0.01, 0), (130, 0.1, 1), (256, 0.02, 2)):
        JaxClassifier(dataclasses.replace(net), learning_rate=rate, epochs=1, random_state=seed).fit(*_rows(n))
    assert len(made) == 1
    JaxClassifier(net, optimizer="sgd", epochs=1).fit(*_rows(30))
    assert len(made) == 2


@pytest.mark.slow
def test_balanced_classes_are_weights_of_rows():
    x, y = _rows(60)
    weight = np.where(y == "yes", 30 / (y == "yes").sum(), 30 / (y == "no").sum())
    balanced = JaxClassifier(**SMALL, class_weight="balanced").fit(x, y)
    chex.assert_trees_all_equal(_weights(balanced), _weights(JaxClassifier(**SMALL).fit(x, y, weight)))


@pytest.mark.slow
@pytest.mark.parametrize("class_weight", ["balanced", {"yes": 3.0}, {"yes": 1, "no": 0.5, "later": 7}])
def test_classes_are_weighed_by_the_weights_of_rows(class_weight):
    x, y = _rows(40)
    counts = np.random.default_rng(1).integers(0, 4, 40)
    weighing = JaxClassifier(**SMALL, class_weight=class_weight)
    repeated, weighted, left_out, weightless = (clone(weighing) for _ in range(4))
    repeated.fit(x.repeat(counts, axis=0), y.repeat(counts))
    chex.assert_trees_all_equal(_weights(repeated), _weights(weighted.fit(x, y, counts * 0.5)))
    left_out.partial_fit(x[counts > 0], y[counts > 0], ["no", "yes"], counts[counts > 0])
    chex.assert_trees_all_equal(_weights(left_out), _weights(weightless.partial_fit(x, y, ["no", "yes"], counts)))


@pytest.mark.slow
def test_a_class_weight_is_of_a_known_class_whatever_the_batch_has():
    x, y = np.arange(12.0).reshape(6, 2), np.array([0, 1, 2, 0, 1, 1])
    estimator = JaxClassifier(**SMALL, class_weight={2: 5.0}).partial_fit(x, y, classes=[0, 1, 2])
    few = y < 2
    plain = clone(estimator).partial_fit(x, y, classes=[0, 1, 2]).set_params(class_weight=None)
    chex.assert_trees_all_equal(
        _weights(estimator.partial_fit(x[few], y[few])), _weights(plain.partial_fit(x[few], y[few]))
    )
    for wrong, words in (({3: 1.0}, "The classes, .* are not in class_weight"), ({2: -1.0}, "at least 0, got {2: -1")):
        with pytest.raises(ValueError, match=words):
            estimator.set_params(class_weight=wrong).partial_fit(x, y)
    with pytest.raises(ValueError, match="is 0 for every row"):
        estimator.set_params(class_weight={0: 0.0}).partial_fit(x[y == 0], y[y == 0])


@pytest.mark.slow
def test_a_schedule_is_laid_out_for_the_updates_that_are_made():
    x, y = _rows(70)
    estimator = JaxClassifier(MLP(hidden=(5,)), optimizer="sgd", schedule="cosine", epochs=2, learning_rate=0.1)
    rates = [result.learning_rate for result in estimator.fit(x, y).epochs_]
    shares = estimator.recipe_.course.shares(3)  # 70 rows are three batches of 32
    np.testing.assert_allclose(rates, [0.1 * float(shares(update)) for update in (2, 5)], rtol=1e-6)
    with pytest.raises(ValueError, match="partial_fit has no number of epochs"):
        JaxClassifier(schedule="cosine").partial_fit(x, y, classes=["no", "yes"])
