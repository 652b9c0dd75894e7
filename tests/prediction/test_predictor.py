import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxd2l.data import Examples
from jaxd2l.prediction.predictor import Predictor, stored_examples
from jaxd2l.recipes import find
from jaxd2l.train import evaluate, init_state, run_keys

CLASSES = tuple("abcdefghij")


@pytest.fixture(scope="module")
def softmax():
    recipe = find("softmax")
    state = init_state(recipe.model, recipe.make_optimizer(), run_keys(0).init, jnp.zeros((1, 28, 28, 1)))
    return recipe, jax.tree.map(lambda a: 30 * a, state.params)


@pytest.fixture(scope="module")
def predictor(softmax):
    recipe, params = softmax
    return Predictor(recipe, params, {}, CLASSES, (28, 28, 1), batch_size=5)


def images(n):
    return np.random.default_rng(n).integers(0, 256, (n, 28, 28, 1), np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize("n", [0, 1, 4, 5, 6, 13])
def test_probabilities_are_those_of_the_network_for_any_number_of_images(predictor, softmax, n):
    x = images(n)
    found = predictor.predict_proba(x)
    kernel, bias = (np.float64(softmax[1]["Dense_0"][name]) for name in ("kernel", "bias"))
    logits = (x.reshape(n, 784) / 255.0) @ kernel + bias
    expected = np.exp(logits - logits.max(axis=1, keepdims=True)) if n else logits
    expected /= expected.sum(axis=1, keepdims=True)
    assert found.shape == (n, 10)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert (predictor.predict(x) == found.argmax(axis=1)).all()


@pytest.mark.slow
def test_every_number_of_images_is_served_by_one_executable(softmax):
    recipe, params = softmax
    predictor = Predictor(recipe, params, {}, CLASSES, (28, 28, 1), batch_size=5)
    for n in (1, 5, 11):
        predictor.predict(images(n))
    executable = predictor._executable
    predictor.predict(images(3))
    assert predictor._executable is executable


@pytest.mark.slow
def test_an_image_is_answered_alike_alone_and_among_others(predictor):
    x = images(12)
    alone = np.concatenate([predictor.predict_proba(x[i : i + 1]) for i in range(12)])
    assert (alone == predictor.predict_proba(x)).all()


@pytest.mark.slow
def test_accuracy_is_that_of_evaluate(predictor, softmax):
    recipe, params = softmax
    x, y = images(37), np.random.default_rng(0).integers(0, 10, 37).astype(np.int32)
    _, accuracy = evaluate(recipe, params, {}, Examples(x, y), batch_size=8)
    assert (predictor.predict(x) == y).mean() == pytest.approx(accuracy)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.zeros((28, 28, 1), np.uint8), "images[None]"),
        (np.zeros((3, 28, 28), np.uint8), "images[..., None]"),
        (np.zeros((3, 1, 28, 28), np.uint8), "transpose(0, 2, 3, 1)"),
        (np.zeros((3, 28, 28, 3), np.uint8), "takes 1 channel, not 3"),
        (np.zeros((3, 32, 32, 1), np.uint8), "resizes"),
        (np.zeros((3, 28, 28, 1), np.float32), "np.round(255 * x)"),
        (np.full((3, 28, 28, 1), 255, np.int64), "int64 from 255 to 255"),
        (np.zeros((3, 28, 28, 1), bool), "bool"),
        (np.zeros((0, 28, 28, 1)), "float64"),
        (np.zeros((3, 28, 28, 1), complex), "complex"),
        (np.zeros((3, 28, 28, 1), object), "object"),
        (np.full((3, 28, 28, 1), "a"), "numbers"),
        ([[1, 2], [3]], "one array"),
        (None, "object"),
        (7, "shape ()"),
        ("a.png", "numbers"),
    ],
)
def test_what_is_no_stored_image_is_refused_in_one_sentence(predictor, given, words):
    with pytest.raises(ValueError, match=r"images must be") as caught:
        predictor.predict_proba(given)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value).strip()


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x,
        lambda x: x[:, ::-1],
        lambda x: np.asfortranarray(x),
        lambda x: x.tolist() and jnp.asarray(x),
        lambda x: np.broadcast_to(x[:1], x.shape),
    ],
)
def test_any_layout_in_memory_will_do(predictor, change):
    x = change(images(6))
    assert (predictor.predict_proba(x) == predictor.predict_proba(np.array(x))).all()


def test_a_regression_gives_its_outputs_and_no_probabilities():
    recipe = find("linear")
    params = {"Dense_0": {"kernel": np.array([[2.0], [-3.4]], np.float32), "bias": np.array([4.2], np.float32)}}
    predictor = Predictor(recipe, params, {}, (), (2,), np.float32)
    np.testing.assert_allclose(predictor.predict(np.array([[1.0, 1.0]], np.float32)), [[2.8]], atol=1e-6)
    with pytest.raises(ValueError, match="regression"):
        predictor.predict_proba(np.zeros((1, 2), np.float32))
    with pytest.raises(ValueError, match="finite"):
        predictor.predict(np.array([[np.nan, 1]], np.float32))


def test_parameters_that_do_not_fit_are_named(softmax):
    recipe, params = softmax
    with pytest.raises(ValueError, match="Dense_0/kernel"):
        Predictor(recipe, {"Dense_0": {**params["Dense_0"], "kernel": np.zeros((3, 10))}}, {}, CLASSES, (28, 28, 1))
    with pytest.raises(ValueError, match="missing"):
        Predictor(recipe, {}, {}, CLASSES, (28, 28, 1))
    with pytest.raises(ValueError, match="one logit a class"):
        Predictor(recipe, params, {}, CLASSES[:3], (28, 28, 1))
    with pytest.raises(ValueError, match="batch_size"):
        Predictor(recipe, params, {}, CLASSES, (28, 28, 1), batch_size=0)


def test_classes_without_a_name_are_called_by_their_labels(softmax):
    recipe, params = softmax
    assert Predictor(recipe, params, {}, (), (28, 28, 1)).classes == tuple("0123456789")


def test_weights_that_are_not_finite_are_never_an_answer(softmax):
    recipe, params = softmax
    bad = jax.tree.map(lambda a: a.at[(0,) * a.ndim].set(jnp.nan), params)
    with pytest.raises(ArithmeticError, match="not finite"):
        Predictor(recipe, bad, {}, CLASSES, (28, 28, 1)).predict(images(2))


def test_stored_examples_of_floats_keep_their_values():
    x = np.array([[1, 2], [3, 4]])
    assert stored_examples(x, (2,), np.float32).dtype == np.float32
    for dtype in (np.float32, jnp.bfloat16):
        assert stored_examples(x.astype(jnp.bfloat16), (2,), dtype).tolist() == x.tolist()


@pytest.mark.parametrize("dtype", [np.int16, np.int32, bool])
@pytest.mark.parametrize("other", [0.5, -1e-9, 2.0**40, np.nan])
def test_inputs_are_never_rounded_to_the_numbers_of_the_training(dtype, other):
    x = np.array([[0, 1], [1, 0]])
    assert stored_examples(x.astype(float), (2,), dtype).tolist() == x.tolist()
    spoiled = np.where(x, 1.0, other)
    with pytest.raises(ValueError, match=r"inputs must be \(n, 2\) of .*, as in training, got"):
        stored_examples(spoiled, (2,), dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_masked_inputs_are_refused(dtype):
    with pytest.raises(ValueError, match="masked values"):
        stored_examples(np.ma.masked_greater(np.arange(4, dtype=dtype).reshape(2, 2), 1), (2,), dtype)
