"""A picture file in the form of a data set's images, and a record of everything that was done to it.

The networks here saw small pictures of one thing on an even ground. A photograph is turned as its EXIF says, put on a
ground where it is transparent, and given the proportions by more of its own ground rather than stretched or cut. Where
the data have a dark ground, it is treated as theirs was (Fashion-MNIST: arXiv:1708.07747, section 2): trimmed to the
thing itself, which then fills as much of the frame, and inverted if its ground is light. Nothing is done in silence.
"""

import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxd2l.data.error import DataError
from jaxd2l.machine.disk import read_at_most
from jaxd2l.prediction.ground import DIFFERENT, border_of

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff")
INVERT = ("auto", "yes", "no")
_MIDDLE = 128
_BYTES_A_PIXEL = 24  # at most, while a picture is converted: colour in 4 bytes, turned, laid on a ground, compared
MOST_BYTES = 1 << 29  # of a file; a device never ends


class Conversion(NamedTuple):
    """What was found in a file and done to it; plain values, so that it goes into JSON as it is.

    Attributes:
        path: of the file.
        format, mode: Pillow's names, such as "JPEG" and "RGB".
        width, height: as stored in the file, in pixels.
        border: median brightness of the outermost pixels, 0 to 255, before any inversion.
        inverted: whether dark and light were exchanged.
        low, high: range of the result, 0 to 255.
        steps: everything done, in order, in words.
    """

    path: str
    format: str
    mode: str
    width: int
    height: int
    border: int
    inverted: bool
    low: int
    high: int
    steps: tuple[str, ...]


def convert_picture(
    path: str | Path,
    height: int,
    width: int,
    channels: int,
    invert: str = "auto",
    fill: float | None = None,
    *,
    data: bytes | None = None,
) -> tuple[np.ndarray, Conversion]:
    """Read a picture file as one image of a data set.

    Args:
        path: PNG, JPEG, WebP, BMP, GIF or TIFF; of several frames the first.
        height: of the result, in pixels.
        width: likewise.
        channels: of the result: 1 is grey (ITU-R 601), 3 is RGB.
        invert: "yes", "no", or "auto": where the border is light. Give "no" for data without a dark ground.
        fill: share of the frame that the longer side of the thing is to take, in (0, 1], from `framing`; None shows
            the picture whole. A picture that has the result's size already is never trimmed.
        data: of the file, where it is read already or lies in another one; `path` then only names it.

    Returns:
        uint8 (height, width, channels) and the record.

    Raises:
        ValueError: a setting is out of range.
        DataError: the file is no picture, a damaged one, or one whose range of values cannot be known.
        OSError: it cannot be read.
    """
    if channels not in (1, 3) or height < 1 or width < 1:
        raise ValueError(
            f"a picture becomes height x width pixels with 1 or 3 channels, asked is {height}x{width}x{channels}"
        )
    if invert not in INVERT:
        raise ValueError(f"invert must be one of {', '.join(INVERT)}, got {invert!r}")
    if fill is not None and not 0 < fill <= 1:
        raise ValueError(f"fill must be a share in (0, 1], got {fill!r}")
    image, found, steps = _read(Path(path), data)
    image = _on_ground(image, steps)
    target = "L" if channels == 1 else "RGB"
    if image.mode != target:
        steps.append(f"{image.mode} made {'grey' if channels == 1 else 'RGB'}")
        try:
            image = image.convert(target)
        except ValueError as error:
            raise DataError(f"{path}: colours of kind {image.mode} cannot be converted; save it as RGB") from error
    pixels = np.asarray(image, np.uint8).reshape(1, image.height, image.width, channels)
    ground = np.median(border_of(pixels)[0], axis=0)
    border = int(np.median(ground))
    share = 1.0
    if fill is not None and image.size != (width, height):
        image, share = _trimmed(image, pixels[0], ground, fill, steps)
    array = _fitted(image, ground, height, width, share, steps).reshape(height, width, channels)
    inverted = invert == "yes" or (invert == "auto" and border >= _MIDDLE)
    steps.append(_decision(invert, inverted, border, border_of(pixels)[0]))
    if inverted:
        array = 255 - array
    low, high = int(array.min()), int(array.max())
    if low == high:
        steps.append(f"the result is one even tone ({low} of 255): there is nothing to see")
    return array, Conversion(
        str(path), *found, border=border, inverted=inverted, low=low, high=high, steps=tuple(steps)
    )


def _decision(invert: str, inverted: bool, border: int, pixels: np.ndarray) -> str:
    """Why dark and light were exchanged or not, in words."""
    if invert != "auto":
        return "inverted, as asked" if inverted else "not inverted"
    light = float((pixels.mean(axis=-1) >= _MIDDLE).mean())
    unsure = f", but {min(light, 1 - light):.0%} of it is not: --invert decides" if 0.2 < light < 0.8 else ""
    if inverted:
        return f"inverted, because its border is light (median {border} of 255){unsure}"
    return f"not inverted, because its border is dark (median {border} of 255){unsure}"


