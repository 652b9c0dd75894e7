"""A picture file as the pictures of a user's own data were read before training."""

import io
from pathlib import Path

import numpy as np

from jaxd2l.data.error import DataError
from jaxd2l.prediction.picture import Conversion


def convert_like_own(
    path: str | Path, height: int, width: int, channels: int, invert: bool = False, *, data: bytes | None = None
) -> tuple[np.ndarray, Conversion]:
    """Read a picture as `jaxd2l.data.open_data` reads those that a network is trained on: cut to the middle, resized.

    Args:
        path: PNG, JPEG, BMP, WebP or GIF.
        height: of the result, in pixels.
        width: likewise.
        channels: 1 for grey, 3 for colour.
        invert: exchange dark and light.
        data: of the file, where it is read already or lies in another one; `path` then only names it.

    Returns:
        uint8 (height, width, channels) and what was done.

    Raises:
        DataError: the file is no picture, or a damaged one.
        OSError: it cannot be read.
    """
    from PIL import Image

    from jaxd2l.data.own.decode import UnreadablePictureError, decode, read_header

    try:
        with open(path, "rb") if data is None else io.BytesIO(data) as file:
            header = read_header(file)
            file.seek(0)
            image, _ = decode(file, height, width, channels)
            file.seek(0)
            with Image.open(file) as opened:
                kind, mode = str(opened.format), opened.mode
    except UnreadablePictureError as error:
        raise DataError(f"{path}: {error}") from error
    steps = [f"cut to the middle and resized from {header.width}x{header.height} to {width}x{height}"]
    if (header.height, header.width) == (height, width):
        steps = []
    if header.colour != (channels == 3):
        steps.append("made grey" if channels == 1 else "made RGB")
    edges = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    if invert:
        image = 255 - image
        steps.append("inverted, as asked")
    return image, Conversion(
        path=str(path),
        format=kind,
        mode=mode,
        width=header.width,
        height=header.height,
        border=int(np.median(edges)),
        inverted=invert,
        low=int(image.min()),
        high=int(image.max()),
        steps=(*steps, "read as the pictures of the training were"),
    )
