"""What a column of a table is: numbers, True and False, or categories; and what counts as a number or as missing.

A file holds text, and a pandas column may hold anything. Which of the three a column is, is decided once, on the
training rows (`kind_of`); other rows are read as that. A dtype that says what it is, is believed.
"""

import re
import unicodedata
from decimal import Decimal
from functools import lru_cache
from numbers import Real
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from jaxd2l.data.error import DataError
from jaxd2l.wording import counted

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["number", "boolean", "category"]

# How a missing value is written, in any case and with blanks around it. "None" is not among them: in house data it is
# a category of its own (no veneer, no basement).
MISSING = frozenset(
    ("", "na", "n/a", "n.a.", "#n/a", "#na", "#n/a n/a", "<na>", "nan", "+nan", "-nan", "1.#qnan", "-1.#qnan")
) | frozenset(
    ("1.#ind", "-1.#ind", "nat", "null", "#null!", "(null)", "\\n", "?", ".", "-", "--", "---", "\u2013", "\u2014")
)
TRUTH = {"True": 1.0, "TRUE": 1.0, "true": 1.0, "False": 0.0, "FALSE": 0.0, "false": 0.0}

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity)", re.ASCII | re.IGNORECASE)
_DRESSING = re.compile(r"[\s,_'%()$\u20ac\xa3\xa5\u2019]")
_LEADING_ZERO = re.compile(r"\s*[+-]?0\d")
FEW = 20  # different numbers that a column of codes may have


class Cells(NamedTuple):
    """The cells of a column, read in every way.

    Attributes:
        raw: as handed over (n,), objects.
        missing: (n,).
        numbers: float64 (n,), NaN where a cell is missing or no number.
        truth: float64 (n,), 1 for True and 0 for False in either spelling, NaN elsewhere.
        declared: what the column's dtype says it is; None where it says nothing, as for text.
        rows: the number of each in messages (n,); from 1, the first after the header, unless others are given.
    """

    raw: np.ndarray
    missing: np.ndarray
    numbers: np.ndarray
    truth: np.ndarray
    declared: Kind | None
    rows: np.ndarray


@lru_cache(maxsize=2**17)
def is_missing(text: str) -> bool:
    """Whether text stands for a missing value: one of `MISSING`."""
    return text.strip().lower() in MISSING


@lru_cache(maxsize=2**17)  # the same rows are read once a fold and family
def number_in(text: str) -> float | None:
    """The number that is written; None if none is.

    A number is decimal, in ASCII digits: sign, digits, point, exponent, blanks around it; or a sign and inf. Not so
    `1_000`, `1,000`, `0x10`, `$5`, `5%` and the digits of other scripts, which Python or spreadsheets would read.
    """
    text = text.strip()
    return float(text) if _NUMBER.fullmatch(text) else None


def dressed_number_in(text: str) -> float | None:
    """The number in `$1,200`, `5 %`, `(3)` or full-width digits: written for people, to be named and not to be read."""
    plain = _DRESSING.sub("", unicodedata.normalize("NFKC", text)).replace("\u2212", "-")
    return number_in(plain)


def read_cells(column: "pd.Series", name: str, rows: np.ndarray | None = None) -> Cells:
    """Read a column of any dtype; `rows` are their numbers in messages, where the column is a part of one.

    Raises:
        DataError: a dtype or a cell that is neither number, text nor boolean, such as a date or a list.
    """
    import pandas as pd

    dtype = column.dtype
    rows = np.arange(1, len(column) + 1) if rows is None else rows
    missing = column.isna().to_numpy(bool, copy=True)
    nothing = np.full(len(column), np.nan)
    is_category = isinstance(dtype, pd.CategoricalDtype)
    if pd.api.types.is_bool_dtype(dtype) and not is_category:
        values = column.to_numpy(np.float64, na_value=np.nan)
        return Cells(column.to_numpy(object), missing, values, values, "boolean", rows)
    if pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype):
        values = column.to_numpy(np.float64, na_value=np.nan)
        return Cells(column.to_numpy(object), missing, values, nothing, "number", rows)
    if not (is_category or pd.api.types.is_object_dtype(dtype) or pd.api.types.is_string_dtype(dtype)):
        raise DataError(
            f"column {name} holds {dtype}; expected numbers, text or booleans: turn it into numbers, or into text with "
            "astype(str)"
        )
    raw, numbers, truth = column.to_numpy(object), nothing.copy(), nothing.copy()
    for row, cell in enumerate(raw):
        if missing[row]:
            continue
        if isinstance(cell, str):
            missing[row] = is_missing(cell)
            number = None if missing[row] else number_in(cell)
            numbers[row] = np.nan if number is None else number
            truth[row] = TRUTH.get(cell, np.nan)
        elif isinstance(cell, bool | np.bool_):
            numbers[row] = truth[row] = float(cell)
        elif isinstance(cell, Real | Decimal):
            numbers[row] = _as_float(cell)
        elif not is_category:
            raise DataError(
                f"column {name} holds a {type(cell).__name__} at row {rows[row]}; expected numbers, text or booleans"
            )
    return Cells(raw, missing, numbers, truth, "category" if is_category else None, rows)


