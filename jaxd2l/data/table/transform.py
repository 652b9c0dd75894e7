"""Tables to arrays: what is estimated from training rows, applied to any rows (D2L sec_pandas, sec_kaggle_house).

`read_table` reads a CSV strictly, as text; `fit_table` decides which columns are numbers and estimates means, scales
and categories; `apply_table` turns rows into a float32 array. Nothing of a row that is not given to `fit_table` can
reach the transform.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxd2l.data.error import DataError
from jaxd2l.data.table.column import Cells, as_kind, kind_of, number_in, read_cells
from jaxd2l.data.table.csv_file import read_table
from jaxd2l.data.table.deviation import mean_and_deviation, standard
from jaxd2l.data.table.estimates import Categorical, Numeric, Table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Categorical", "Features", "Numeric", "Table", "apply_table", "by_name", "fit_table", "read_table", "typed"]


class Features(NamedTuple):
    """Transformed rows: x float32 (n, d), and how many values of each column no training row has had."""

    x: np.ndarray
    unseen: dict[str, int]


def fit_table(
    frame: "pd.DataFrame",
    *,
    standardise: bool = True,
    limit: float = float("inf"),
    rows: np.ndarray | None = None,
) -> Table:
    """Estimate the transform from training rows.

    Args:
        frame: training rows, features alone. A column of a numeric or boolean dtype is numbers, one of pandas' category
            dtype is categories. Text, and what pandas keeps as objects, is numbers where every value is one, 1 and 0
            where every value is True or False, and categories otherwise (`jaxd2l.data.table.column`).
        standardise: subtract the mean and divide by the standard deviation (the root of the mean square); False
            only imputes, as in D2L sec_pandas.
        limit: standardised values beyond +-limit are set to it. One house of 5,642 square feet, nine deviations
            above the mean, else decides the slope for all others.
        rows: their numbers in messages (n,), where they are some of a table's; None counts from 1.

    Returns:
        The transform. A column without information, all missing or constant up to rounding, is left out and noted: it
        would add a weight that training never moves, or that multiplies rounding.

    Raises:
        DataError: no row, no usable column, two columns of one name, an infinite number, text in a column of numbers, a
            value that is neither number, text nor boolean.
        TypeError: `frame` is no pandas DataFrame.
        ValueError: `limit` is not above 0, or is given without `standardise`.
    """
    if not limit > 0 or (not standardise and limit != float("inf")):
        raise ValueError(f"limit is in standard deviations, above 0, and needs standardise=True; got {limit}")
    columns = by_name(frame)
    if len(frame) == 0:
        raise DataError("the table has no row; at least one is needed to estimate means and categories")
    numeric: list[Numeric] = []
    categorical: list[Categorical] = []
    notes: list[str] = []
    for name, column in columns.items():
        cells = read_cells(column, name, rows)
        if cells.missing.all():
            notes.append(f"column {name} is left out: every training value is missing")
            continue
        kind, remark = kind_of(cells, name)
        if kind == "category":
            fitted, constant = _fit_categories(cells, name)
            categorical.extend(fitted)
        else:
            numbers, constant = _fit_numbers(as_kind(cells, kind, name), name, kind == "boolean")
            numeric.extend(n if standardise else n._replace(scale=1.0) for n in numbers)
        if constant or remark:
            notes.append(" ".join(f"{constant or remark}".split()))  # text out of a file may hold line breaks
    if not numeric and not categorical:
        raise DataError(f"no usable column among {len(columns)}: {'; '.join(notes) or 'the table has none'}")
    return Table(tuple(columns), tuple(numeric), tuple(categorical), standardise, limit, tuple(notes))


def typed(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Decide what each column is on these rows, for a table that is fitted on some of them (a fold's training rows).

    Returns:
        Columns of float64, of pandas' boolean and category dtypes, and of None where every value is missing. What
        `fit_table` makes of all these rows is what it makes of `frame`, but for the notes on doubtful columns.

    Raises:
        DataError, TypeError: as `fit_table`.
    """
    import pandas as pd

    columns = {}
    for name, column in by_name(frame).items():
        cells = read_cells(column, name)
        if cells.missing.all():
            columns[name] = pd.Series([None] * len(column), dtype=object)
            continue
        kind, _ = kind_of(cells, name)
        values = as_kind(cells, kind, name)
        if kind == "number":
            columns[name] = pd.Series(values)
        elif kind == "boolean":
            columns[name] = pd.Series(pd.arrays.BooleanArray(values == 1, np.isnan(values)))
        else:
            columns[name] = pd.Series(pd.Categorical(values))
    return pd.DataFrame(columns, index=pd.RangeIndex(len(frame)))


