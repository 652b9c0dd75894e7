"""Estimators where scikit-learn's users put them, and what they refuse."""

import pickle
import sys

import flax.linen as nn
import jax
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import jaxd2l
from jaxd2l.data import Dataset, Examples
from jaxd2l.nn.models import MLP, LeNet
from jaxd2l.sklearn import JaxClassifier, JaxRegressor
from jaxd2l.sklearn.recipe import recipe_for
from jaxd2l.sklearn.workers import share_cores

pytestmark = pytest.mark.usefixtures("unoptimised")

NET = MLP(hidden=(5,))


def _rows(n=60):
    x = np.random.default_rng(0).normal(size=(n, 3)) * [1, 10, 100]
    return x, np.where(x[:, 0] * 10 + x[:, 1] > 0, 1, 0)


def _pictures(n=20):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (n, 12, 12, 1), np.uint8), np.arange(n) % 3


@pytest.mark.slow
def test_a_search_in_a_pipeline_finds_the_rate_that_learns():
    x, y = _rows()
    line = make_pipeline(StandardScaler(), JaxClassifier(NET, epochs=10, random_state=0))
    search = GridSearchCV(line, {"jaxclassifier__learning_rate": [1e-6, 0.05]}, cv=3).fit(x, y)
    assert search.best_params_ == {"jaxclassifier__learning_rate": 0.05}
    assert search.best_score_ > 0.8
    assert cross_val_score(search.best_estimator_, x, y, cv=2).mean() > 0.8


