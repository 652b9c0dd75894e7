"""House prices: De Cock's Ames sales, or a user's own files with the header of Kaggle's House Prices.

Source: D2L sec_kaggle_house.

De Cock's 2,930 sales are split by a fixed rule: odd `Id` for training (1,465), even for testing. They are listed by
year of sale, so both halves cover the same five years; the competition's training file has 1,460 rows.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxd2l.data.error import DataError
from jaxd2l.data.table import read_table

if TYPE_CHECKING:
    import pandas as pd

AMES = Path(__file__).parent / "ames_housing" / "ames_housing.csv.gz"
AMES_SHA256 = "dba3cf4de52095b1c194d67e1c8d540ccbe0107aac7fb81a4887e7d987019cd7"
CITATION = "Ames housing: Dean De Cock, Journal of Statistics Education 19(3), 2011"
ID, TARGET = "Id", "SalePrice"


class Houses(NamedTuple):
    """Sales, one row each.

    Attributes:
        ids: identifiers (n,), as they stand in the file.
        features: the columns beside `Id` and `SalePrice`.
        price: dollars (n,), above 0; None where the file states none.
    """

    ids: np.ndarray
    features: "pd.DataFrame"
    price: np.ndarray | None


def load_ames() -> tuple[Houses, Houses]:
    """Return the embedded sales as (training, test), both with prices.

    Raises:
        DataError: the embedded file is not the published one.
    """
    found = hashlib.sha256(AMES.read_bytes()).hexdigest()
    if found != AMES_SHA256:
        raise DataError(f"{AMES}: SHA-256 is {found}, expected {AMES_SHA256}; install the package again")
    houses = read_houses(AMES)
    odd = houses.ids % 2 == 1
    return _rows(houses, odd), _rows(houses, ~odd)


def read_houses(path: Path, *, needs_price: bool = True) -> Houses:
    """Read and check a file with the columns `Id` and `SalePrice` and any others.

    Args:
        path: a CSV, see `read_table`.
        needs_price: refuse a file without prices; False for the rows to predict, where a price is kept if present.

    Raises:
        DataError: what `read_table` refuses, no `Id`, missing or duplicate ids, no feature, no `SalePrice`, a price
            that is missing, no number, or not above 0.
        OSError: the file cannot be read.
    """
    frame = read_table(path)
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
        return Houses(ids.to_numpy(), features, None)
    if not needs_price and frame[TARGET].isna().all():
        return Houses(ids.to_numpy(), features, None)
    return Houses(ids.to_numpy(), features, _prices(path, frame[TARGET]))


def write_submission(path: Path, ids: np.ndarray, price: np.ndarray) -> None:
    """Write `Id,SalePrice` lines, the form that the competition takes.

    Args:
        path: replaced where it exists.
        ids: (n,).
        price: dollars (n,).

    Raises:
        ValueError: the counts differ or a price is not finite and above 0.
        OSError: the file cannot be written.
    """
    if ids.shape != price.shape or not (np.isfinite(price) & (price > 0)).all():
        raise ValueError(f"expected one finite price above 0 an id, got {ids.shape} ids and {price.shape} prices")
    lines = [f"{ID},{TARGET}", *(f"{i},{p:.2f}" for i, p in zip(ids, price, strict=True))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _prices(path: Path, column: "pd.Series") -> np.ndarray:
    import pandas as pd

    price = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    wrong = ~(np.isfinite(price) & (price > 0))
    if wrong.any():
        row = _first(wrong)
        raise DataError(
            f"{path}: {TARGET} is {column.iloc[row - 1]} at row {row} ({int(wrong.sum())} such rows); "
            "expected a number above 0, for its logarithm is what is learned"
        )
    return price


def _first(wrong: "pd.Series | np.ndarray") -> int:
    """Return the number of the first row that is wrong, 1 for the first after the header."""
    return int(np.flatnonzero(np.asarray(wrong))[0]) + 1


def _rows(houses: Houses, chosen: np.ndarray) -> Houses:
    price = None if houses.price is None else houses.price[chosen]
    return Houses(houses.ids[chosen], houses.features[chosen].reset_index(drop=True), price)
