"""House prices: De Cock's Ames sales, or a user's own files with the header of Kaggle's House Prices.

Source: D2L sec_kaggle_house.

De Cock's 2,930 sales are split by a fixed rule: odd `Id` for training (1,465), even for testing. They are listed by
year of sale, so both halves cover the same five years; the competition's training file has 1,460 rows.
"""

import contextlib
import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxd2l.data.error import DataError
from jaxd2l.data.table.column import number_in
from jaxd2l.data.table.csv_file import csv_lines, read_table
from jaxd2l.machine.disk import write_named
from jaxd2l.wording import counted

if TYPE_CHECKING:
    import pandas as pd

AMES = Path(__file__).parent / "ames_housing" / "ames_housing.csv.gz"
AMES_SHA256 = "dba3cf4de52095b1c194d67e1c8d540ccbe0107aac7fb81a4887e7d987019cd7"
ID, TARGET = "Id", "SalePrice"


class Houses(NamedTuple):
    """Sales, one row each.

    Attributes:
        ids: identifiers (n,), text exactly as it stands in the file: `01` and `1` are two.
        features: the columns beside `Id` and `SalePrice`, as text; None where missing.
        price: dollars (n,), above 0; None where the file states none.
        source: the file they were read from; "" for rows of one's own.
    """

    ids: np.ndarray
    features: "pd.DataFrame"
    price: np.ndarray | None
    source: str = ""

    @contextlib.contextmanager
    def named(self) -> Iterator[None]:
        """What is wrong with these rows is told with the file they came from."""
        try:
            yield
        except DataError as error:
            raise DataError(f"{self.source}: {error}" if self.source else str(error)) from error


def load_ames() -> tuple[Houses, Houses]:
    """Return the embedded sales as (training, test), both with prices.

    Raises:
        DataError: the embedded file is not the published one.
    """
    found = hashlib.sha256(AMES.read_bytes()).hexdigest()
    if found != AMES_SHA256:
        raise DataError(f"{AMES}: SHA-256 is {found}, expected {AMES_SHA256}; install the package again")
    houses = read_houses(AMES)
    odd = houses.ids.astype(int) % 2 == 1
    return _rows(houses, odd), _rows(houses, ~odd)


def read_houses(path: Path, *, needs_price: bool = True) -> Houses:
    """Read and check a file with the columns `Id` and `SalePrice` and any others.

    Args:
        path: a CSV, see `read_table`. Blanks around a name in the header are no part of it.
        needs_price: refuse a file without prices; False for the rows to predict, where a price is kept if present.

    Raises:
        DataError: what `read_table` refuses, no `Id`, missing or duplicate ids, no feature, no `SalePrice`, a price
            that is missing, no number, or not above 0.
        OSError: the file cannot be read.
    """
    frame = read_table(path).rename(columns=str.strip)
    if not frame.columns.is_unique:
        name = frame.columns[frame.columns.duplicated()][0]
        raise DataError(f"{path}: column {name!r} appears twice, but for blanks; every column needs a name of its own")
    if ID not in frame.columns:
        raise DataError(f"{path}: no column {ID!r}; the header starts {', '.join(frame.columns[:4])}")
    ids = frame[ID]
    if ids.isna().any():
        raise DataError(f"{path}: row {_first(ids.isna())} has no {ID}")
    if ids.duplicated().any():
        row = _first(ids.duplicated())
        raise DataError(f"{path}: {ID} {ids.iloc[row - 1]} is a duplicate at row {row}; every row needs its own")
    features = frame.drop(columns=[ID, TARGET], errors="ignore")
    if features.shape[1] == 0:
        raise DataError(f"{path}: no feature beside {ID} and {TARGET}")
    if TARGET not in frame.columns:
        if needs_price:
            raise DataError(f"{path}: no target column {TARGET!r} to learn from; is this the test file?")
        return Houses(ids.to_numpy(), features, None, str(path))
    if not needs_price and frame[TARGET].isna().all():
        return Houses(ids.to_numpy(), features, None, str(path))
    return Houses(ids.to_numpy(), features, _prices(path, frame[TARGET]), str(path))


def write_submission(path: Path, ids: np.ndarray, price: np.ndarray) -> None:
    """Write `Id,SalePrice` lines, the form that the competition takes: a CSV in which every id reads back as it was.

    Args:
        path: replaced where it exists, whole or not at all; see `write_named`.
        ids: (n,).
        price: dollars (n,), written with two decimals, and with more below 1,000 to keep six digits.

    Raises:
        ValueError: the counts differ or a price is not finite and above 0.
        OSError: the file cannot be written.
    """
    if ids.shape != price.shape or not (np.isfinite(price) & (price > 0)).all():
        raise ValueError(f"expected one finite price above 0 an id, got {ids.shape} ids and {price.shape} prices")
    write_named(path, csv_lines([(ID, TARGET), *zip(ids, map(_dollars, price), strict=True)]).encode())


def _dollars(price: float) -> str:
    return f"{price:.{max(2, 5 - math.floor(math.log10(price)))}f}"


def _prices(path: Path, column: "pd.Series") -> np.ndarray:
    read = [None if text is None else number_in(text) for text in column]
    price = np.array([np.nan if number is None else number for number in read], np.float64)
    wrong = ~(np.isfinite(price) & (price > 0))
    if wrong.any():
        row = _first(wrong)
        found = "missing" if column.iloc[row - 1] is None else column.iloc[row - 1]
        raise DataError(
            f"{path}: {TARGET} is {found} at row {row} ({counted(wrong.sum(), 'such row')}); expected a number "
            "above 0, such as 110000 or 1.1e5, for its logarithm is what is learned"
        )
    return price


def _first(wrong: "pd.Series | np.ndarray") -> int:
    """Return the number of the first row that is wrong, 1 for the first after the header."""
    return int(np.flatnonzero(np.asarray(wrong))[0]) + 1


def _rows(houses: Houses, chosen: np.ndarray) -> Houses:
    price = None if houses.price is None else houses.price[chosen]
    return Houses(houses.ids[chosen], houses.features[chosen].reset_index(drop=True), price, houses.source)
