"""Augmentations: what they may do to an image, that they do all of it, and that a run repeats with them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxd2l.data import (
    AUGMENTATIONS,
    augmentation,
    random_crop,
    random_crop_and_flip,
    random_erase,
    random_flip,
    random_mixing,
    random_rotate,
)

pytestmark = pytest.mark.usefixtures("unoptimised")
IMAGES = np.random.default_rng(0).integers(1, 256, (400, 5, 6, 2), dtype=np.uint8)


def test_a_flip_mirrors_half_of_the_images_and_leaves_the_others():
    flipped = np.asarray(jax.jit(random_flip)(jax.random.key(0), IMAGES))
    mirrored = (flipped == IMAGES[:, :, ::-1]).all((1, 2, 3))
    kept = (flipped == IMAGES).all((1, 2, 3))
    assert flipped.dtype == np.uint8
    assert (mirrored ^ kept).all()
    assert 150 < mirrored.sum() < 250  # 200 expected, 10 the standard deviation


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("augment", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_augmentations_keep_shape_and_dtype_and_depend_on_the_key_alone(augment):
    for dtype in (jnp.uint8, jnp.float32):
        images = jnp.asarray(IMAGES, dtype)
        one, again, other = (augment(jax.random.key(k), images) for k in (0, 0, 1))
        assert one.shape == images.shape
        assert one.dtype == dtype
        np.testing.assert_array_equal(one, again)
        assert (one != other).any()


@pytest.mark.slow
def test_erasing_sets_a_rectangle_of_half_of_the_images_to_0():
    images = np.full((600, 20, 24, 2), 7, np.uint8)
    erased = np.asarray(jax.jit(random_erase)(jax.random.key(0), images)) == 0
    assert (erased[..., 0] == erased[..., 1]).all()
    shares = []
    for one in erased[..., 0]:
        rows, columns = one.any(1), one.any(0)
        np.testing.assert_array_equal(one, rows[:, None] & columns[None, :])
        for line in (rows, columns):
            assert np.abs(np.diff(line.astype(int))).sum() <= 2  # without a gap
        shares.append(one.mean())
    shares = np.array(shares)
    touched = shares[shares > 0]
    assert 240 < len(touched) < 360  # 300 expected, 12 the standard deviation
    assert 0.01 < touched.min() < 0.05  # from .02 up, in whole pixels
    assert 0.28 < touched.max() < 0.36  # to .33
    assert len({tuple(np.argwhere(one[..., 0])[0]) for one in erased[shares > 0]}) > 100  # at all places
    tiny = random_erase(jax.random.key(0), np.ones((50, 1, 2, 1), np.float32))
    assert (tiny == 0).any()


@pytest.mark.slow
def test_a_rotation_turns_about_the_centre_and_each_image_for_itself():
    square = np.random.default_rng(1).integers(0, 256, (1, 9, 9, 3), dtype=np.uint8)
    np.testing.assert_array_equal(random_rotate(jax.random.key(0), square, 0.0), square)
    drawn = float(jax.random.uniform(jax.random.key(3), (1, 1, 1), minval=-1.0, maxval=1.0)[0, 0, 0])
    assert abs(drawn) >= 0.5, "the key draws too little to be made a quarter turn"
    turned = random_rotate(jax.random.key(3), square, 90 / abs(drawn))
    np.testing.assert_array_equal(turned, np.rot90(square, 1 if drawn < 0 else -1, (1, 2)))
    grey = np.full((40, 9, 9, 1), 200, np.uint8)
    many = np.asarray(random_rotate(jax.random.key(0), grey))
    assert (many[:, 2:-2, 2:-2] == 200).all()  # what moves in is 0, and only at the border
    assert len(np.unique(many.reshape(40, -1), axis=0)) == 40


@pytest.mark.slow
def test_a_list_is_one_change_after_another_with_keys_of_their_own():
    key = functools.partial(jax.random.key, 4)
    np.testing.assert_array_equal(augmentation("crop,flip")(key(), IMAGES), random_crop_and_flip(key(), IMAGES))
    first, second = jax.random.split(key())
    expected = random_rotate(second, random_erase(first, IMAGES))
    np.testing.assert_array_equal(augmentation("erase, rotate")(key(), IMAGES), expected)
    assert augmentation("flip") is random_flip
    for names, message in (
        (
            "flip,turn",
            "augment must be some of flip, crop, crop_flip, erase, rotate with commas between, got 'flip,turn'",
        ),
        ("", "augment must be some of"),
        ("crop_flip,flip", "augment must name each change once, got 'crop_flip,flip'"),
    ):
        with pytest.raises(ValueError, match=message):
            augmentation(names)


@pytest.mark.slow
def test_wrong_input_is_refused():
    for augment in AUGMENTATIONS.values():
        with pytest.raises(ValueError, match=r"must be \(n, height, width, channels\), got shape \(5, 6\)"):
            augment(jax.random.key(0), jnp.zeros((5, 6)))
    with pytest.raises(ValueError, match="padding must be at least 0 pixels, got -1"):
        random_crop(jax.random.key(0), jnp.zeros((1, 5, 6, 1)), -1)
    with pytest.raises(ValueError, match="degrees must be between 0 and 180, got 181"):
        random_rotate(jax.random.key(0), jnp.zeros((1, 5, 6, 1)), 181)


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [1e-45, 1e-38, 1e-30, 1e-8, 1e8, 1e30])
def test_the_share_of_mixup_is_at_least_half_for_any_alpha(alpha):
    mixing = random_mixing(jax.random.key(0), jnp.ones(3), alpha)
    assert 0.5 <= mixing.share <= 1


@pytest.mark.slow
def test_mixup_is_the_same_where_float64_is_on():
    weight = np.ones(5, np.float32)
    plain = random_mixing(jax.random.key(3), jnp.asarray(weight), 0.2)
    with jax.enable_x64(True):
        mixing = random_mixing(jax.random.key(3), jnp.asarray(weight), 0.2)
        assert mixing.of(jnp.asarray(weight), jnp.asarray(weight)).dtype == jnp.float32
    np.testing.assert_array_equal(mixing.share, plain.share)
    np.testing.assert_array_equal(mixing.partner, plain.partner)
