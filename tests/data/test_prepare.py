import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxd2l.data import image_preparer, resize, scale

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 5, 5, 3), dtype=np.uint8)


def test_scale_maps_bytes_to_the_unit_interval():
    # XLA may multiply by the rounded reciprocal of 255
    np.testing.assert_allclose(scale(jnp.array([0, 51, 255], jnp.uint8)), np.float32([0, 0.2, 1]), rtol=2e-7)


def test_scale_refuses_floats_that_would_be_divided_twice():
    with pytest.raises(ValueError, match="must be uint8"):
        scale(jnp.ones(3))


def _interpolated(image, size):
    """Bilinear interpolation with half-pixel centres and clamped edges, pixel by pixel in float64."""
    height = image.shape[0]
    out = np.zeros((size, size, image.shape[2]))
    for i in range(size):
        for j in range(size):
            r, c = ((k + 0.5) * height / size - 0.5 for k in (i, j))
            r0, c0 = int(np.floor(r)), int(np.floor(c))
            for dr in (0, 1):
                for dc in (0, 1):
                    weight = (1 - abs(r - r0 - dr)) * (1 - abs(c - c0 - dc))
                    out[i, j] += weight * image[np.clip(r0 + dr, 0, height - 1), np.clip(c0 + dc, 0, height - 1)]
    return out


@pytest.mark.slow
@pytest.mark.parametrize("size", [7, 11, 15])
def test_resize_is_bilinear_interpolation_with_half_pixel_centres(size):
    enlarged = resize(scale(jnp.asarray(IMAGES)), size)
    expected = np.stack([_interpolated(image / 255.0, size) for image in IMAGES])
    np.testing.assert_allclose(enlarged, expected, atol=2e-6)  # float32 weights


@pytest.mark.slow
def test_resize_keeps_a_constant_image_constant_when_it_shrinks():
    np.testing.assert_allclose(resize(jnp.full((1, 12, 12, 1), 0.3), 5), np.full((1, 5, 5, 1), 0.3), rtol=1e-6)


def test_resize_to_the_same_size_changes_nothing():
    x = scale(jnp.asarray(IMAGES))
    assert resize(x, 5) is x


@pytest.mark.slow
def test_the_preparer_gives_floats_of_the_size_it_names_also_under_jit():
    prepare = image_preparer(8)
    chex.assert_shape(prepare(jnp.asarray(IMAGES)), (2, 8, 8, 3))
    # jit may fuse the division into the interpolation's products
    chex.assert_trees_all_close(jax.jit(prepare)(IMAGES), prepare(jnp.asarray(IMAGES)), atol=1e-6)
    with pytest.raises(ValueError, match="at least 1 pixel"):
        image_preparer(0)
