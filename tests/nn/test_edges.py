"""Edges: tails of activations, infinities, batches of no rows, and no NaN that is made only to be passed over."""

import functools
import inspect
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from model_table import SHALLOW, UNOPTIMISED, quick_first
from nan_watch import nans_made
from scipy.special import erfcx
from small_networks import drawn

from jaxd2l import nn
from jaxd2l.nn.kernels.tracing import tracing_for


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_gelu_and_its_derivatives_keep_their_digits_as_far_below_zero_as_the_numbers_go(precision):
    x = np.linspace(-13.1, -3, 2001).astype(precision)  # at -13.14 the normal numbers of float32 end
    z = x.astype(np.float64)
    density = np.exp(-(z**2) / 2) / (2 * np.pi) ** 0.5
    share = density * (np.pi / 2) ** 0.5 * erfcx(-z / 2**0.5)
    slope = jax.grad(nn.gelu)
    with jax.enable_x64(precision == "float64"):
        found = jax.jit(lambda x: (nn.gelu(x), jax.vmap(slope)(x), jax.vmap(jax.grad(slope))(x)))(x)
        for one, expected in zip(found, (z * share, share + z * density, (2 - z**2) * density), strict=True):
            assert one.dtype == precision
            np.testing.assert_allclose(one, expected, rtol=1e-5)


@pytest.mark.slow
def test_gelu_has_its_limits_at_the_infinities():
    ends = np.float32([-np.inf, -3e38, -40.0, 40.0, 3e38, np.inf])
    value, slope = jax.jit(lambda x: (nn.gelu(x), jax.vmap(jax.grad(nn.gelu))(x)))(ends)
    np.testing.assert_array_equal(value, [0, 0, 0, *ends[3:]])
    np.testing.assert_array_equal(slope, [0, 0, 0, 1, 1, 1])


@pytest.mark.slow
@pytest.mark.parametrize("function", [nn.relu, nn.leaky_relu, nn.sigmoid, nn.tanh, nn.gelu])
def test_second_derivatives_are_finite_at_the_largest_numbers(function):
    x = np.float32([-3e38, -1e20, -100.0, -1e-30, 0.0, 1e-30, 100.0, 1e20, 3e38])
    assert np.all(np.isfinite(jax.jit(jax.vmap(jax.grad(jax.grad(function))))(x)))


@pytest.mark.slow
def test_the_gradient_of_a_border_window_of_minus_infinity_arrives_in_the_image():
    x = np.full((1, 4, 1), -np.inf, np.float32)
    for stride, expected in ((2, [1, 1, 0, 0]), (1, [2, 1, 1, 0])):  # as PyTorch has it
        gradient = jax.jit(jax.grad(lambda x, stride=stride: jnp.sum(nn.max_pool(x, 3, stride=stride, padding=1))))
        np.testing.assert_array_equal(gradient(x)[0, :, 0], expected)


@functools.cache
def shallow(name):
    """A network, the shape of an example for it, and first variables."""
    network, pixels = SHALLOW[name]
    shape = (*((4,) if name == "conv3d" else ()), pixels, pixels, 1)
    return network, shape, drawn(network, shape, train=False)


@pytest.mark.parametrize("name", quick_first(SHALLOW))
def test_every_network_gives_no_rows_for_no_rows_and_learns_nothing_from_them(name):
    network, shape, stored = shallow(name)
    stored, none = jax.tree.map(np.zeros_like, stored), np.zeros((0, *shape), np.float32)

    @functools.partial(jax.jit, compiler_options=UNOPTIMISED)
    def predicted_and_gradient(stored, x):
        others = {key: value for key, value in stored.items() if key != "params"}

        def total(params, x):
            out, updated = network.apply(
                {"params": params, **others},
                x,
                train=True,
                mutable=["batch_stats"],
                rngs={"dropout": jax.random.key(0)},
            )
            return jnp.sum(out), (out, updated.get("batch_stats", {}))

        predicted = network.apply(stored, x, train=False)
        return predicted, jax.grad(total, argnums=(0, 1), has_aux=True)(stored["params"], x)

    predicted, ((grads, dx), (out, statistics)) = predicted_and_gradient(stored, none)
    assert predicted.shape == (0, 10)
    assert out.shape == (0, 10)
    assert dx.shape == none.shape
    chex.assert_trees_all_equal(grads, stored["params"])  # all 0
    chex.assert_trees_all_equal(statistics, stored.get("batch_stats", {}))


