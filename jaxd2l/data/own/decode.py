"""One picture file to bytes of one size and one number of channels, with Pillow.

In this order: turned as its EXIF orientation says, brought to 8 bits, laid on white where it is transparent, made grey
or colour, cut to the middle and resized (bilinear, antialiased). Colour profiles and gamma are not applied.
"""

import io
import re
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageOps, WebPImagePlugin

FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF")  # by content, whatever the extension says
MOST_PIXELS = 89_478_485  # where Pillow begins to suspect a decompression bomb: 256 MiB of colour
MOST_BYTES = 1 << 29

assert WebPImagePlugin  # Pillow finds the others by itself; for WebP it would import all its sixty readers

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Header(NamedTuple):
    """What a file says about itself: size in pixels once turned, and whether it has colours."""

    height: int
    width: int
    colour: bool


class UnreadablePictureError(ValueError):
    """One file is no picture; the message is the reason alone."""


def read_header(file: BinaryIO) -> Header:
    """Size and kind, without decoding.

    Grey are the modes without colour and palettes of greys alone, whatever the pixels of a colour picture are.

    Raises:
        UnreadablePictureError: see `decode`.
    """
    try:
        with _opened(file) as image:
            width, height = image.size if _turn(image, file) < 5 else image.size[::-1]
            return Header(height, width, _has_colour(image))
    except Exception as error:
        raise _reason(error) from error


def decode(
    file: BinaryIO,
    height: int,
    width: int,
    channels: int,
    taken: Callable[[int], AbstractContextManager[Any]] = nullcontext,
) -> tuple[np.ndarray, int | None]:
    """Decode the first frame.

    Args:
        file: a whole file.
        height: of the result, in pixels.
        width: likewise; the largest rectangle of this shape in the middle is kept and resized.
        channels: 1 for grey (ITU-R 601: .299 R + .587 G + .114 B), 3 for colour.
        taken: entered with the pixels of the file while these are in memory.

    Returns:
        uint8 (height, width, channels), and the largest value of a 16-bit grey picture, None for others. Of 16 bits
        the upper 8 remain.

    Raises:
        UnreadablePictureError: empty, of another kind, truncated, damaged, of more than `MOST_PIXELS` pixels.
    """
    try:
        with _opened(file) as image, taken(image.width * image.height):
            turn = _turn(image, file)
            image.load()
            peak = int(np.asarray(image).max()) if image.mode.startswith("I") else None
            turned = image.transpose(_TURNS[turn]) if turn in _TURNS else image
            plain, mode = _plain(turned), "L" if channels == 1 else "RGB"
            return fit(plain if plain.mode == mode else plain.convert(mode), height, width), peak
    except MemoryError:
        raise
    except Exception as error:  # damaged files make Pillow's readers raise nearly everything
        raise _reason(error) from error


def ignore_warnings(category: type[Warning] = Warning) -> None:
    """Ignore those of Pillow from now on: they are about single files.

    Filters belong to the process and not to a thread, so this one stays; threads that set filters and took them back
    would leave those of another.
    """
    ours = ("ignore", None, category, re.compile(r"PIL\."), 0)
    if next(iter(warnings.filters), None) != ours:
        warnings.filterwarnings("ignore", category=category, module=ours[3].pattern)


def fit(image: Image.Image, height: int, width: int) -> np.ndarray:
    """Cut the largest rectangle of this shape out of the middle of a grey or colour picture and resize it.

    Returns:
        uint8 (height, width, 1 or 3); the same pixels where the size is the same.
    """
    fitted = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    return np.asarray(fitted).reshape(height, width, -1)


def _opened(file: BinaryIO) -> Image.Image:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if size == 0:
        raise UnreadablePictureError("empty file")
    if size > MOST_BYTES:
        raise UnreadablePictureError(f"{size / 1e6:,.0f} MB, more than a picture takes")
    image = Image.open(file, formats=FORMATS)
    if image.width * image.height > MOST_PIXELS:
        most = f"{MOST_PIXELS / 1e6:.0f} million"
        raise UnreadablePictureError(f"{image.width} x {image.height} pixels, more than {most}")
    return image


def _turn(image: Image.Image, file: BinaryIO) -> int:
    """The EXIF orientation, 1 to 8; damaged EXIF counts as none, as browsers have it."""
    if image.format == "PNG" and not {"exif", "Raw profile type exif"} & image.info.keys() and not _late_exif(file):
        return 1  # asking Pillow would decode the pixels to look behind them
    try:
        turn = image.getexif().get(_ORIENTATION, 1)
    except Exception:
        return 1
    return turn if turn in _TURNS else 1


def _late_exif(file: BinaryIO) -> bool:
    """Whether a PNG has an eXIf chunk; it may stand behind the pixels."""
    place = file.tell()
    try:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            if head[4:] == b"eXIf":
                return True
            file.seek(int.from_bytes(head[:4]) + 4, io.SEEK_CUR)
        return False
    finally:
        file.seek(place)


def _has_colour(image: Image.Image) -> bool:
    if image.mode in ("P", "PA"):
        palette = image.getpalette("RGB") or []
        return any(len(set(palette[i : i + 3])) > 1 for i in range(0, len(palette), 3))
    return image.mode not in ("1", "L", "LA", "La") and not image.mode.startswith("I")


def _plain(image: Image.Image) -> Image.Image:
    """8 bits a channel and no transparency."""
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    if image.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB") if image.mode == "P" else image


def _reason(error: Exception) -> UnreadablePictureError:
    if isinstance(error, UnreadablePictureError):
        return error
    if isinstance(error, Image.UnidentifiedImageError):
        return UnreadablePictureError("not a picture")
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return UnreadablePictureError(f"more than {MOST_PIXELS / 1e6:.0f} million pixels")
    if isinstance(error, OSError) and error.strerror:
        return UnreadablePictureError(error.strerror.lower())
    return UnreadablePictureError(" ".join(str(error).split()) or type(error).__name__)
