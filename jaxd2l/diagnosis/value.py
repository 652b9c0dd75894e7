"""A number that was read, and the figures of an epoch, by name: which of several values counts, which epoch it is."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from jaxd2l.diagnosis.words import EPOCH


class CurveError(ValueError):
    """Pasted lines or numbers that cannot be read as a curve; the message is one line that says what and where."""


class Value(NamedTuple):
    """A number, whether a % was behind it, and the line it stood in, counted from 1."""

    number: float
    percent: bool = False
    line: int = 0


Record = dict[str, Value]


def told_first(told: Iterable[tuple[str | None, Value | None]]) -> Record:
    """Each figure's value: the first, or the first that is no NaN; what has no name or no value is left out."""
    record: Record = {}
    for name, value in told:
        if name is not None and value is not None and (name not in record or math.isnan(record[name].number)):
            record[name] = value
    return record


def epoch_of(record: Record) -> int | None:
    """Which epoch a record says that it is of; None where it says none, or NaN.

    Raises:
        CurveError: it is infinite.
    """
    if EPOCH not in record or math.isnan(record[EPOCH].number):
        return None
    if math.isinf(record[EPOCH].number):
        raise CurveError(f"line {record[EPOCH].line}: epoch {record[EPOCH].number:g} is no number of an epoch")
    return math.ceil(record[EPOCH].number)
