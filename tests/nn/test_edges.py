"""Edges: tails of activations, infinities, batches of no rows, and no NaN that is made only to be passed over."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from model_table import MODELS
from scipy.special import erfc

from jaxd2l import nn


def test_gelu_and_its_derivative_keep_their_digits_far_below_zero():
    x = np.linspace(-8, -3, 201, dtype=np.float32)
    z = x.astype(np.float64)
    share, density = erfc(-z / 2**0.5) / 2, np.exp(-(z**2) / 2) / (2 * np.pi) ** 0.5
    np.testing.assert_allclose(nn.gelu(jnp.asarray(x)), z * share, rtol=1e-5)
    np.testing.assert_allclose(jax.vmap(jax.grad(nn.gelu))(jnp.asarray(x)), share + z * density, rtol=1e-5)


@pytest.mark.parametrize("function", [nn.relu, nn.leaky_relu, nn.sigmoid, nn.tanh, nn.gelu])
def test_second_derivatives_are_finite_at_the_largest_numbers(function):
    x = jnp.asarray([-3e38, -1e20, -100.0, -1e-30, 0.0, 1e-30, 100.0, 1e20, 3e38])
    assert np.all(np.isfinite(jax.vmap(jax.grad(jax.grad(function)))(x)))


def test_the_gradient_of_a_border_window_of_minus_infinity_arrives_in_the_image():
    x = jnp.full((1, 4, 1), -jnp.inf)
    for stride, expected in ((2, [1, 1, 0, 0]), (1, [2, 1, 1, 0])):  # as PyTorch has it
        _, back = jax.vjp(lambda x, stride=stride: nn.max_pool(x, 3, stride=stride, padding=1), x)
        y = nn.max_pool(x, 3, stride=stride, padding=1)
        np.testing.assert_array_equal(back(jnp.ones_like(y))[0][0, :, 0], expected)


@pytest.mark.parametrize("name", MODELS)
def test_every_network_takes_a_batch_of_no_rows(name):
    network, shape = MODELS[name].small or MODELS[name].network, MODELS[name].input_shape
    x = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    stored = jax.eval_shape(lambda x: network.init(jax.random.key(0), x, train=False), x)

    def apply(stored, x):
        return network.apply(stored, x, train=False)

    out = jax.eval_shape(apply, stored, jax.ShapeDtypeStruct((0, *shape), jnp.float32))
    assert out.shape == (0, *jax.eval_shape(apply, stored, x).shape[1:])


def test_a_batch_of_no_rows_leaves_the_running_statistics():
    running = nn.RunningStatistics(jnp.ones(3), jnp.ones(3))
    y, new = nn.batch_norm(jnp.zeros((0, 3)), jnp.ones(3), jnp.zeros(3), running, train=True)
    assert y.shape == (0, 3)
    assert new is running


X = jnp.linspace(-2.0, 2.0, 2 * 6 * 7 * 3).reshape(2, 6, 7, 3)
ORDINARY = {
    "relu": (nn.relu, X),
    "leaky_relu": (lambda x: nn.leaky_relu(x, 0.0), X),
    "sigmoid": (nn.sigmoid, X),
    "tanh": (nn.tanh, X),
    "gelu": (nn.gelu, X),
    "softmax": (nn.softmax, X),
    "log_softmax": (nn.log_softmax, X),
    "max_pool": (lambda x: nn.max_pool(x, 3, stride=2, padding=1), X),
    "max_pool_stride_1": (lambda x: nn.max_pool(x, 3, stride=1, padding=1), X),
    "avg_pool": (lambda x: nn.avg_pool(x, 3, stride=2, padding=1), X),
    "entropy": (nn.entropy, jnp.asarray([[0.0, 1.0], [0.5, 0.5]])),
    "cross_entropy": (lambda x: nn.cross_entropy(x, jnp.asarray([0, 2])), X[:, 0, 0]),
    "dropout": (lambda x: nn.dropout(x, 0.5, jax.random.key(0)), X),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_no_nan_is_made_on_ordinary_input_even_one_that_is_not_chosen(name):
    function, x = ORDINARY[name]
    with jax.debug_nans(True):
        y, back = jax.vjp(function, x)
        assert np.all(np.isfinite(back(jnp.ones_like(y))[0]))


@pytest.mark.parametrize(
    "call",
    [
        lambda x: nn.Dense(3).init(jax.random.key(0), x),
        lambda x: nn.Conv(3, (1, 1)).init(jax.random.key(0), x),
        lambda x: nn.max_pool(x, 1),
        lambda x: nn.layer_norm(x, jnp.ones(3), jnp.zeros(3)),
    ],
)
def test_integers_are_refused_in_one_sentence(call):
    with pytest.raises(ValueError, match="floating-point"):
        call(jnp.ones((2, 5, 7, 3), jnp.int32))
