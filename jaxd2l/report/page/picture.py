"""Arrays as pictures inside a page: PNG data URIs of examples, kernels and feature maps."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxd2l.report.page.html import Markup, element

_GAP = 1  # pixels between tiles


def data_uri(pixels: np.ndarray) -> str:
    """Encode uint8 pixels (h, w) or (h, w, 3) as a PNG that stands inside the page."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def image(pixels: np.ndarray, alternative: str, **attributes: Any) -> Markup:
    """An `img` of uint8 pixels with its alternative text, which says what is to be seen."""
    height, width = pixels.shape[:2]
    return element("img", src=data_uri(pixels), alt=alternative, width=width, height=height, **attributes)


def viewable(example: np.ndarray) -> np.ndarray | None:
    """An example as pixels, frames of a clip side by side; None where it is no image.

    Args:
        example: (h, w, c) or (frames, h, w, c), uint8, or floats of any range, which are stretched to it.

    Returns:
        (h, w) or (h, w, 3) uint8; of other than 1 or 3 channels the mean is shown.
    """
    if example.ndim == 4:
        frames = [viewable(frame) for frame in example]
        return tiles([frame for frame in frames if frame is not None], columns=len(frames))
    if example.ndim != 3 or not example.size or min(example.shape[:2]) < 2:
        return None
    pixels = example if example.dtype == np.uint8 else stretched(example)
    if pixels.shape[-1] == 3:
        return pixels
    return pixels[..., 0] if pixels.shape[-1] == 1 else np.round(pixels.mean(axis=-1)).astype(np.uint8)


def stretched(values: np.ndarray, around_zero: bool = False) -> np.ndarray:
    """Map values to 0..255: the least to 0 and the greatest to 255, or 0 to the middle grey with `around_zero`."""
    values = np.nan_to_num(np.asarray(values, np.float64), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if around_zero:
        high = max(abs(low), abs(high))
        low = -high
    if high <= low:
        return np.full(values.shape, 127 if around_zero else 0, np.uint8)
    return np.round(255 * (values - low) / (high - low)).astype(np.uint8)


def tiles(images: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Put pictures of one size side by side in rows, a dark line between them."""
    height, width = images[0].shape[:2]
    rows = -(-len(images) // columns)
    columns = min(columns, len(images))
    size = (rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, *images[0].shape[2:])
    whole = np.zeros(size, np.uint8)
    for i, one in enumerate(images):
        top, left = (i // columns) * (height + _GAP), (i % columns) * (width + _GAP)
        whole[top : top + height, left : left + width] = one
    return whole


def kernels(kernel: np.ndarray, most: int = 64) -> np.ndarray:
    """Kernels (kh, kw, channels, features) as tiles: grey is 0, white the largest weight, black its opposite."""
    pixels = stretched(kernel[..., :most], around_zero=True)
    one = [pixels[..., i] for i in range(pixels.shape[-1])]
    if kernel.shape[2] != 3:
        one = [np.round(tile.mean(axis=-1)).astype(np.uint8) for tile in one]
    return tiles(one, columns=16 if len(one) > 12 else len(one))


def feature_maps(values: np.ndarray, most: int = 32) -> np.ndarray:
    """Feature maps (h, w, channels) as tiles, each from its least value (black) to its greatest (white)."""
    one = [stretched(values[..., i]) for i in range(min(most, values.shape[-1]))]
    return tiles(one, columns=8 if len(one) > 6 else len(one))
