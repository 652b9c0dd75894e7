"""What happens to a batch of stored images inside the step: bytes become the network's input.

The data set stays on the device as uint8 (47 MB for Fashion-MNIST); float images at 224 pixels
would take 12 GB, so scaling and resizing run on the batch alone and fuse with the first layer.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxd2l.data.channels import ChannelStatistics
from jaxd2l.wording import counted

Prepare = Callable[[jax.Array], jax.Array]
ImageSize = int | tuple[int, int]  # pixels a side of a square, or height and width


def scale(images: jax.Array) -> jax.Array:
    """Bytes 0..255 to float32 in [0, 1], as torchvision's `ToTensor` does.

    Raises:
        ValueError: the images are not uint8; floats would be divided a second time in silence.
    """
    if images.dtype != jnp.uint8:
        raise ValueError(f"images must be uint8 in 0..255, got {images.dtype}; scale floats yourself")
    return images.astype(jnp.float32) / 255.0


def resize(images: jax.Array, size: ImageSize) -> jax.Array:
    """Bilinear interpolation to `size` x `size` pixels with half-pixel centres, antialiased when shrinking.

    Args:
        images: float (n, height, width, channels).
        size: pixels a side of the result, or its height and width.

    Returns:
        (n, size, size, channels). Torchvision's `Resize` does the same and then rounds to whole
        bytes when it works on PIL images; nothing is rounded here.
    """
    n, height, width, channels = images.shape
    sides = (size, size) if isinstance(size, int) else size
    if (height, width) == sides:
        return images
    return jax.image.resize(images, (n, *sides, channels), "bilinear", antialias=True)


def standardise(images: jax.Array, statistics: ChannelStatistics) -> jax.Array:
    """Subtract each channel's mean and divide by its deviation; a channel of one value becomes 0.

    Args:
        images: float (n, height, width, channels), as `scale` makes them.
        statistics: of that many channels, from the training part (`channel_statistics`).

    Raises:
        ValueError: another number of channels.
    """
    channels = len(statistics.mean)
    if images.shape[-1] != channels:
        raise ValueError(
            f"the images have {counted(images.shape[-1], 'channel')}, but mean and deviation are of {channels}"
        )
    mean, deviation = (jnp.asarray(numbers, images.dtype).reshape(1, 1, 1, channels) for numbers in statistics)
    return (images - mean) / jnp.where(deviation > 0, deviation, 1.0)


def image_preparer(size: ImageSize, statistics: ChannelStatistics | None = None) -> Prepare:
    """The preparation of image recipes: `scale`, then `resize` to `size` pixels a side, then `standardise`.

    Args:
        size: see `resize`.
        statistics: None leaves the images in [0, 1].

    Raises:
        ValueError: `size` is not positive.
    """
    if (min(size) if isinstance(size, tuple) else size) < 1:
        raise ValueError(f"image size must be at least 1 pixel, got {size}")

    def prepare(images: jax.Array) -> jax.Array:
        resized = resize(scale(images), size)
        return resized if statistics is None else standardise(resized, statistics)

    return prepare


def as_stored(x: jax.Array) -> jax.Array:
    """The preparation of tables, synthetic data and clips: bytes are scaled, floats pass as they are."""
    return scale(x) if x.dtype == jnp.uint8 else x
