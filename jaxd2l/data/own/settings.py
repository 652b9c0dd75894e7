"""How a user's own data is read: one value for every source, checked once."""

import dataclasses
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypedDict

import numpy as np

from jaxd2l.data.examples import LARGEST_SEED


class DataWarning(UserWarning):
    """What was found in a user's data and need not stop a run, in one line."""


def warn(note: str) -> None:
    """Say `note` as a Python warning, which a notebook shows and a test can turn into an error."""
    warnings.warn(note, DataWarning, skip_file_prefixes=(str(Path(__file__).parent),))


TEST_FRACTION = 0.2  # held out where the data have no test part and nobody says how much


Convert = Callable[[BinaryIO, str], np.ndarray]


class Options(TypedDict, total=False):
    """The keywords of `open_data`, for the functions that hand them on."""

    image_size: int | None
    channels: int | None
    test_fraction: float
    seed: int
    hold_out: bool
    skip_unreadable: bool
    cache: bool
    on_progress: Callable[[int, int], None] | None
    on_note: Callable[[str], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """See `open_data`; `threads` decode, None for one a core.

    Attributes:
        convert: makes the image of a picture's file and name, instead of the reading here; with it `image_size` and
            `channels` say its shape.
        stream: leave the pixels of picture files on the disk; None does where they would not fit into memory.
    """

    image_size: int | None = None
    channels: int | None = None
    test_fraction: float = TEST_FRACTION
    seed: int = 0
    hold_out: bool = True
    skip_unreadable: bool = False
    cache: bool = True
    on_progress: Callable[[int, int], None] | None = None
    on_note: Callable[[str], None] = warn
    threads: int | None = None
    convert: Convert | None = None
    stream: bool | None = False

    def __post_init__(self) -> None:
        """Refuse what no data can be read with.

        Raises:
            ValueError: naming the setting, what it holds and what it may hold.
        """
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            object.__setattr__(self, field.name, value.item() if isinstance(value, np.generic) else value)
        size = self.image_size
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
            raise ValueError(f"image_size is a whole number of pixels a side, at least 1, got {size!r}")
        channels = self.channels
        if channels is not None and (type(channels) is not int or channels not in (1, 3)):
            raise ValueError(f"channels must be 1 (grey) or 3 (colour), got {self.channels!r}")
        if not isinstance(self.test_fraction, int | float) or not 0 < self.test_fraction < 1:
            raise ValueError(f"test_fraction is the share held out, between 0 and 1, got {self.test_fraction!r}")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or not 0 <= self.seed <= LARGEST_SEED:
            raise ValueError(f"seed must be in [0, {LARGEST_SEED}], got {self.seed!r}")

    def note_test_part(self, name: str) -> None:
        """Say that data with a test part of their own have nothing held out, where a share was asked for."""
        if self.hold_out and self.test_fraction != TEST_FRACTION:
            share = f"test_fraction {self.test_fraction:g}"
            self.on_note(f"{name}: the data have a test part, so {share} holds nothing out")