def kind_of(cells: Cells, name: str) -> tuple[Kind, str | None]:
    """Decide what a training column is, and what is worth saying about it.

    All numbers: numbers. All True and False: booleans, as pandas reads them. Anything else is categories, but not where
    at least three quarters are numbers that do not recur as codes do: there, text is a slip or a marker of missing
    values that `MISSING` does not know, and a column of numbers would become an indicator a value.

    Args:
        cells: with at least one that is not missing.
        name: the column's.

    Returns:
        The kind, and a remark or None.

    Raises:
        DataError: text among numbers.
    """
    present = ~cells.missing
    if cells.declared is not None:
        return cells.declared, None
    if not np.isnan(cells.truth[present]).any():
        return "boolean", None
    is_number = ~np.isnan(cells.numbers)
    if is_number[present].all():
        return "number", None
    words = [str(cell) for cell in cells.raw[present & ~is_number]]
    dressed = [number for number in map(dressed_number_in, words) if number is not None]
    like = np.concatenate([cells.numbers[is_number], dressed])
    row = int(cells.rows[present & ~is_number][0])
    codes = len(np.unique(like)) <= min(FEW, len(like) - 1) or any(
        isinstance(cell, str) and _LEADING_ZERO.match(cell) for cell in cells.raw[is_number]
    )
    if 4 * len(like) >= 3 * present.sum() and not codes:
        raise DataError(
            f"column {name} holds {words[0]!r} at row {row}, but numbers in most rows ({len(like)} of "
            f"{present.sum()}); write a plain number, as 1200.5, or leave the field empty where it is missing"
        )
    if len(like):
        return "category", f"column {name} is taken as categories: {words[0]!r} at row {row} is no number"
    different = len(set(words))
    if different > max(FEW, len(words) / 2):
        return (
            "category",
            f"column {name} is taken as categories: {different:,} different ones in {counted(len(words), 'row')}",
        )
    return "category", None


def as_kind(cells: Cells, kind: Kind, name: str) -> np.ndarray:
    """Read cells as what the training column is: float64 with NaN where missing, or text with None.

    Raises:
        DataError: text where numbers are expected, or an infinite number, naming the row.
    """
    if kind == "category":
        return np.array(
            [None if gone else _text(cell) for cell, gone in zip(cells.raw, cells.missing, strict=True)], object
        )
    values = cells.numbers if kind == "number" else np.where(np.isnan(cells.truth), cells.numbers, cells.truth)
    wrong = ~cells.missing & np.isnan(values)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"column {name} holds {cells.raw[row]!r} at row {cells.rows[row]}, but numbers in the training table"
        )
    if np.isinf(values).any():
        row = int(np.flatnonzero(np.isinf(values))[0])
        raise DataError(
            f"column {name} is infinite at row {cells.rows[row]} ({cells.raw[row]}); expected a finite number"
        )
    return values


def _text(cell: object) -> str:
    """Text as it is; a whole number without a point, as it stands in a file that was never read as floats."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, float | np.floating) and float(cell).is_integer():
        return str(int(cell))
    return str(cell)


def _as_float(number: Real | Decimal) -> float:
    try:
        return float(number)
    except OverflowError:  # an integer beyond what float64 can hold
        return float("inf")