@pytest.mark.slow
def test_two_processes_find_what_one_does_and_share_the_cores():
    from joblib import Parallel, delayed

    x, y = _rows()
    grid = {"learning_rate": [0.001, 0.05]}
    one, two = (
        GridSearchCV(JaxClassifier(NET, epochs=3, random_state=0), grid, cv=2, n_jobs=n).fit(x, y) for n in (None, 2)
    )
    np.testing.assert_array_equal(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"])
    given = Parallel(n_jobs=2)(delayed(_threads_given)() for _ in range(2))
    assert all(threads == limit for threads, limit in given), given


def _threads_given():
    import os

    import jaxd2l.sklearn  # noqa: F401

    return os.environ["PJRT_NPROC"], os.environ["OMP_NUM_THREADS"]


@pytest.mark.parametrize(("worker", "limit", "found"), [(True, "3", "3"), (False, "3", None), (True, None, None)])
def test_a_worker_takes_the_threads_that_it_is_given(monkeypatch, worker, limit, found):
    monkeypatch.setattr("multiprocessing.parent_process", lambda: object() if worker else None)
    monkeypatch.setattr("os.environ", {} if limit is None else {"OMP_NUM_THREADS": limit})
    share_cores()
    import os

    assert os.environ.get("PJRT_NPROC") == found


@pytest.mark.slow
def test_pictures_flat_or_not_are_the_same_and_bytes_stay_bytes():
    x, y = _pictures()
    settings = {"epochs": 1, "random_state": 0}
    deep = JaxClassifier(NET, **settings).fit(x, y)
    flat = JaxClassifier(NET, **settings, image_shape=(12, 12, 1)).fit(x.reshape(20, -1), y)
    grey = JaxClassifier(NET, **settings).fit(x[..., 0], y)
    expected = deep.predict_proba(x)
    np.testing.assert_array_equal(flat.predict_proba(x.reshape(20, -1).astype(float)), expected)
    np.testing.assert_array_equal(grey.predict_proba(x[..., 0]), expected)
    assert deep.recipe_.image_size == 12, "scaled inside"
    assert deep.n_features_in_ == flat.n_features_in_ == grey.n_features_in_ == 144
    floats = JaxClassifier(NET, **settings).fit(x / 255, y)
    assert (floats.recipe_.image_size, floats.input_dtype_) == (None, np.float32)


def test_pictures_take_every_setting_and_keep_their_size_without_one():
    part = Examples(PICTURES, LABELS.astype(np.int32))
    pictures = Dataset("X", part, part, ("0", "1", "2"))
    asked = recipe_for(NET, {"augment": "flip", "image_size": 6}, pictures)
    assert (asked.augment, asked.image_size) == ("flip", 6)
    for settings in ({}, {"epochs": 3}):
        assert recipe_for("softmax", settings, pictures).image_size == 12


@pytest.mark.slow
def test_flat_pictures_are_known_by_the_names_of_their_pixels():
    x, y = _pictures()
    named = pd.DataFrame(x.reshape(20, -1)).rename(columns="p{}".format)
    estimator = JaxClassifier(NET, epochs=1, random_state=0, image_shape=(12, 12, 1)).fit(named, y)
    assert list(estimator.feature_names_in_) == list(named.columns)
    np.testing.assert_array_equal(estimator.predict_proba(named), clone(estimator).fit(x, y).predict_proba(x))
    for call in (estimator.predict, lambda x: estimator.partial_fit(x, y)):
        with pytest.raises(ValueError, match="in the same order"):
            call(named.iloc[:, ::-1])
    assert not hasattr(estimator.fit(x, y), "feature_names_in_")


@pytest.mark.slow
@pytest.mark.parametrize("first", [np.uint8, np.float64])
@pytest.mark.parametrize("make", [JaxClassifier, JaxRegressor])
def test_one_epoch_more_takes_the_form_that_was_trained_on(make, first):
    x, y = _pictures()
    known = {"classes": [0, 1, 2]} if make is JaxClassifier else {}
    one, two = (make(NET, epochs=1, random_state=0).partial_fit(x.astype(first), y, **known) for _ in range(2))
    other = np.float64 if first == np.uint8 else np.uint8
    one.partial_fit(x.astype(first), y)
    two.partial_fit(x.astype(other), y)
    assert one.input_dtype_ == two.input_dtype_
    np.testing.assert_array_equal(one.predict(x.astype(first)), two.predict(x.astype(other)))
    with pytest.raises(ValueError, match=r"rows of shape \(144,\), but was trained on \(12, 12, 1\)"):
        two.partial_fit(x.reshape(20, -1), y)
    if make is JaxRegressor:
        assert two.partial_fit(x, y[:, None]).predict(x).shape == (20,)


@pytest.mark.slow
def test_a_recipe_of_the_book_takes_its_outputs_from_the_data():
    x, y = load_digits(return_X_y=True)
    x, y = x[:120] / 16, y[:120]
    softmax = JaxClassifier("softmax", epochs=30, batch_size=32, random_state=0).fit(x, y)
    assert softmax.score(x, y) > 0.9
    assert softmax.recipe_.name == "softmax"
    assert softmax.predict_proba(x).dtype == np.float64


@pytest.mark.slow
def test_numbers_of_any_size_one_or_several():
    x, _ = _rows()
    y = np.stack([x[:, 0], 1e5 * x[:, 1]], axis=1)
    line = make_pipeline(StandardScaler(), JaxRegressor(NET, epochs=80, random_state=0))
    scaled = TransformedTargetRegressor(line, transformer=StandardScaler()).fit(x, y)
    assert scaled.score(x, y) > 0.9
    one = JaxRegressor(NET, epochs=1, random_state=0).fit(x, y[:, 0])
    assert one.predict(x).shape == (60,)
    assert one.predict(x).dtype == np.float64
    assert JaxRegressor(NET, epochs=1).fit(x, y[:, :1]).predict(x).shape == (60, 1)


@pytest.mark.slow
def test_a_clone_has_the_settings_and_nothing_learned():
    x, y = _rows()
    fitted = JaxClassifier(jaxd2l.find("softmax"), epochs=1, random_state=0).fit(x, y)
    copy = clone(fitted)
    assert not hasattr(copy, "params_")
    assert copy.get_params()["epochs"] == 1
    np.testing.assert_array_equal(copy.fit(x, y).predict_proba(x), fitted.predict_proba(x))


@pytest.mark.slow
def test_a_pickle_holds_plain_arrays_and_the_size_of_them():
    x, y = _rows()
    fitted = JaxClassifier(MLP(hidden=(500,)), epochs=1, random_state=0).fit(x, y)
    expected = fitted.predict_proba(x)
    content = pickle.dumps(fitted)
    assert len(content) < 4 * 3002 + 8000, "3,002 weights, no optimizer, no program"
    np.testing.assert_array_equal(pickle.loads(content).predict_proba(x), expected)


class Diverging(nn.Module):
    """Whose outputs leave the range of the floats."""

    num_outputs: int = 1

    @nn.compact
    def __call__(self, x, *, train):
        return nn.Dense(self.num_outputs)(x) * 1e30


X, Y = _rows(12)
PICTURES, LABELS = _pictures(12)
WRONG = {
    "an unknown recipe": (JaxClassifier("lenett"), X, Y, "lenett"),
    "no network": (JaxClassifier(3), X, Y, "network must be the name of a recipe, a Recipe, a Flax network or None"),
    "epochs": (JaxClassifier(epochs=0), X, Y, "epochs must be an integer of at least 1, got 0"),
    "a rate": (JaxRegressor(learning_rate=-1.0), X, Y, "learning_rate must be a positive number"),
    "a fraction": (JaxClassifier(early_stop=1, validation_fraction=2), X, Y, "validation_fraction must be between"),
    "too few to hold out": (JaxClassifier(early_stop=1), X[:2], [0, 1], "early_stop takes a validation part"),
    "a table for pictures": (JaxClassifier("lenet"), X, Y, "recipe lenet on X"),
    "pictures too small": (JaxClassifier(LeNet()), PICTURES[:, :8], LABELS, "use larger images"),
    "another image shape": (JaxClassifier(NET, image_shape=(28, 28, 1)), X, Y, "X has 3 features, but image_shape"),
    "classes for a regression": (JaxClassifier("linear"), X, Y, "predicts numbers"),
    "numbers for classes": (JaxRegressor("softmax"), X, Y, "predicts classes"),
    "beyond float32": (JaxRegressor(), X * 1e300, Y, "beyond float32"),
    "targets beyond float32": (JaxRegressor(), X, Y * 1e300, "beyond float32"),
    "not finite": (JaxClassifier(), X * np.nan, Y, "NaN"),
    "no weight": (JaxClassifier(), X, Y, "sample_weight is 0 for every row|non-zero"),
    "a seed": (JaxClassifier(random_state=-1), X, Y, "seed must be an integer"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_use_is_refused_in_one_line(name):
    estimator, x, y, message = WRONG[name]
    weight = np.zeros(len(x)) if name == "no weight" else None
    with pytest.raises(ValueError, match=message) as found:
        estimator.fit(x, y, sample_weight=weight)
    assert name == "not finite" or "\n" not in str(found.value)
    assert not hasattr(estimator, "params_")


@pytest.mark.slow
def test_weights_that_are_set_are_those_that_answer():
    fitted = JaxClassifier(NET, epochs=1, random_state=0).fit(X, Y)
    assert len(set(fitted.predict_proba(X)[:, 0].tolist())) > 1
    fitted.params_ = jax.tree.map(np.zeros_like, fitted.params_)
    assert (fitted.predict_proba(X) == 0.5).all()


@pytest.mark.slow
def test_a_share_to_hold_out_is_any_number_of_numpy():
    one, two = (
        JaxClassifier(NET, epochs=1, early_stop=1, validation_fraction=share, random_state=0).fit(X, Y).epochs_[0]
        for share in (0.5, np.float32(0.5))
    )
    assert one.validation_loss == two.validation_loss


@pytest.mark.slow
def test_a_divergence_says_what_to_do():
    with pytest.raises(jaxd2l.DivergenceError, match="try a learning rate of"):
        JaxRegressor(Diverging(), learning_rate=1.0, optimizer="sgd").fit(X, Y)


@pytest.mark.slow
def test_predictions_are_refused_for_other_rows():
    bytes_ = JaxClassifier(NET, epochs=1).fit(PICTURES, LABELS)
    with pytest.raises(ValueError, match="was trained on bytes"):
        bytes_.predict(PICTURES / 255)
    with pytest.raises(ValueError, match="expecting 144 features"):
        bytes_.predict(PICTURES[:, :8])
    with pytest.raises(ValueError, match="rows of shape"):
        bytes_.predict(PICTURES.reshape(12, 9, 16, 1))
    table = JaxClassifier(NET, epochs=1).partial_fit(X, Y, classes=[0, 1])
    with pytest.raises(ValueError, match="label 2, which is none of the classes"):
        table.partial_fit(X, Y + 1)
    with pytest.raises(ValueError, match="not those of the first call"):
        table.partial_fit(X, Y, classes=[0, 1, 2])
    numbers = JaxRegressor(NET, epochs=1).partial_fit(X, Y)
    with pytest.raises(ValueError, match="2 numbers a row, expected 1"):
        numbers.partial_fit(X, np.stack([Y, Y], axis=1))


def test_a_missing_extra_is_named_with_its_install_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    for name in [name for name in sys.modules if name.startswith("jaxd2l.sklearn")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ImportError, match=r"pip install 'jaxd2l\[sklearn\]'"):
        _ = jaxd2l.JaxClassifier
    assert "JaxClassifier" not in dir(jaxd2l)
    assert {"fit", "Recipe"} <= set(dir(jaxd2l))