LAYERS = {
    "Dense": nn.Dense(3),
    "Conv": nn.Conv(4, 3, stride=2, padding=1),
    "Conv 1x1": nn.Conv(4, 1),
    "Conv of groups": nn.Conv(6, 3, groups=3),
    "Conv of a dilated window": nn.Conv(4, 2, dilation=2),
    "BatchNorm": nn.BatchNorm(),
    "LayerNorm": nn.LayerNorm(),
    "Dropout": nn.Dropout(0.5),
    "Flatten": nn.Flatten(),
    "Centred": nn.Centred(),
    "DenseReLU": nn.DenseReLU(3),
}
FUNCTIONS = {
    **{f.__name__: f for f in (nn.relu, nn.leaky_relu, nn.sigmoid, nn.tanh, nn.gelu, nn.softmax, nn.log_softmax)},
    "global_avg_pool": nn.global_avg_pool,
    "flatten": nn.flatten,
    "entropy": lambda x: nn.entropy(nn.relu(x)),  # of shares, those of 0 among them: of negative ones it is NaN
    "max_pool": lambda x: nn.max_pool(x, 3, stride=2, padding=1),
    "max_pool of stride 1": lambda x: nn.max_pool(x, 3, stride=1, padding=1),
    "avg_pool": lambda x: nn.avg_pool(x, 3, stride=2, padding=1),
    "avg_pool of tiles": lambda x: nn.avg_pool(x, (2, 7)),
    "cross_entropy": lambda x: nn.cross_entropy(x[:, 0, 0], jnp.zeros(len(x), int)),
    "shares": lambda x: nn.cross_entropy_with_probabilities(x[:, 0, 0], x[:, 1, 1]),
    "squared_error": lambda x: nn.squared_error(x[:, 0, 0], x[:, 1, 1]),
    "absolute_error": lambda x: nn.absolute_error(x[:, 0, 0], x[:, 1, 1]),
    "huber": lambda x: nn.huber(x[:, 0, 0], x[:, 1, 1]),
    "log_squared_error": lambda x: nn.log_squared_error(x[:, 0, 0], x[:, 1, 1]),
}


def called(layer):
    """The layer as a function of x; those that differ in training are training."""
    train = {"train": True} if "train" in inspect.signature(type(layer).__call__).parameters else {}

    first = functools.cache(functools.partial(drawn, layer, **({"train": False} if train else {})))

    def run(x):
        stored = first(x.shape[1:], x.dtype)
        return layer.apply(stored, x, **train, mutable=["batch_stats"], rngs={"dropout": jax.random.key(1)})[0]

    return run


EVERYTHING = {**{name: called(layer) for name, layer in LAYERS.items()}, **FUNCTIONS}


@pytest.mark.slow
@pytest.mark.parametrize("how", [lambda f: f, jax.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("name", EVERYTHING)
def test_every_layer_gives_no_rows_for_no_rows_and_takes_a_gradient_of_them(name, how):
    for dtype in (jnp.float32, jnp.bfloat16):
        x = jnp.zeros((0, 6, 7, 3), dtype)
        y, back = jax.vjp(how(EVERYTHING[name]), x)
        assert y.shape[0] == 0
        assert back(y)[0].shape == x.shape


def test_a_batch_of_no_rows_leaves_the_running_statistics():
    running = nn.RunningStatistics(jnp.ones(3), jnp.ones(3))
    y, new = nn.batch_norm(jnp.zeros((0, 3)), jnp.ones(3), jnp.zeros(3), running, train=True)
    assert y.shape == (0, 3)
    assert new is running


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERYTHING)
def test_no_layer_makes_a_nan_of_ordinary_numbers_even_one_that_is_not_chosen(name):
    def value_and_gradient(x):
        y, back = jax.vjp(EVERYTHING[name], x)
        return y, back(jnp.ones_like(y))[0]

    found, made = nans_made(value_and_gradient, np.linspace(-2, 2, 2 * 6 * 7 * 3, dtype=np.float32).reshape(2, 6, 7, 3))
    assert made == []
    chex.assert_tree_all_finite(found)


@pytest.mark.parametrize("name", quick_first(SHALLOW))
def test_no_network_makes_a_nan_of_ordinary_numbers(name):
    network, shape, stored = shallow(name)
    x = np.linspace(0, 1, 2 * math.prod(shape), dtype=np.float32).reshape(2, *shape)

    def gradient(stored, x):
        def total(params):
            variables = {**stored, "params": params}
            out, _ = network.apply(
                variables, x, train=True, mutable=["batch_stats"], rngs={"dropout": jax.random.key(1)}
            )
            return jnp.sum(out)

        return network.apply(stored, x, train=False), jax.grad(total)(stored["params"])

    with tracing_for("cpu"):  # as it is compiled to train
        found, made = nans_made(gradient, stored, x)
    assert made == []
    chex.assert_tree_all_finite(found)


def test_a_nan_that_is_not_chosen_is_seen():
    x = jnp.asarray([-1.0, 0.0, 4.0])
    slope = jax.grad(lambda x: jnp.sum(jnp.where(x > 0, jnp.sqrt(x), 0)))
    _, made = nans_made(slope, x)
    assert "sqrt" in made
    assert nans_made(lambda x: jnp.sqrt(jnp.where(x > 0, x, 1.0)), x)[1] == []


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