def apply_table(table: Table, frame: "pd.DataFrame", rows: np.ndarray | None = None) -> Features:
    """Transform rows by what `fit_table` estimated.

    Args:
        table: from the training rows.
        frame: rows with the same columns, in any order and of any dtype: what they are is decided by the table.
        rows: see `fit_table`.

    Returns:
        x (n, len(table.names)), finite. A category, or a missing category, that no training row had gives zeros in all
        of its column's indicators, and is counted in `unseen`. No row depends on another.

    Raises:
        DataError: a column is missing, unknown, given twice, or holds text where the training rows hold numbers;
            numbers that are infinite or too far from the training rows' for float32.
        TypeError: `frame` is no pandas DataFrame.
    """
    columns = by_name(frame)
    absent = [name for name in table.columns if name not in columns]
    extra = [name for name in columns if name not in set(table.columns)]
    if absent or extra:
        found = "; ".join(
            f"{what} {', '.join(names[:5])}" + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            for what, names in (("without", absent), ("unexpected", extra))
            if names
        )
        raise DataError(f"the columns differ from the training table's: {found}; give both the same header")
    parts, unseen = [np.empty((len(frame), 0), np.float32)], {}
    for number in table.numeric:
        parts.append(_apply_numbers(number, read_cells(columns[number.name], number.name, rows), table)[:, None])
    for category in table.categorical:
        indicators = _apply_categories(category, read_cells(columns[category.name], category.name, rows))
        count = int((~indicators.any(axis=1)).sum())
        if count:
            unseen[category.name] = count
        parts.append(indicators)
    return Features(np.concatenate(parts, axis=1, dtype=np.float32, casting="unsafe"), unseen)


def by_name(frame: "pd.DataFrame") -> "dict[str, pd.Series]":
    """Columns by the text of their names, which may be numbers or tuples.

    Raises:
        DataError: two columns of one name.
        TypeError: `frame` is no pandas DataFrame.
    """
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"expected a pandas DataFrame, got {type(frame).__name__}; wrap it in pandas.DataFrame")
    columns: dict[str, pd.Series] = {}
    for place, label in enumerate(frame.columns):
        if str(label) in columns:
            raise DataError(f"column {label} appears twice; every column needs a name of its own")
        columns[str(label)] = frame.iloc[:, place]
    return columns


def _fit_numbers(values: np.ndarray, name: str, boolean: bool) -> tuple[list[Numeric], str | None]:
    present = values[~np.isnan(values)]
    mean, deviation = mean_and_deviation(present)
    if deviation > 0:
        return [Numeric(name, mean, deviation, boolean)], None
    rounding = "" if present.min() == present.max() else " up to rounding"
    return [], f"column {name} is left out: every training value is {present[0]:g}{rounding}"


def _fit_categories(cells: Cells, name: str) -> tuple[list[Categorical], str | None]:
    categories = tuple(sorted({text for text in as_kind(cells, "category", name) if text is not None}))
    missing = bool(cells.missing.any())
    if len(categories) > 1 or missing:
        return [Categorical(name, categories, missing)], None
    return [], f"column {name} is left out: every training value is {categories[0]}"


def _apply_numbers(number: Numeric, cells: Cells, table: Table) -> np.ndarray:
    values = as_kind(cells, "boolean" if number.boolean else "number", number.name)
    given = np.where(np.isnan(values), number.mean, values)
    if table.standardise:
        given = np.clip(standard(given, number.mean, number.scale), -table.limit, table.limit)
    beyond = np.abs(given) > np.finfo(np.float32).max
    if beyond.any():
        row = int(np.flatnonzero(beyond)[0])
        raise DataError(
            f"column {number.name} is {values[row]:g} at row {cells.rows[row]}, which is too large for float32"
            + (
                f" after (x - {number.mean:g}) / {number.scale:g}; correct it, or bound it from Python (`limit`)"
                if table.standardise
                else ""
            )
        )
    return given.astype(np.float32)


def _apply_categories(category: Categorical, cells: Cells) -> np.ndarray:
    """Indicators (n, categories and missing), bool."""
    place = {text: number for number, text in enumerate(category.categories)}
    # A number that pandas made of text finds the category that is spelled otherwise, 20.0 or 020, if there is just one.
    spelled: dict[float, list[int]] = {}
    for text, number in place.items():
        value = number_in(text)
        if value is not None:
            spelled.setdefault(value, []).append(number)
    found = np.full(len(cells.raw), -1)
    for row, text in enumerate(as_kind(cells, "category", category.name)):
        if text is None:
            found[row] = len(place) if category.missing else -1
        elif text in place:
            found[row] = place[text]
        elif not isinstance(cells.raw[row], str):
            same = spelled.get(cells.numbers[row], [])
            found[row] = same[0] if len(same) == 1 else -1
    return found[:, None] == np.arange(len(place) + category.missing)
