"""Layers of flax.linen count as those of jaxd2l.nn do."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from jaxd2l.cost import cost
from jaxd2l.cost.layers import layers
from jaxd2l.data import Dataset, Examples
from jaxd2l.nn import BatchNorm, Conv, Dense, max_pool, relu
from jaxd2l.train import Recipe


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
