"""Random changes to a batch of stored images inside the step, so that no two epochs see the same pixels.

They work on the stored bytes, before scaling and resizing: a quarter of the memory, and the image at its own size.
Every image draws for itself. Training alone augments; evaluation sees the images as they are.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

type Augment = Callable[[jax.Array, jax.Array], jax.Array]

CROP_PADDING = 4  # pixels; for 32 pixels a side, He et al. 2016 (arXiv:1512.03385), section 4.2
ERASED_SHARE, ERASED_RATIO = (0.02, 0.33), (0.3, 3.3)  # of the image's area; height to width
ROTATION = 10.0  # degrees


def random_flip(key: jax.Array, images: jax.Array) -> jax.Array:
    """Mirror each image left to right with probability 1/2 (torchvision's `RandomHorizontalFlip`).

    Args:
        key: spent.
        images: (n, height, width, channels) of any dtype.

    Returns:
        The same shape and dtype.

    Raises:
        ValueError: not a batch of images.
    """
    _require_images(images)
    mirrored = jax.random.bernoulli(key, shape=(images.shape[0], 1, 1, 1))
    return jnp.where(mirrored, images[:, :, ::-1], images)


def random_crop(key: jax.Array, images: jax.Array, padding: int = CROP_PADDING) -> jax.Array:
    """Shift each image by up to `padding` pixels along both axes; what moves in is 0.

    That is torchvision's `RandomCrop(size, padding)`: a border of zeros, then a window of the old size at a place drawn
    uniformly from the (2 `padding` + 1)^2 there are.

    Args:
        key: spent.
        images: (n, height, width, channels) of any dtype.
        padding: pixels.

    Returns:
        The same shape and dtype.

    Raises:
        ValueError: not a batch of images, or a negative padding.
    """
    _require_images(images)
    if padding < 0:
        raise ValueError(f"padding must be at least 0 pixels, got {padding}")
    n, *size = images.shape
    bordered = jnp.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    corners = jax.random.randint(key, (n, 2), 0, 2 * padding + 1)

    def window(image: jax.Array, corner: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), size)

    return jax.vmap(window)(bordered, corners)


def random_crop_and_flip(key: jax.Array, images: jax.Array) -> jax.Array:
    """`random_crop`, then `random_flip`: what residual networks are trained with on CIFAR."""
    crop_key, flip_key = jax.random.split(key)
    return random_flip(flip_key, random_crop(crop_key, images))


def random_erase(key: jax.Array, images: jax.Array) -> jax.Array:
    """Set a rectangle of every second image to 0 (Zhong et al. 2017, arXiv:1708.04896; torchvision's `RandomErasing`).

    Each image draws whether, the rectangle's area (a share of .02 to .33 of the image), the ratio of its sides (.3 to
    3.3, uniform in the logarithm) and its place. A side that would be longer than the image is the image's.

    Args:
        key: spent.
        images: (n, height, width, channels) of any dtype.

    Returns:
        The same shape and dtype.

    Raises:
        ValueError: not a batch of images.
    """
    _require_images(images)
    n, height, width, _ = images.shape
    whether_key, area_key, ratio_key, rows_key, columns_key = jax.random.split(key, 5)
    area = height * width * jax.random.uniform(area_key, (n, 1), minval=ERASED_SHARE[0], maxval=ERASED_SHARE[1])
    low, high = map(math.log, ERASED_RATIO)
    ratio = jnp.exp(jax.random.uniform(ratio_key, (n, 1), minval=low, maxval=high))

    def inside(key: jax.Array, side: jax.Array, length: int) -> jax.Array:
        """Whether each of `length` rows, or columns, is in the rectangle: (n, length)."""
        side = jnp.clip(jnp.round(side), 1, length)
        first = jnp.floor(jax.random.uniform(key, (n, 1)) * (length - side + 1))
        place = jnp.arange(length)[None, :]
        return (place >= first) & (place < first + side)

    rows = inside(rows_key, jnp.sqrt(area * ratio), height)
    columns = inside(columns_key, jnp.sqrt(area / ratio), width)
    erased = rows[:, :, None] & columns[:, None, :] & jax.random.bernoulli(whether_key, shape=(n, 1, 1))
    return jnp.where(erased[..., None], jnp.zeros_like(images), images)


def random_rotate(key: jax.Array, images: jax.Array, degrees: float = ROTATION) -> jax.Array:
    """Turn each image about its centre by up to `degrees` either way; what moves in is 0.

    That is torchvision's `RandomRotation(degrees, InterpolationMode.BILINEAR)`: every pixel is read between its four
    nearest ones; integers are rounded to the nearest.

    Args:
        key: spent.
        images: (n, height, width, channels) of any dtype.
        degrees: 0 to 180.

    Returns:
        The same shape and dtype.

    Raises:
        ValueError: not a batch of images, or degrees out of range.
    """
    _require_images(images)
    if not 0 <= degrees <= 180:
        raise ValueError(f"degrees must be between 0 and 180, got {degrees}")
    n, height, width, channels = images.shape
    angle = jax.random.uniform(key, (n, 1, 1), minval=-degrees, maxval=degrees) * (math.pi / 180)
    y = (jnp.arange(height) - (height - 1) / 2)[None, :, None]
    x = (jnp.arange(width) - (width - 1) / 2)[None, None, :]
    # barriers: fused into the reading of four pixels, all of this would be computed anew for each of them
    cos, sin = jax.lax.optimization_barrier((jnp.cos(angle), jnp.sin(angle)))
    from_y = cos * y - sin * x + (height - 1) / 2  # (n, height, width)
    from_x = sin * y + cos * x + (width - 1) / 2
    top, left = jnp.floor(from_y), jnp.floor(from_x)
    inside = (top >= -1) & (top < height) & (left >= -1) & (left < width)
    row = width + 2  # of the images with a border of zeros
    place = jnp.where(inside, (top + 1) * row + left + 1, 0.0).astype(jnp.int32)
    place += (jnp.arange(n) * ((height + 2) * row))[:, None, None]
    bordered = jnp.pad(jnp.asarray(images), ((0, 0), (1, 1), (1, 1), (0, 0))).reshape(-1, channels)
    place, bordered = jax.lax.optimization_barrier((place, bordered))

    def pixel(offset: int) -> jax.Array:
        return bordered.at[place + offset].get(mode="promise_in_bounds").astype(jnp.float32)

    down, right = (from_y - top)[..., None], (from_x - left)[..., None]
    upper = (1 - right) * pixel(0) + right * pixel(1)
    lower = (1 - right) * pixel(row) + right * pixel(row + 1)
    turned = jnp.where(inside[..., None], (1 - down) * upper + down * lower, 0.0)
    turned = jnp.round(turned) if jnp.issubdtype(images.dtype, jnp.integer) else turned
    return turned.astype(images.dtype)


AUGMENTATIONS: dict[str, Augment] = {
    "flip": random_flip,
    "crop": random_crop,
    "crop_flip": random_crop_and_flip,
    "erase": random_erase,
    "rotate": random_rotate,
}


def augmentation(names: str) -> Augment:
    """The augmentations of a list such as "crop,flip,erase", one after another, each with a key of its own.

    Args:
        names: keys of `AUGMENTATIONS` with commas between, each change once.

    Raises:
        ValueError: another name, or a change twice.
    """
    words = [word.strip() for word in names.split(",")]
    if not all(word in AUGMENTATIONS for word in words):
        raise ValueError(f"augment must be some of {', '.join(AUGMENTATIONS)} with commas between, got {names!r}")
    changes = ",".join(words).replace("crop_flip", "crop,flip").split(",")
    if len(set(changes)) < len(changes):
        raise ValueError(f"augment must name each change once, got {names!r}")
    if len(words) == 1:
        return AUGMENTATIONS[words[0]]

    def one_after_another(key: jax.Array, images: jax.Array) -> jax.Array:
        for word, own_key in zip(words, jax.random.split(key, len(words)), strict=True):
            images = AUGMENTATIONS[word](own_key, images)
        return images

    return one_after_another


class Mixing(NamedTuple):
    """How a batch is mixed: example i with example `partner[i]` (b,), of itself the share `share`, a scalar."""

    partner: jax.Array
    share: jax.Array

    def of(self, values: jax.Array, others: jax.Array) -> jax.Array:
        """`values` mixed with those of the partners."""
        return self.share * values + (1 - self.share) * others


def random_mixing(key: jax.Array, weight: jax.Array, alpha: float) -> Mixing:
    """Draw the partners and the share of a batch for mixup (Zhang et al. 2018, arXiv:1710.09412).

    Args:
        key: spent.
        weight: (b,) 1 for a real example, 0 for padding, which is nobody's partner.
        alpha: of the Beta(alpha, alpha) that the share is drawn from, above 0; small ones mix little.

    Returns:
        One share for the batch, the larger of the two, so that an example's own label weighs at least half; the
        partners are a permutation of the real examples. Exchanging the two shares would give as likely a batch.
    """
    order_key, share_key = jax.random.split(key)
    real = weight > 0
    draws = jax.random.uniform(order_key, weight.shape, jnp.float32)
    shuffled = jnp.argsort(jnp.where(real, draws, 2.0))  # the real examples in a random order, then the padding
    in_order = jnp.argsort(jnp.where(real, 0.0, 1.0), stable=True)  # as they stand
    partner = shuffled[jnp.argsort(in_order)]
    alpha = max(alpha, 1e-30)  # a subnormal float32 gives NaN; so small a share is 0 or 1 anyway
    share = jax.random.beta(share_key, alpha, alpha, dtype=jnp.float32)  # also where float64 is on
    return Mixing(partner, jnp.maximum(share, 1 - share))


def _require_images(images: jax.Array) -> None:
    if images.ndim != 4:
        raise ValueError(f"images must be (n, height, width, channels), got shape {images.shape}")
