"""Pictures of a user's own for a run on data that ship: read as `jaxd2l predict` reads them, and told."""

from typing import BinaryIO

import numpy as np

from jaxd2l.prediction import Conversion, convert_like, framing_of
from jaxd2l.run_folder import KeptRun
from jaxd2l.wording import counted


class LikePredict:
    """Converts picture files, see `jaxd2l.data.open_data`, and remembers what was done to them."""

    def __init__(self, run: KeptRun) -> None:
        self._frame, self._shape = framing_of(run), run.stored_example.shape[1:]
        self._done: list[Conversion] = []

    def __call__(self, file: BinaryIO, name: str) -> np.ndarray:
        """The image of a picture."""
        image, record = convert_like(self._frame, name, self._shape, data=file.read())
        self._done.append(record)
        return image

    def told(self) -> list[str]:
        """What was done, in a line; none where nothing was but resizing."""

        def count(word: str) -> int:
            return sum(any(word in step for step in record.steps) for record in self._done)

        found = {
            "inverted, because their border is light": sum(record.inverted for record in self._done),
            "trimmed to what differs from their ground": count("trimmed to"),
            "shown whole, because their border is not of one tone": count("shown whole"),
            "with a border both light and dark": count("--invert decides"),
        }
        words = [f"{n:,} {what}" for what, n in found.items() if n]
        are = "is" if len(self._done) == 1 else "are"
        told = f"{counted(len(self._done), 'picture')} {are} read as `jaxd2l predict` reads them: {'; '.join(words)}"
        return [told] * bool(words)
