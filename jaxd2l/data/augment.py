"""Random changes to a batch of stored images inside the step, so that no two epochs see the same pixels.

They work on the stored bytes, before scaling and resizing: a quarter of the memory, and the image at its own size.
Every image draws for itself. Training alone augments; evaluation sees the images as they are.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

type Augment = Callable[[jax.Array, jax.Array], jax.Array]

CROP_PADDING = 4  # pixels; for 32 pixels a side, He et al. 2016 (arXiv:1512.03385), section 4.2


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


AUGMENTATIONS: dict[str, Augment] = {"flip": random_flip, "crop": random_crop, "crop_flip": random_crop_and_flip}


def _require_images(images: jax.Array) -> None:
    if images.ndim != 4:
        raise ValueError(f"images must be (n, height, width, channels), got shape {images.shape}")
