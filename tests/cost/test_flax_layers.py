"""Layers of flax.linen count as those of jaxd2l.nn do."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from jaxd2l.cost import cost
from jaxd2l.cost.layers import layers
from jaxd2l.data import Dataset, Examples
from jaxd2l.nn import BatchNorm, Conv, Dense, max_pool, relu
from jaxd2l.nn.parameters import count
from jaxd2l.train import Recipe
from jaxd2l.train.state import variables_like


class Ours(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        x = relu(BatchNorm()(Conv(6, 3, stride=2, padding=1)(x), train=train))
        x = max_pool(Conv(5, (2, 3), padding=0)(x), 2)
        return Dense(3)(x.reshape(len(x), -1))


class Flaxs(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(nn.Conv(6, (3, 3), strides=2, padding=1)(x)))
        x = nn.max_pool(nn.Conv(5, (2, 3), padding=0)(x), (2, 2), (2, 2))
        return nn.Dense(3)(x.reshape(len(x), -1))


PART = Examples(jax.ShapeDtypeStruct((7, 11, 13, 2), "uint8"), jax.ShapeDtypeStruct((7,), "int32"))


def counted(model):
    return cost(Recipe("own", model, "own", batch_size=4), Dataset("own", PART, PART, ("a", "b", "c")), platform="gpu")


@pytest.mark.slow
def test_the_same_network_of_flax_counts_the_same():
    ours, flaxs = counted(Ours()), counted(Flaxs())
    assert flaxs.macs == ours.macs > 0
    assert flaxs.parameters == ours.parameters
    assert flaxs.padding_flops == ours.padding_flops > 0
    assert [one._replace(activation_bytes=0) for one in flaxs.layers] == [
        one._replace(activation_bytes=0) for one in ours.layers
    ]


@pytest.mark.parametrize(
    ("layer", "shape", "macs"),
    [
        (nn.Conv(6, (3, 3), feature_group_count=2, padding="VALID"), (7, 7, 4), 25 * 9 * 2 * 6),
        (nn.ConvTranspose(5, (2, 2), strides=(2, 2), padding="VALID"), (3, 3, 4), 9 * 4 * 4 * 5),
        (nn.DenseGeneral((2, 3), axis=(-2, -1)), (5, 7), 35 * 6),
        (nn.Einsum((7, 3), "abc,cd->abd"), (5, 7), 5 * 7 * 3),
        (nn.MultiHeadDotProductAttention(2, qkv_features=6), (5, 4), 5 * 4 * 6 * 3 + 2 * 5 * 5 * 6 + 5 * 6 * 4),
        (nn.RNN(nn.SimpleCell(3)), (5, 4), 5 * (4 * 3 + 3 * 3)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_every_layer_that_multiplies_is_counted(layer, shape, macs):
    class Net(nn.Module):
        inner: nn.Module

        @nn.compact
        def __call__(self, x, *, train):
            return self.inner(x)

    found = layers(Net(layer), jax.ShapeDtypeStruct((2, *shape), jnp.float32))
    assert sum(one.macs for one in found) == macs


def test_parameters_of_a_network_itself_and_products_without_parameters_are_counted():
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x, *, train):
            x = x @ self.param("kernel", nn.initializers.normal(), (4, 3))
            return x @ x.T

    (one,) = layers(Net(), jax.ShapeDtypeStruct((2, 4), jnp.float32))
    assert (one.name, one.parameters, one.macs) == ("Net", 12, 12 + 2 * 3)


class Body(nn.Module):
    layer: type[nn.Module]

    @nn.compact
    def __call__(self, x, _):
        return relu(self.layer(x.shape[-1])(x)), None


class Encoder(nn.Module):
    def setup(self):
        self.inner, self.kernel = Dense(5), self.param("kernel", nn.initializers.ones, (5, 7))

    def encode(self, x):
        return self.inner(x) @ self.kernel

    def __call__(self, x):
        return self.encode(x)


def chosen(net, x):
    return nn.cond(jnp.sum(x) > 0, *(lambda net, x, k=k: k * Dense(3, name="a")(x) for k in (1, 2)), net, x)


COPIES = {"variable_axes": {"params": 0}, "split_rngs": {"params": True}}
OWN = {  # what is made of x (2, 4), parameters, multiply-adds
    "scan of ours": (lambda net, x: nn.scan(Body, length=5, **COPIES)(Dense)(x, None)[0], 5 * 20, 5 * 16),
    "scan of Flax's": (lambda net, x: nn.scan(Body, length=5, **COPIES)(nn.Dense)(x, None)[0], 5 * 20, 5 * 16),
    "one kernel in a scan": (
        lambda net, x: nn.scan(Body, length=5, variable_broadcast="params", split_rngs={"params": False})(Dense)(
            x, None
        )[0],
        20,
        5 * 16,
    ),
    "vmap": (
        lambda net, x: nn.vmap(Dense, in_axes=None, out_axes=1, axis_size=3, **COPIES)(7)(x),
        3 * (4 * 7 + 7),
        3 * 4 * 7,
    ),
    "remat": (lambda net, x: nn.remat(Dense)(7)(x), 35, 28),
    "remat of a scan": (lambda net, x: nn.remat_scan(Dense, lengths=(2, 3))(4)(x), 6 * 20, 6 * 16),
    "another method": (lambda net, x: Encoder().encode(x), 25 + 35, 20 + 35),
    "an embedding read backwards": (lambda net, x: nn.Embed(9, 4).attend(x), 36, 36),
    "layers made outside of the one that calls them": (
        lambda net, x: nn.Sequential([Dense(5), nn.Sequential([nn.Dense(3), Dense(2)])])(x),
        25 + 18 + 8,
        20 + 15 + 6,
    ),
    "a kernel by length and direction": (lambda net, x: nn.WeightNorm(nn.Dense(7))(x), 35 + 7, 28),
    "the dearer of two branches": (chosen, 15, 12),
}


@pytest.mark.parametrize(("made", "parameters", "macs"), OWN.values(), ids=OWN)
def test_all_parameters_and_products_of_any_network_are_some_layers(made, parameters, macs):
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x, *, train):
            return Dense(2)(made(self, x).reshape(len(x), -1))

    x = jax.ShapeDtypeStruct((2, 4), jnp.float32)
    found = layers(Net(), x)
    held = count(variables_like(Net(), x)["params"])
    last = found[-1]
    assert (last.name[:5], last.kind) == ("Dense", "Dense")
    assert sum(one.parameters for one in found) == held
    assert [sum(getattr(one, what) for one in found[:-1]) for what in ("parameters", "macs")] == [parameters, macs]


def test_each_layer_has_its_own_products_wherever_it_is_called():
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x, *, train):
            shared = nn.Conv(2, (3, 3), name="shared")
            x = shared(jnp.concatenate([shared(x), x[:, :4].repeat(2, 1)], 2)[:, :4])
            return nn.Sequential([lambda x: x.reshape(len(x), -1), Dense(3), nn.Dense(5)])(x)

    found = layers(Net(), jax.ShapeDtypeStruct((2, 8, 8, 2), jnp.float32))
    assert [(one.name, one.macs) for one in found] == [
        ("shared", 8 * 8 * 9 * 4),
        ("shared", 4 * 16 * 9 * 4),
        ("Dense_0", 4 * 16 * 2 * 3),
        ("Dense_1", 15),
    ]
