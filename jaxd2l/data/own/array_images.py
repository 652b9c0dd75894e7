"""Images of any numbers and size to bytes of one size."""

from collections.abc import Sequence

import numpy as np

from jaxd2l.data.error import DataError
from jaxd2l.data.own.settings import Settings
from jaxd2l.data.plain import chunks

_EXPECTED = "images (n, height, width), or with 1 or 3 channels last"


def image_bytes(named: Sequence[tuple[str, np.ndarray]], name: str, settings: Settings) -> list[np.ndarray]:
    """Bring the images of all parts to uint8 by one rule, and to the size and channels asked for.

    Args:
        named: the arrays with what messages call them.
        name: of the data set.
        settings: `image_size` and `channels`.

    Returns:
        uint8 (n, height, width, channels) each; arrays that are so already are not copied.

    Raises:
        DataError: another shape, numbers whose range is neither [0, 1] nor 0..255, parts that differ.
    """
    arrays = [_shaped(x, f"{name}: {what}") for what, x in named]
    kinds = {"float" if x.dtype.kind == "f" else "bool" if x.dtype.kind == "b" else "integer" for x in arrays}
    if len(kinds) > 1:
        a, b = (f"{what} is {x.dtype}" for (what, _), x in zip(named, arrays, strict=True))
        raise DataError(f"{name}: {a} but {b}; make them alike")
    lowest, highest = min(x.min() for x in arrays), max(x.max() for x in arrays)
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        raise DataError(f"{name}: images hold NaN or infinite values; remove or replace them")
    shares = kinds == {"bool"} or (kinds == {"float"} and lowest >= 0 and highest <= 1)
    if not shares and (lowest < 0 or highest > 255 or not all(_whole(x) for x in arrays)):
        raise DataError(
            f"{name}: images are {arrays[0].dtype} from {lowest:g} to {highest:g}, expected whole numbers in 0..255 or "
            "floats in [0, 1]; undo a standardisation before"
        )
    if kinds == {"integer"} and highest <= 1:
        settings.on_note(f"{name}: images hold only 0 and 1 of 255, nearly black; multiply by 255 if 1 is white")
    images = [_refitted(_bytes(x, 255 if shares else 1), name, settings) for x in arrays]
    if len({image.shape[1:] for image in images}) > 1:
        raise DataError(
            f"{name}: {named[0][0]} has shape {named[0][1].shape} but {named[1][0]} {named[1][1].shape}; make them "
            "alike, or choose image_size and channels"
        )
    return images


def _shaped(x: np.ndarray, what: str) -> np.ndarray:
    """With a channel axis, checked."""
    found = f"{what} is {x.dtype} {x.shape}, expected {_EXPECTED}"
    if x.dtype.kind not in "biuf":
        raise DataError(f"{found}, of numbers")
    if x.ndim == 3:
        x = x[..., np.newaxis]
    if x.ndim != 4:
        raise DataError(f"{found}; reshape it")
    if x.shape[3] not in (1, 3):
        hint = "x[..., :3] drops the alpha channel" if x.shape[3] == 4 else "np.moveaxis(x, 1, -1) moves channels last"
        raise DataError(f"{found}{'; ' + hint if x.shape[3] == 4 or x.shape[1] in (1, 3) else ''}")
    if 0 in x.shape:
        raise DataError(f"{found}, at least one of one pixel")
    return x


def _whole(x: np.ndarray) -> bool:
    if x.dtype.kind != "f":
        return True
    return all((rows == np.rint(rows)).all() for _, rows in chunks(x))


def _bytes(x: np.ndarray, factor: int) -> np.ndarray:
    if x.dtype == np.uint8 and factor == 1:
        return np.ascontiguousarray(x)
    images = np.empty(x.shape, np.uint8)
    for first, rows in chunks(x):
        images[first : first + len(rows)] = np.rint(factor * rows.astype(np.float64))
    return images


def _refitted(images: np.ndarray, name: str, settings: Settings) -> np.ndarray:
    """The size and channels asked for, by the rule of files."""
    n, height, width, channels = images.shape
    size = (settings.image_size,) * 2 if settings.image_size is not None else (height, width)
    shape = (n, *size, settings.channels or channels)
    if shape == images.shape:
        return images
    from PIL import Image

    from jaxd2l.data.own.decode import fit
    from jaxd2l.data.own.read import in_threads, require_room

    require_room(shape, name)
    refitted = np.empty(shape, np.uint8)

    def one(row: int) -> None:
        picture = Image.fromarray(images[row, ..., 0] if channels == 1 else images[row])
        refitted[row] = fit(picture.convert("L" if shape[3] == 1 else "RGB"), *size)

    in_threads(one, n, settings.threads, settings.on_progress)
    return refitted