def _read(path: Path, data: bytes | None) -> tuple[Any, tuple[str, str, int, int], list[str]]:
    """The first frame, upright, in 8 bits a channel."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    from jaxd2l.data.own.decode import ignore_warnings

    if data is None:
        with path.open("rb") as file:
            data = read_at_most(file, MOST_BYTES, str(path))
    steps: list[str] = []
    try:
        ignore_warnings(Image.DecompressionBombWarning)  # only the limit above it is refused
        opened: Any = Image.open(io.BytesIO(data))
        found = (str(opened.format), opened.mode, opened.width, opened.height)
        _require_room(path, opened.width, opened.height)
        opened.load()
        if getattr(opened, "n_frames", 1) > 1:
            steps.append(f"first of {opened.n_frames} frames")
        image = ImageOps.exif_transpose(opened)
        if opened.getexif().get(0x0112, 1) in range(2, 9):
            steps.append("turned as its EXIF says")
    except UnidentifiedImageError as error:
        what = "no picture that can be read" if data else "empty"
        raise DataError(f"{path}: {what}; expected PNG, JPEG, WebP, BMP, GIF or TIFF") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: {error}; reduce it first") from error
    except (DataError, MemoryError):
        raise
    except Exception as error:  # a decoder raises anything on damaged bytes: SyntaxError, struct.error, IndexError
        raise DataError(f"{path}: a damaged picture ({error})") from error
    return _in_bytes(image, path, steps), found, steps


def _require_room(path: Path, width: int, height: int) -> None:
    from jaxd2l.machine.memory import free_host_bytes

    free = free_host_bytes()
    if free is not None and _BYTES_A_PIXEL * width * height > free:
        raise DataError(f"{path}: {width} x {height} pixels are more than memory has room for; reduce it first")


def _in_bytes(image: Any, path: Path, steps: list[str]) -> Any:
    """16 bits become 8 by division (Pillow alone would clip them); numbers of unknown range are refused."""
    from PIL import Image

    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.size and (values.min() < 0 or values.max() > 65535):
            raise DataError(f"{path}: values from {values.min()} to {values.max()}; save it with 8 or 16 bits a pixel")
        steps.append("16 bits made 8")
        return Image.fromarray(np.round(values / 257).astype(np.uint8))
    if image.mode == "F":
        raise DataError(f"{path}: floating-point pixels, whose range is not known; save it with 8 bits a channel")
    return image


def _on_ground(image: Any, steps: list[str]) -> Any:
    """Put a transparent picture on white, or on black where what it shows is light."""
    from PIL import Image

    if "A" not in image.getbands() and "a" not in image.getbands() and "transparency" not in image.info:
        return image.convert("RGB") if image.mode == "P" else image
    image = image.convert("RGBA")
    alpha = np.asarray(image.getchannel("A"), float)
    if alpha.min() == 255:
        return image.convert("RGB")
    grey = np.asarray(image.convert("RGB").convert("L"), float)
    shown = float((grey * alpha).sum() / alpha.sum()) if alpha.sum() else 0.0
    ground = "black" if shown >= _MIDDLE else "white"
    steps.append(f"put on {ground} where it is transparent")
    return Image.alpha_composite(Image.new("RGBA", image.size, ground), image).convert("RGB")


def _trimmed(image: Any, pixels: np.ndarray, ground: np.ndarray, fill: float, steps: list[str]) -> tuple[Any, float]:
    """Cut off the ground around the thing; the share of the frame that is to be filled by what is left."""
    different = np.abs(pixels.astype(np.int16) - ground.astype(np.int16)).max(axis=-1) > DIFFERENT
    even = 1 - float(np.concatenate([different[0], different[-1], different[:, 0], different[:, -1]]).mean())
    if even < 0.75:
        steps.append(f"shown whole, because only {even:.0%} of its border is of one tone")
        return image, 1.0
    rows, columns = np.flatnonzero(different.any(axis=1)), np.flatnonzero(different.any(axis=0))
    if not rows.size:
        return image, 1.0
    box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    if box != (0, 0, *image.size):
        steps.append(f"trimmed to the {box[2] - box[0]}x{box[3] - box[1]} pixels that differ from its ground")
    return image.crop(box), fill


def _fitted(image: Any, ground: np.ndarray, height: int, width: int, share: float, steps: list[str]) -> np.ndarray:
    """Shrink or enlarge the picture to `share` of the frame, and put it into the middle of its own ground."""
    from PIL import Image

    scale = share * min(width / image.width, height / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    if image.size != size:
        steps.append(f"resized from {image.width}x{image.height} to {size[0]}x{size[1]}")
        image = image.resize(size, Image.Resampling.BILINEAR)  # averages over what it shrinks
    if size != (width, height):
        steps.append(f"put into the middle of {width}x{height} pixels of its own ground")
        colour = tuple(int(v) for v in ground) if len(ground) > 1 else int(ground[0])
        whole = Image.new(image.mode, (width, height), colour)
        whole.paste(image, ((width - size[0]) // 2, (height - size[1]) // 2))
        image = whole
    return np.asarray(image, np.uint8)
