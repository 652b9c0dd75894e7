"""Tables to arrays: what is estimated from training rows, applied to any rows (D2L sec_pandas, sec_kaggle_house).

`read_table` reads a CSV strictly, `fit_table` estimates means, scales and categories, `apply_table` turns rows into
a float32 array. Nothing of a row that is not given to `fit_table` can reach the transform.
"""

import csv
import gzip
import io
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxd2l.data.error import DataError

if TYPE_CHECKING:
    import pandas as pd

MISSING = ("NA", "")  # what a missing value looks like in a file; "None" is a category of its own


class Numeric(NamedTuple):
    """A column of numbers: missing becomes `mean`, then (value - mean) / scale, kept within `limit` of 0."""

    name: str
    mean: float
    scale: float


class Categorical(NamedTuple):
    """A column of categories, sorted; `missing` says whether the training rows had missing values."""

    name: str
    categories: tuple[str, ...]
    missing: bool


class Table(NamedTuple):
    """Everything that was estimated from the training rows.

    Attributes:
        columns: every column that the table had, in order, used or not.
        numeric: the numeric columns that are used.
        categorical: the columns that become indicators.
        standardise: whether numbers are centred and scaled, or only imputed.
        limit: largest standardised magnitude.
        notes: one line for every column that is not used, saying why.
    """

    columns: tuple[str, ...]
    numeric: tuple[Numeric, ...]
    categorical: tuple[Categorical, ...]
    standardise: bool
    limit: float
    notes: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each column of the array: numbers first, then an indicator for each category."""
        indicators = (
            f"{c.name}_{category}"
            for c in self.categorical
            for category in (*c.categories, *(("missing",) if c.missing else ()))
        )
        return (*(c.name for c in self.numeric), *indicators)


class Rows(NamedTuple):
    """Transformed rows: x float32 (n, d), and how many values of each column no training row has had."""

    x: np.ndarray
    unseen: dict[str, int]


def read_table(path: Path) -> "pd.DataFrame":
    """Read a CSV with a header, plain or gzipped, in UTF-8; "NA" and an empty field are missing.

    Raises:
        DataError: naming file and line: not UTF-8, damaged gzip, empty, no row, a header with an empty or repeated
            name, a row with more or fewer fields than the header.
        OSError: the file cannot be read.
    """
    import pandas as pd

    header, records = _records(path, _text(path))
    frame = pd.DataFrame(records, columns=header, dtype=object)
    return pd.DataFrame({name: _typed(frame[name]) for name in header}, columns=header)


def fit_table(frame: "pd.DataFrame", *, standardise: bool = True, limit: float = float("inf")) -> Table:
    """Estimate the transform from training rows.

    Args:
        frame: training rows, features alone. Columns of a numeric or boolean dtype are numbers, all others categories.
        standardise: subtract the mean and divide by the standard deviation (the root of the mean square); False
            only imputes, as in D2L sec_pandas.
        limit: standardised values beyond +-limit are set to it. One house of 5,642 square feet, nine deviations
            above the mean, else decides the slope for all others.

    Returns:
        The transform. A column without information, all missing or constant, is left out and noted: it would add
        a weight that training never moves.

    Raises:
        DataError: no row, no usable column, an infinite number.
        ValueError: `limit` is not above 0, or is given without `standardise`.
    """
    if not limit > 0 or (not standardise and limit != float("inf")):
        raise ValueError(f"limit is in standard deviations, above 0, and needs standardise=True; got {limit}")
    if len(frame) == 0:
        raise DataError("the table has no row; at least one is needed to estimate means and categories")
    numeric, categorical, notes = [], [], []
    for name in frame.columns:
        column = frame[name]
        if column.isna().all():
            notes.append(f"column {name} is left out: every training value is missing")
        elif _is_number(column):
            values = _numbers(column, name)
            present = values[~np.isnan(values)]
            if present.min() == present.max():
                notes.append(f"column {name} is left out: every training value is {present[0]:g}")
                continue
            numeric.append(Numeric(str(name), float(present.mean()), float(present.std()) if standardise else 1.0))
        else:
            categories = tuple(sorted(column[column.notna()].astype(str).unique()))
            missing = bool(column.isna().any())
            if len(categories) == 1 and not missing:
                notes.append(f"column {name} is left out: every training value is {categories[0]}")
                continue
            categorical.append(Categorical(str(name), categories, missing))
    if not numeric and not categorical:
        raise DataError(f"no usable column among {len(frame.columns)}: {'; '.join(notes) or 'the table has none'}")
    columns = tuple(str(name) for name in frame.columns)
    return Table(columns, tuple(numeric), tuple(categorical), standardise, limit, tuple(notes))


def apply_table(table: Table, frame: "pd.DataFrame") -> Rows:
    """Transform rows by what `fit_table` estimated.

    Args:
        table: from the training rows.
        frame: rows with the same columns, in any order.

    Returns:
        x (n, len(table.names)). A category, or a missing category, that no training row had gives zeros in all of
        its column's indicators, and is counted in `unseen`.

    Raises:
        DataError: a column is missing, unknown, or holds text where the training rows hold numbers; infinite numbers.
    """
    absent = [name for name in table.columns if name not in frame.columns]
    extra = [str(name) for name in frame.columns if name not in table.columns]
    if absent or extra:
        found = "; ".join(
            f"{what} {', '.join(names[:5])}" + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            for what, names in (("without", absent), ("unexpected", extra))
            if names
        )
        raise DataError(f"the columns differ from the training table's: {found}; give both the same header")
    parts, unseen = [], {}
    for number in table.numeric:
        values = _numbers(frame[number.name], number.name)
        values = np.where(np.isnan(values), number.mean, values)
        if table.standardise:
            values = np.clip((values - number.mean) / number.scale, -table.limit, table.limit)
        parts.append(values[:, None])
    for category in table.categorical:
        column = frame[category.name]
        gone = column.isna().to_numpy(bool)
        text = column.astype(str).to_numpy(object)
        indicators = (text[:, None] == np.array(category.categories, object)[None, :]) & ~gone[:, None]
        if category.missing:
            indicators = np.column_stack([indicators, gone])
        count = int((~indicators.any(axis=1)).sum())
        if count:
            unseen[category.name] = count
        parts.append(indicators)
    return Rows(np.concatenate(parts, axis=1, dtype=np.float32, casting="unsafe"), unseen)


def _text(path: Path) -> str:
    raw = path.read_bytes()
    try:
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
        text = raw.decode("utf-8-sig")  # Excel starts its UTF-8 with a byte order mark
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise DataError(f"{path}, line {line}: not UTF-8 (byte 0x{raw[error.start]:02x}); save it as UTF-8") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: damaged gzip file ({error}); copy or download it again") from None
    if not text.strip():
        raise DataError(f"{path}: the file is empty; expected a CSV with a header")
    return text


def _records(path: Path, text: str) -> tuple[list[str], list[list[str]]]:
    """Split into header and rows; a short row, which pandas would pad in silence, is refused."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader)
        repeated = sorted({name for name in header if header.count(name) > 1})
        if repeated or "" in header:
            what = f"column {repeated[0]!r} appears twice" if repeated else "a column has no name"
            raise DataError(f"{path}, line 1: {what}; every column needs a name of its own")
        records = []
        for record in reader:
            if not record:
                continue  # a blank line
            if len(record) != len(header):
                raise DataError(
                    f"{path}, line {reader.line_num}: {len(record)} fields, but the header has {len(header)}; "
                    "complete the row or quote the field that holds a comma"
                )
            records.append(record)
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: not a CSV ({error})") from None
    if not records:
        raise DataError(f"{path}: a header without rows; at least one row is needed")
    return header, records


def _typed(column: "pd.Series") -> "pd.Series":
    """Numbers where every value that is not missing is one, text otherwise."""
    import pandas as pd

    present = ~column.isin(MISSING)
    try:
        return pd.to_numeric(column.where(present, None).astype(object))
    except (ValueError, TypeError):
        return column.where(present, None)


def _is_number(column: "pd.Series") -> bool:
    import pandas as pd

    return bool(pd.api.types.is_numeric_dtype(column.dtype))


def _numbers(column: "pd.Series", name: str) -> np.ndarray:
    """A column as float64, NaN where missing; rows are counted from 1, the first after the header."""
    if not _is_number(column) and not column.isna().all():
        text = next(v for v in column[column.notna()] if not _reads_as_number(v))
        row = int(np.flatnonzero((column == text).to_numpy())[0]) + 1
        raise DataError(f"column {name} holds {text!r} at row {row}, but numbers in the training table")
    values = column.to_numpy(np.float64, na_value=np.nan)
    if np.isinf(values).any():
        row = int(np.flatnonzero(np.isinf(values))[0]) + 1
        raise DataError(f"column {name} is infinite at row {row}")
    return values


def _reads_as_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True
