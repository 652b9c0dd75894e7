"""Winograd's minimal filtering beside the plain convolution."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxd2l.nn import conv2d
from jaxd2l.nn.kernels import ways, winograd
from jaxd2l.nn.kernels.plan import plan
from jaxd2l.nn.kernels.tracing import plain_tracing
from jaxd2l.nn.kernels.ways import Geometry, Shape, minimal, plain

IMAGES = ((1, 1), (2, 3), (4, 4), (5, 8), (7, 6))
BORDERS = (((1, 1), (1, 1)), ((0, 0), (0, 0)), ((0, 2), (3, 1)), ((4, 1), (2, 0)))
FITTING = [
    (window, image, borders)
    for window, image, borders in itertools.product(winograd.WINDOWS, IMAGES, BORDERS)
    if all(size + sum(border) >= k for size, border, k in zip(image, borders, window, strict=True))
    and (window == (3, 3) or image in ((2, 3), (7, 6)))
]


def shape_of(image, channels, features, borders=BORDERS[0], window=(3, 3)):
    return Shape(image, window, channels, features, Geometry((1, 1), borders))


def arguments(shape, images, dtype=np.float32, whole=False):
    """What the three products take: (x, kernel), (kernel, dy) and (x, dy)."""
    rng = np.random.default_rng(0)

    def draw(*size):
        return (rng.integers(-9, 10, size) if whole else rng.normal(size=size)).astype(dtype)

    x = draw(images, *shape.image, shape.channels)
    kernel = draw(*shape.window, shape.channels, shape.features)
    dy = draw(images, *shape.output, shape.features)
    return (x, kernel), (kernel, dy), (x, dy)


def computed(*products):
    """Their results as one program: operation by operation, each is compiled alone."""
    functions, given = zip(*products, strict=True)
    run = jax.jit(lambda given: [f(*pair) for f, pair in zip(functions, given, strict=True)])
    return jax.tree.map(np.asarray, run(given))


@pytest.mark.slow
@pytest.mark.parametrize(("window", "image", "borders"), FITTING)
def test_whole_numbers_come_out_exactly(window, image, borders):
    shape = shape_of(image, 3, 4, borders, window)
    given = arguments(shape, 2, whole=True)
    results = computed(*zip((*minimal(shape), *plain(shape)), (*given, *given), strict=True))
    for found, expected in zip(results[:3], results[3:], strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("window", winograd.WINDOWS)
@pytest.mark.parametrize("product", range(3), ids=("forward", "input gradient", "filter gradient"))
def test_the_error_in_float32_is_a_rounding_error(product, window):
    """Root mean square of the error over that of the result: a few units of 2^-24, as of a sum written out."""
    shape = shape_of((12, 12), 96, 80, ((window[0] // 2,) * 2,) * 2, window)
    given = arguments(shape, 4)[product]
    with jax.enable_x64():
        (exact,) = computed((plain(shape)[product], tuple(jnp.asarray(a, jnp.float64) for a in given)))
    (found,) = computed((minimal(shape)[product], given))
    assert np.sqrt(np.mean((found.astype(np.float64) - exact) ** 2)) < 1e-6 * np.sqrt(np.mean(exact**2))


@pytest.mark.slow
@pytest.mark.parametrize(("images", "parts"), [(6, 2), (7, 3)])  # the last part of 7 is filled up
def test_tiles_too_large_for_the_cache_are_made_for_a_part_of_the_batch(images, parts, monkeypatch):
    shape = shape_of((6, 6), 4, 5)
    whole = computed(*zip(minimal(shape), arguments(shape, images), strict=True))
    monkeypatch.setattr(ways, "_TILE_NUMBERS", 3 * 16 * 9 * (4 + 5))  # of three images with nine tiles each
    monkeypatch.setattr(ways, "_TOTALS", 0)
    for way, given, expected in zip(minimal(shape), arguments(shape, images), whole, strict=True):
        program = jax.jit(lambda a, b, way=way: way(a, b))
        assert f"tensor<{parts}x3x6x6x" in program.lower(*given).as_text()
        np.testing.assert_allclose(program(*given), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.slow
def test_second_derivatives_are_those_of_the_plain_convolution():
    shape = shape_of((4, 4), 80, 88)
    assert plan(shape) == minimal(shape)
    (x, kernel), *_ = arguments(shape, 2)
    kernel /= 30

    def hessian_times_itself(x, kernel):
        def loss(x, kernel):
            return jnp.sum(jnp.tanh(conv2d(x, kernel, padding=1)) ** 2)

        return jax.jvp(jax.grad(loss, (0, 1)), (x, kernel), (x, kernel))[1]

    found = jax.jit(hessian_times_itself)(x, kernel)
    with plain_tracing():
        expected = jax.jit(hessian_times_itself)(x, kernel)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4 * float(jnp.abs(other).max()))


def test_float64_is_never_transformed():
    for window in winograd.WINDOWS:
        assert plan(shape_of((9, 9), 128, 128, window=window)) == minimal(shape_of((9, 9), 128, 128, window=window))
        for image, channels, features in itertools.product(((4, 4), (9, 9), (56, 56)), (8, 64, 256), (8, 64, 256)):
            shape = shape_of(image, channels, features, window=window)
            assert not set(plan(shape, exact=True)) & set(minimal(shape))


def test_a_convolution_in_float64_keeps_its_digits():
    shape = shape_of((6, 6), 96, 96)
    with jax.enable_x64():
        x, kernel = (jnp.asarray(a, jnp.float64) for a in arguments(shape, 1)[0])
        text = jax.jit(lambda x, kernel: conv2d(x, kernel, padding=1)).lower(x, kernel).as_text()
    assert "convolution" in text
    assert "dot_general" not in text
