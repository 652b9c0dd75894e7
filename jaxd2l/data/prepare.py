"""What happens to a batch of stored images inside the step: bytes become the network's input.

The data set stays on the device as uint8 (47 MB for Fashion-MNIST); float images at 224 pixels
would take 12 GB, so scaling and resizing run on the batch alone and fuse with the first layer.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

Prepare = Callable[[jax.Array], jax.Array]


def scale(images: jax.Array) -> jax.Array:
    """Bytes 0..255 to float32 in [0, 1], as torchvision's `ToTensor` does.

    Raises:
        ValueError: the images are not uint8; floats would be divided a second time in silence.
    """
    if images.dtype != jnp.uint8:
        raise ValueError(f"images must be uint8 in 0..255, got {images.dtype}; scale floats yourself")
    return images.astype(jnp.float32) / 255.0


def resize(images: jax.Array, size: int) -> jax.Array:
    """Bilinear interpolation to `size` x `size` pixels with half-pixel centres, antialiased when shrinking.

    Args:
        images: float (n, height, width, channels).
        size: pixels a side of the result.

    Returns:
        (n, size, size, channels). Torchvision's `Resize` does the same and then rounds to whole
        bytes when it works on PIL images; nothing is rounded here.
    """
    n, height, width, channels = images.shape
    if (height, width) == (size, size):
        return images
    return jax.image.resize(images, (n, size, size, channels), "bilinear", antialias=True)


def image_preparer(size: int) -> Prepare:
    """The preparation of image recipes: `scale`, then `resize` to `size` pixels a side.

    Raises:
        ValueError: `size` is not positive.
    """
    if size < 1:
        raise ValueError(f"image size must be at least 1 pixel, got {size}")

    def prepare(images: jax.Array) -> jax.Array:
        return resize(scale(images), size)

    return prepare


def as_stored(x: jax.Array) -> jax.Array:
    """The preparation of tables, synthetic data and clips: bytes are scaled, floats pass as they are."""
    return scale(x) if x.dtype == jnp.uint8 else x
