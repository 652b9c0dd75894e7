import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_networks import drawn

from jaxd2l.nn import relu
from jaxd2l.nn.models import MLP, LeNet
from jaxd2l.report.activations import maps, units

pytestmark = pytest.mark.usefixtures("unoptimised")


def started(model, shape):
    return lambda variables, x: model.apply(variables, x, train=False), drawn(model, shape, train=False)


class Own(nn.Module):
    """Everything that is a ReLU or a sigmoid in Flax's own words, and what only looks like one."""

    @nn.compact
    def __call__(self, x, *, train):
        x = nn.relu(nn.Conv(3, (3, 3))(x))
        x = nn.sigmoid(nn.Conv(2, (3, 3))(x))
        x = nn.leaky_relu(nn.Conv(2, (3, 3))(x))
        x = nn.silu(nn.Conv(2, (3, 3))(x))
        x = nn.gelu(nn.Dense(4)(x.reshape(x.shape[0], -1)))
        x = jnp.where(x > 1, x, 0.5)
        x = jnp.maximum(nn.Dense(5)(x), 0)
        return jnp.tanh(jnp.clip(x, -1, 1))


@pytest.mark.slow
def test_relus_and_sigmoids_are_found_in_order_and_nothing_else():
    x = np.random.default_rng(0).random((6, 8, 8, 1), np.float32)
    found = units(*started(Own(), (8, 8, 1)), x, 3)
    assert [(one.name, one.kind, one.shape) for one in found] == [
        ("Conv_0", "relu", (8, 8, 3)),
        ("Conv_1", "sigmoid", (8, 8, 2)),
        ("Dense_1", "relu", (5,)),
    ]


@pytest.mark.parametrize("examples", [12, 13, 7, 3])
def test_shares_are_those_of_the_network_computed_by_hand(examples):
    """Of all examples, each once, those too that fill no batch."""
    model = MLP(hidden=(7,), num_outputs=3)
    apply, variables = started(model, (5,))
    x = np.random.default_rng(1).normal(size=(examples, 5)).astype(np.float32)
    kernel = np.random.default_rng(2).normal(size=(5, 7)).astype(np.float32)
    bias = np.array([0, 0, 0, -100, 100, 0, -100], np.float32)
    params = {**variables["params"], "Dense_0": {"kernel": kernel, "bias": bias}}
    (found,) = units(apply, {"params": params}, x, 4)
    np.testing.assert_allclose(found.active, (x @ kernel + bias > 0).mean(axis=0), atol=1e-6)
    assert found.silent == 2
    assert found.active[4] == 1


@pytest.mark.slow
def test_a_sigmoid_is_silent_where_it_stays_flat():
    model = LeNet()
    apply, variables = started(model, (28, 28, 1))
    bias = np.zeros(120, np.float32)
    bias[:30], bias[30:50] = 60, -60
    params = {**variables["params"], "Dense_0": {**variables["params"]["Dense_0"], "bias": bias}}
    x = np.random.default_rng(0).random((4, 28, 28, 1), np.float32)
    found = {one.name: one for one in units(apply, {"params": params}, x, 4)}
    assert [*found] == ["Conv_0", "Conv_1", "Dense_0", "Dense_1"]
    assert {one.kind for one in found.values()} == {"sigmoid"}
    assert found["Dense_0"].silent == 50


@pytest.mark.slow
def test_feature_maps_are_what_the_activation_puts_out():
    model = LeNet(conv_activation=relu)
    apply, variables = started(model, (28, 28, 1))
    example = np.random.default_rng(0).random((28, 28, 1), np.float32)
    found = maps(apply, variables, example)
    assert [(name, value.shape) for name, value in found] == [("Conv_0", (28, 28, 6)), ("Conv_1", (10, 10, 16))]
    whole = jax.jit(lambda variables, x: model.apply(variables, x, train=False, capture_intermediates=True))
    _, seen = whole(variables, example[None])
    before = seen["intermediates"]["Conv_0"]["__call__"][0][0]
    np.testing.assert_allclose(found[0][1], np.maximum(before, 0), atol=1e-5)
    assert len(maps(apply, variables, example, 1)) == 1


@pytest.mark.parametrize("rows", [1, 3, 4, 9])
def test_any_number_of_examples_will_do(rows):
    x = np.random.default_rng(1).normal(size=(rows, 5)).astype(np.float32)
    (found,) = units(*started(MLP(hidden=(7,)), (5,)), x, 4)
    assert found.active.shape == (7,)


def test_a_network_without_activations_has_none():
    model = MLP(hidden=())
    assert units(*started(model, (5,)), np.zeros((2, 5), np.float32), 2) == []
    assert maps(*started(model, (5,)), np.zeros(5, np.float32)) == []


def test_a_choice_between_a_value_and_a_constant_is_no_activation():
    def apply(variables, x):
        x = jnp.where(x > 0, x, 1.0)
        return jax.nn.relu(jnp.where(x < 0.5, 2.0, x))

    assert [layer.kind for layer in units(apply, {}, np.ones((3, 5), np.float32), 3)] == ["relu"]
