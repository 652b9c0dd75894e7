"""Rows of a list of pictures to their pixels, whenever and in whatever process they are needed."""

from collections.abc import Callable
from typing import BinaryIO

import numpy as np

from jaxd2l.data.division.equal import row_digests
from jaxd2l.data.error import DataError
from jaxd2l.data.own.decode import UnreadablePictureError, decode, ignore_warnings
from jaxd2l.data.own.listing.pictures import shown
from jaxd2l.data.own.settings import Convert


class ReadPictures:
    """Reads rows of a list, and refuses a picture that is not the one that was looked at."""

    def __init__(
        self,
        open_row: Callable[[int], BinaryIO],
        names: tuple[str, ...],
        digests: np.ndarray,
        shape: tuple[int, int, int],
        where: str,
        convert: Convert | None = None,
    ) -> None:
        """Bind a list.

        Args:
            open_row: row of the list -> its bytes as a file.
            names: of the rows.
            digests: of the pixels of each, uint8 (rows, 32).
            shape: height, width and channels that pictures are brought to.
            where: names the data in messages.
            convert: makes the image of a file and its name, as it did when they were looked at; None decodes.
        """
        self._open, self._names, self._digests, self._shape, self._where = open_row, names, digests, shape, where
        self._convert = convert

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Decode rows of the list (k,) to uint8 (k, height, width, channels).

        Raises:
            DataError: a picture cannot be read any more, or is another one than it was.
        """
        images = np.empty((len(rows), *self._shape), np.uint8)
        ignore_warnings()
        for place, row in enumerate(rows.tolist()):
            try:
                with self._open(row) as file:
                    if self._convert is None:
                        images[place], _ = decode(file, *self._shape)
                    else:
                        images[place] = self._convert(file, self._names[row])
            except (OSError, UnreadablePictureError, DataError) as error:
                raise DataError(f"{self._named(row)} cannot be read any more: {error}; put it back") from None
        changed = (row_digests(images) != self._digests[rows]).any(axis=1)
        if changed.any():
            row = int(rows[np.flatnonzero(changed)[0]])
            raise DataError(f"{self._named(row)} is another picture than when the run began; put it back")
        return images

    def _named(self, row: int) -> str:
        return f"{self._where}: {shown(self._names[row])}"
