"""Day 2 and 8: a table as arrays, house prices."""

import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from jaxd2l.claims.claim import Claim
from jaxd2l.claims.comparison import within
from jaxd2l.nn import log_rmse
from jaxd2l.selection.folds import assign_folds

if TYPE_CHECKING:
    import pandas as pd

HOUSE_TINY = "NumRooms,Alley,Price\nNA,PAve,127500\n2,NA,106000\n4,NA,178100\nNA,NA,140000\n"


@cache
def _read() -> "pd.DataFrame":
    from jaxd2l.data.table import read_table

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "house_tiny.csv"
        path.write_text(HOUSE_TINY, encoding="utf-8")
        return read_table(path)


@cache
def _tiny() -> tuple[tuple[str, ...], np.ndarray, list[float]]:
    """Names of the columns, inputs (4, columns) and prices of the table in the notes."""
    from jaxd2l.data.table import apply_table, fit_table

    frame = _read()
    inputs, prices = frame.iloc[:, 0:2], frame.iloc[:, 2]
    table = fit_table(inputs, standardise=False)
    return tuple(table.names), apply_table(table, inputs).x, [float(price) for price in prices]


def _standardised() -> np.ndarray:
    from jaxd2l.data.table import apply_table, fit_table

    rooms = _read().iloc[:, 0:1]
    return apply_table(fit_table(rooms), rooms).x[:, 0]


@cache
def _ames() -> tuple[int, list[float]]:
    """Missing values in the array of the Ames houses, and what their indicators are."""
    from jaxd2l.data.houses import load_ames
    from jaxd2l.data.table import apply_table, fit_table

    train, _ = load_ames()
    table = fit_table(train.features)
    x = apply_table(table, train.features).x
    return int(np.isnan(x).sum()), np.unique(x[:, len(table.numeric) :]).tolist()


def _validated() -> list[int]:
    fold = assign_folds(1465, 5, 0)
    times = sum((fold == j).astype(int) for j in range(5))
    return [int(np.min(times)), int(np.max(times))]


def _relative_error() -> list[float]:
    return [log_rmse(jnp.array([1.1 * price]), jnp.array([price])).item() for price in (50_000.0, 500_000.0)]


CLAIMS = (
    Claim("tables", 2, "house_tiny.csv has 4 rows of 3 columns.", [4, 3], lambda: list(_read().shape)),
    Claim("tables", 2, "Missing rooms become the mean of their column.", [3, 2, 4, 3], lambda: _tiny()[1][:, 0]),
    Claim(
        "tables",
        2,
        "Alley becomes two columns, one of them for missing.",
        [[1, 0], [0, 1], [0, 1], [0, 1]],
        lambda: _tiny()[1][:, 1:],
    ),
    Claim("tables", 2, "The prices as an array.", [127500, 106000, 178100, 140000], lambda: _tiny()[2]),
    Claim(
        "houses",
        8,
        "Standardised by mean and deviation, what is missing by the mean: rooms NA, 2, 4, NA become",
        None,
        _standardised,
        within(1e-6),
        truth=[0, -1, 1, 0],
    ),
    Claim("houses", 8, "Missing numbers are imputed: none is left.", 0, lambda: _ames()[0]),
    Claim("houses", 8, "Categories become indicators, of 0 and 1 alone.", [0, 1], lambda: _ames()[1]),
    Claim(
        "houses",
        8,
        "K folds: each row is validated once (least and most often).",
        [1, 1],
        _validated,
    ),
    Claim(
        "houses",
        8,
        "The logarithmic error is relative: 10% off costs log 1.1 for a cheap and a dear house.",
        None,
        _relative_error,
        within(1e-5),
        truth=[float(np.log(1.1))] * 2,
    ),
)
