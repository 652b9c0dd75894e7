"""Losses and metrics on whatever NumPy hands over: the plain array's bits, or a refusal."""

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from jaxd2l import nn

pytestmark = pytest.mark.usefixtures("unoptimised")

LABELS = [f"{order}{sign}{size}" for order in "<>" for sign in "iu" for size in (1, 2, 4, 8)]
NUMBERS = [*LABELS, "<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "g", bool, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn]
SAME_SHAPE = [nn.squared_error, nn.absolute_error, nn.huber, nn.log_squared_error, nn.cross_entropy_with_probabilities]
LABELLED = [nn.cross_entropy, nn.hits, nn.accuracy]
A, B = np.array([[0, 1], [1, 1], [0, 0]]), np.array([[1, 0], [1, 0], [0, 1]])
NO_NUMBERS = [
    np.array([["a", "b"]] * 3),
    np.full((3, 2), None),
    np.zeros((3, 2), complex),
    np.zeros((3, 2), "M8[s]"),
    np.zeros((3, 2), [("a", "f4")]),
    np.ma.masked_equal(A, 1),
    [[1.0], [1.0, 2.0], [3.0]],
]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", NUMBERS)
def test_losses_of_every_type_and_layout_are_those_of_float32(dtype):
    for loss in SAME_SHAPE:
        expected = np.asarray(loss(jnp.asarray(A, jnp.float32), jnp.asarray(B, jnp.float32)))
        a, b = A.astype(dtype), np.asfortranarray(B.astype(dtype))
        for one, other in (
            (a, b),
            (a[::-1].copy()[::-1], np.repeat(b, 2, 1)[:, ::2]),
            (jnp.asarray(a.astype(np.float32)), b),
        ):
            np.testing.assert_array_equal(loss(one, other), expected)
    np.testing.assert_array_equal(nn.entropy(A.astype(dtype)), nn.entropy(jnp.asarray(A, jnp.float32)))


@pytest.mark.slow
def test_lists_are_taken_as_arrays():
    for loss in SAME_SHAPE:
        np.testing.assert_array_equal(loss(A.tolist(), B.tolist()), loss(jnp.asarray(A), jnp.asarray(B)))
    for function in LABELLED:
        np.testing.assert_array_equal(function(A.tolist(), [0, 1, 1]), function(jnp.asarray(A), jnp.asarray([0, 1, 1])))


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 128, 200, 300])
@pytest.mark.parametrize("dtype", LABELS)
def test_labels_of_every_type_are_compared_with_every_number_of_classes(dtype, classes):
    largest = min(classes - 1, np.iinfo(dtype).max)
    plain = np.array([0, largest, largest // 2], np.int32)
    logits = np.random.default_rng(0).normal(size=(3, classes)).astype(np.float32)
    logits[0, 0] = 9
    for labels in (plain.astype(dtype), jnp.asarray(plain.astype(np.dtype(dtype).newbyteorder("=")))):
        for function in LABELLED:
            np.testing.assert_array_equal(function(logits, labels), function(jnp.asarray(logits), jnp.asarray(plain)))
        np.testing.assert_array_equal(nn.one_hot(labels, classes), np.eye(classes, dtype=np.float32)[plain])


@pytest.mark.slow
@pytest.mark.parametrize("label", [np.int64(2**32), np.uint64(2**63), np.int64(-(2**32)), np.uint8(200), np.int8(-1)])
def test_a_label_that_would_wrap_stays_out_of_range(label):
    labels = np.array([label, 0], label.dtype)
    np.testing.assert_array_equal(np.isnan(nn.cross_entropy(np.zeros((2, 3)), labels)), [True, False])
    np.testing.assert_array_equal(nn.hits(np.zeros((2, 3)), labels), [False, True])
    with pytest.raises(ValueError, match=f"{label}.*expected"):
        nn.one_hot(labels, 3)


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda v: str(getattr(v, "dtype", "ragged")))
def test_what_holds_no_real_numbers_is_refused_by_every_loss_and_metric(value):
    for loss in (*SAME_SHAPE, nn.log_rmse):
        with pytest.raises(ValueError, match=r"prediction|logits"):
            loss(value, A)
        with pytest.raises(ValueError, match="target"):
            loss(A, value)
    for function in LABELLED:
        with pytest.raises(ValueError, match="logits"):
            function(value, [0, 1, 1])
    with pytest.raises(ValueError, match="one_hot: labels"):
        nn.one_hot(value, 3)
    with pytest.raises(ValueError, match="entropy: p"):
        nn.entropy(value)


@pytest.mark.parametrize("labels", [np.zeros(3, bool), np.zeros(3), ["a"] * 3, np.full(3, None), np.zeros(3, "M8[s]")])
def test_labels_that_are_no_integers_are_refused(labels):
    for function in (*LABELLED, lambda logits, labels: nn.one_hot(labels, 2)):
        with pytest.raises(ValueError, match="labels are class indices of an integer dtype"):
            function(A, labels)


@pytest.mark.parametrize("value", [1e39, -1e300, 2**40, -(2**33)])
def test_a_number_that_does_not_fit_is_named(value):
    with pytest.raises(ValueError, match="does not fit into"):
        nn.squared_error(np.array([1, value]), np.zeros(2))


@pytest.mark.slow
def test_an_empty_batch_gives_no_loss():
    empty = np.zeros((0, 3), np.float32)
    for loss in SAME_SHAPE:
        assert loss(empty, empty).shape == (0,)
    for function in (nn.cross_entropy, nn.hits):
        assert function(empty, np.zeros(0, np.int64)).shape == (0,)
        assert function(empty, []).shape == (0,)
    assert nn.one_hot([], 3).shape == (0, 3)
