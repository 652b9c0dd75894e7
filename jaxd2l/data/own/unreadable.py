"""Pictures that cannot be read: all of them for a program, the first ten for a reader."""

import errno

from jaxd2l.data.error import DataError
from jaxd2l.data.own.listing.pictures import MISSING, shown

_LISTED = 10


class UnreadableError(DataError):
    """Pictures that cannot be read.

    Attributes:
        files: name and reason of each; the message lists ten.
    """

    def __init__(self, message: str, files: tuple[tuple[str, str], ...]) -> None:
        super().__init__(message)
        self.files = files


def is_lasting(error: Exception, stamp: str) -> bool:
    """Whether a reason lies in the picture or in its `stamp`; a disk, a network or a right may do better next time.

    A damaged picture sends its reader to places that are not there, which is EINVAL.
    """
    cause = error.__cause__ or error
    return stamp == MISSING or not isinstance(cause, OSError) or cause.errno in (None, errno.EINVAL)


def describe(unreadable: tuple[tuple[str, str], ...]) -> str:
    """The first ten of them with their reasons, and how many more."""
    listed = "; ".join(f"{shown(name)} ({reason})" for name, reason in unreadable[:_LISTED])
    more = len(unreadable) - _LISTED
    return listed + (f" and {more} more" if more > 0 else "")
