"""Augmentations: what they may do to an image, that they do all of it, and that a run repeats with them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxd2l.data import AUGMENTATIONS, random_crop, random_flip

IMAGES = np.random.default_rng(0).integers(1, 256, (400, 5, 6, 2), dtype=np.uint8)


def test_a_flip_mirrors_half_of_the_images_and_leaves_the_others():
    flipped = np.asarray(jax.jit(random_flip)(jax.random.key(0), IMAGES))
    mirrored = (flipped == IMAGES[:, :, ::-1]).all((1, 2, 3))
    kept = (flipped == IMAGES).all((1, 2, 3))
    assert flipped.dtype == np.uint8
    assert (mirrored ^ kept).all()
    assert 150 < mirrored.sum() < 250  # 200 expected, 10 the standard deviation


def test_a_crop_is_a_window_of_the_padded_image_and_every_place_is_drawn():
    cropped = np.asarray(jax.jit(random_crop, static_argnums=2)(jax.random.key(1), IMAGES, 2))
    bordered = np.pad(IMAGES, ((0, 0), (2, 2), (2, 2), (0, 0)))
    places = set()
    for image, whole in zip(cropped, bordered, strict=True):
        found = [(i, j) for i in range(5) for j in range(5) if (whole[i : i + 5, j : j + 6] == image).all()]
        assert len(found) == 1
        places.update(found)
    assert len(places) == 25
    np.testing.assert_array_equal(random_crop(jax.random.key(2), IMAGES, 0), IMAGES)


@pytest.mark.parametrize("augment", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_augmentations_keep_shape_and_dtype_and_depend_on_the_key_alone(augment):
    for dtype in (jnp.uint8, jnp.float32):
        images = jnp.asarray(IMAGES, dtype)
        one, again, other = (augment(jax.random.key(k), images) for k in (0, 0, 1))
        assert one.shape == images.shape
        assert one.dtype == dtype
        np.testing.assert_array_equal(one, again)
        assert (one != other).any()


def test_wrong_input_is_refused():
    for augment in AUGMENTATIONS.values():
        with pytest.raises(ValueError, match=r"must be \(n, height, width, channels\), got shape \(5, 6\)"):
            augment(jax.random.key(0), jnp.zeros((5, 6)))
    with pytest.raises(ValueError, match="padding must be at least 0 pixels, got -1"):
        random_crop(jax.random.key(0), jnp.zeros((1, 5, 6, 1)), -1)
