"""Receptive fields equal those found by gradients: which pixels have a derivative that is not zero."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from model_table import UNOPTIMISED
from random_arrays import uniform
from small_networks import drawn

from jaxd2l.cost.layers import layers
from jaxd2l.nn import Conv, avg_pool, max_pool, relu
from jaxd2l.nn.models import VGG, LeNet
from jaxd2l.nn.models.googlenet import Inception
from jaxd2l.nn.models.resnet import Residual
from jaxd2l.recipes import RECIPES

IMAGES = 64  # random images, so that each pixel is the maximum of its window in one of them


class Branches(nn.Module):
    """An Inception block and a residual block: concatenation and addition of paths of unequal reach."""

    @nn.compact
    def __call__(self, x, *, train: bool):
        x = Inception((2, (1, 2), (1, 2), 1))(x)
        x = Residual(3, stride=2)(x, train=train)
        return Conv(1, (3, 3))(x)


class Dilated(nn.Module):
    """Strides, uneven windows, dilation, groups, both pools and a reshape that merges no space."""

    @nn.compact
    def __call__(self, x, *, train: bool):
        x = Conv(4, (3, 2), stride=(1, 2), padding=((2, 0), (1, 1)))(x)
        x = avg_pool(x, (2, 3), stride=(1, 2), padding=1)
        x = Conv(4, (3, 1), dilation=(2, 1), groups=2)(x)
        x = max_pool(jnp.transpose(x, (0, 2, 1, 3)), (2, 1), stride=1)
        x = x.reshape(*x.shape[:3], 2, 2).reshape(x.shape)
        return Conv(1, (2, 2))(relu(x))


NETWORKS = {
    "lenet": (LeNet(conv_activation=relu), (31, 29, 1)),
    "vgg": (VGG(((1, 2), (2, 2)), dense_features=(2,)), (31, 33, 1)),
    "branches": (Branches(), (33, 31, 1)),
    "dilated": (Dilated(), (25, 31, 2)),
}


def by_gradient(model, shape, names):
    """Rows and columns that the middle of each layer's output depends on: positive kernels, random images."""
    x = uniform(0, (IMAGES, *shape), low=0.5)
    variables = drawn(model, shape, train=False)
    variables = {**variables, "params": jax.tree.map(lambda a: np.abs(a) + np.float32(0.1), variables["params"])}

    def middles(x):
        _, found = model.apply(
            variables, x, train=False, mutable=["intermediates"], capture_intermediates=lambda m, _: isinstance(m, Conv)
        )
        outputs = [functools.reduce(dict.get, (*name.split("/"), "__call__"), found["intermediates"]) for name in names]
        return jnp.stack([jnp.sum(y[:, y.shape[1] // 2, y.shape[2] // 2]) for (y,) in outputs])

    @functools.partial(jax.jit, compiler_options=UNOPTIMISED)
    def gradients(x):
        _, pull = jax.vjp(middles, x)
        return jax.lax.map(lambda direction: pull(direction)[0], jnp.eye(len(names)))

    for gradient in np.asarray(gradients(x)):
        seen = (gradient != 0).any(axis=(0, 3))
        yield tuple(int(np.ptp(np.flatnonzero(seen.any(axis)))) + 1 for axis in (1, 0))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_receptive_fields_are_those_found_by_gradients(name):
    model, shape = NETWORKS[name]
    found = [layer for layer in layers(model, jax.ShapeDtypeStruct((1, *shape), jnp.float32)) if layer.receptive_field]
    assert len(found) >= 2
    # beyond the edge of an image there is no gradient: these images are large enough for the deepest layer
    names = [layer.name for layer in found]
    assert [layer.receptive_field for layer in found] == list(by_gradient(model, shape, names))


def test_a_chain_by_hand():
    """5 + (2 - 1) * 1 after the pool, then (5 - 1) * 2 more: D2L's LeNet sees 14 pixels."""
    found = layers(LeNet(), jax.ShapeDtypeStruct((1, 28, 28, 1), jnp.float32))
    assert [layer.receptive_field for layer in found] == [(5, 5), (14, 14), (), (), ()]


def test_where_a_pool_leaves_no_pixel_none_is_followed():
    class Pools(nn.Module):
        @nn.compact
        def __call__(self, x, *, train):
            x = nn.max_pool(Conv(2, 3)(x), (9, 9))
            return nn.Dense(3)(x.reshape(len(x), -1))

    found = layers(Pools(), jax.ShapeDtypeStruct((1, 8, 8, 1), jnp.float32))
    assert found[0].receptive_field == (3, 3)


class Own(Conv):
    """A convolution of one's own, by its class alone."""


def test_a_field_belongs_to_the_layer_that_has_it():
    class Mixed(nn.Module):
        upsampled: bool

        @nn.compact
        def __call__(self, x, *, train: bool):
            x = nn.ConvTranspose(2, (2, 2), strides=(2, 2))(x) if self.upsampled else x
            x = Own(2, (7, 7))(x=x)
            most = jnp.full((), -jnp.inf, x.dtype)
            x = jax.lax.reduce_window(x, most, lambda a, b: jax.lax.max(a, b), (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
            return Conv(3, (3, 3))(x=x)

    plain, upsampled = (
        {layer.name: layer for layer in layers(Mixed(up), jax.ShapeDtypeStruct((1, n, n, 1), jnp.float32))}
        for up, n in ((False, 24), (True, 12))
    )
    assert {name: layer.receptive_field for name, layer in plain.items()} == {"Own_0": (7, 7), "Conv_0": (12, 12)}
    assert [layer.reads_input for layer in plain.values()] == [True, False]
    # zeros between the pixels: what is seen then is said to be all of them
    fields = {"ConvTranspose_0": (), "Own_0": (12, 12), "Conv_0": (12, 12)}
    assert {name: layer.receptive_field for name, layer in upsampled.items()} == fields
    assert plain["Conv_0"].macs == 7 * 7 * 9 * 2 * 3


@pytest.mark.parametrize(
    ("mixed", "seen"),
    [
        (lambda x: jnp.cumsum(x, axis=1), (9, 3)),
        (lambda x: jnp.cumsum(x, axis=3), (3, 3)),
        (lambda x: x[:, :, ::-1], (3, 7)),
        (lambda x: x[..., ::-1], (3, 3)),
        (lambda x: jnp.sort(x, axis=2), (3, 7)),
        (lambda x: jnp.fft.fft(x, axis=1).real, (9, 7)),
        (lambda x: x[:, jnp.asarray([0, 8, 1, 2, 3, 4, 5, 6, 7])], (9, 7)),
        (lambda x: jax.lax.fori_loop(0, 3, lambda _, x: jnp.roll(x, 1, 1), x), (9, 7)),
        (lambda x: jax.lax.reduce_precision(x, 8, 7), (3, 3)),
    ],
    ids=["cumsum", "cumsum of channels", "rev", "rev of channels", "sort", "fft", "gather", "loop", "reduce_precision"],
)
def test_what_mixes_pixels_without_changing_the_shape_is_seen_through(mixed, seen):
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x, *, train: bool):
            return Conv(2, (3, 3))(mixed(x))

    (found,) = layers(Net(), jax.ShapeDtypeStruct((1, 9, 7, 3), jnp.float32))
    assert found.receptive_field == seen


def test_a_volume_is_seen_along_all_axes():
    found = layers(RECIPES["conv3d"].model, jax.ShapeDtypeStruct((1, 8, 28, 28, 1), jnp.float32))
    assert [layer.receptive_field for layer in found if layer.kind == "Conv"] == [(3, 3, 3), (8, 8, 8)]


def test_after_a_mean_over_the_image_all_of_it_is_seen():
    class Gated(nn.Module):
        @nn.compact
        def __call__(self, x, *, train: bool):
            weight = jnp.mean(x, axis=(1, 2), keepdims=True)
            return Conv(2, (3, 3))(x * weight)

    (found,) = layers(Gated(), jax.ShapeDtypeStruct((1, 9, 7, 3), jnp.float32))
    assert found.receptive_field == (9, 7)
