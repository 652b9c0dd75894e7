"""K-fold splits: every row is validated exactly once (D2L sec_model_selection, sec_kaggle_house).

Fold j validates the rows with `fold == j` and trains on all others. Sizes differ by at most one row; one compiled
shape serves all folds, because shorter lists of rows are padded with places of weight 0.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.data import DataError, Examples, Rows
from jaxd2l.data.plain import plain, require_numbers
from jaxd2l.wording import counted


class Folds(NamedTuple):
    """Rows as each fold sees them: with what was estimated from its own training rows.

    Attributes:
        x: (k, n, ...) inputs of all n rows in each of the k folds.
        y: (k, n, outputs) targets.
        fold: (n,) which fold validates the row, 0 to k - 1.
    """

    x: np.ndarray
    y: np.ndarray
    fold: np.ndarray


class FoldRows(NamedTuple):
    """One fold's arrays; with a leading axis k, those of all.

    Attributes:
        x, y: as in `Folds`.
        train, validation: row numbers and weights of a padded list, (m,) each.
    """

    x: jax.Array
    y: jax.Array
    train: Rows
    validation: Rows


def assign_folds(n: int, k: int, seed: int) -> np.ndarray:
    """Deal n shuffled rows out to k folds: (n,) int32.

    Raises:
        ValueError: not 2 <= k <= n.
    """
    if not 2 <= k <= n:
        raise ValueError(f"the number of folds must be between 2 and the {counted(n, 'row')}, got {k}")
    fold = np.empty(n, np.int32)
    fold[np.random.default_rng(seed).permutation(n)] = np.arange(n) % k
    return fold


def same_in_every_fold(examples: Examples, fold: np.ndarray) -> Folds:
    """Folds of rows that need no estimate from training rows.

    Raises:
        ValueError: no fold, or folds and rows that are no arrays of numbers.
    """
    fold = _fold_numbers(fold)
    if fold.size == 0:
        raise ValueError("no row has a fold; at least two rows are needed")
    k = int(fold.max()) + 1
    parts = zip(("inputs", "targets"), examples, strict=True)
    x, y = (np.broadcast_to(a, (k, *a.shape)) for a in (np.asarray(require_numbers(a, what)) for what, a in parts))
    return Folds(x, y, fold)


def fold_rows(folds: Folds) -> FoldRows:
    """Find the rows of each fold's training and validation part, padded to one length.

    Raises:
        ValueError: shapes that do not agree, or a fold without rows.
        DataError: inputs or targets of a type that no device takes, not finite, or beyond float32.
    """
    x, y = (require_numbers(a, what) for what, a in (("inputs", folds.x), ("targets", folds.y)))
    folds = Folds(np.asarray(x), np.asarray(y), _fold_numbers(folds.fold))
    k, n = folds.x.shape[:2] if folds.x.ndim > 1 else (0, 0)
    counts = np.bincount(folds.fold, minlength=k) if folds.fold.size else np.zeros(k, int)
    if folds.fold.shape != (n,) or folds.y.shape[:2] != (k, n) or len(counts) != k or counts.min() == 0:
        raise ValueError(
            f"expected x (k, n, ...), y (k, n, outputs) and fold (n,) with rows for each of 0..k-1, got x "
            f"{folds.x.shape}, y {folds.y.shape}, fold {folds.fold.shape} with {counts.tolist()} rows a fold"
        )
    train = _padded([np.flatnonzero(folds.fold != j) for j in range(k)])
    validation = _padded([np.flatnonzero(folds.fold == j) for j in range(k)])
    x, y = _plain_folds(folds.x, "inputs"), _plain_folds(folds.y, "targets")
    return FoldRows(jnp.asarray(x), jnp.asarray(y), train, validation)


def _fold_numbers(fold: np.ndarray) -> np.ndarray:
    """Which fold validates each row, as integers that count in no narrow type."""
    fold = np.asarray(require_numbers(fold, "folds"))
    if fold.ndim != 1 or not np.issubdtype(fold.dtype, np.integer):
        raise ValueError(f"folds must be integers of shape (n,), got {fold.dtype} {fold.shape}")
    outside = np.flatnonzero((fold < 0) | (fold >= max(1, len(fold))))
    if outside.size:
        row = outside[0]
        raise ValueError(f"row {row} has fold {fold[row]}, expected 0 to k - 1, with rows for each of 0..k-1")
    return fold.astype(np.int32, copy=False)


def _plain_folds(array: np.ndarray, what: str) -> np.ndarray:
    """Numbers as a device takes them; rows that every fold shares are looked at once."""
    shared = array.strides[0] == 0
    checked = np.asarray(plain(array[:1] if shared else array, what))
    if checked.dtype == np.float64 and not jax.config.jax_enable_x64:
        raise DataError(f"{what} are float64, which JAX would narrow in silence; use astype(np.float32)")
    return np.broadcast_to(checked, array.shape) if shared else checked


def shuffled(key: jax.Array, rows: Rows, batch_size: int) -> Rows:
    """Order a padded list (m,) at random, padding last, in batches (steps, batch_size)."""
    m = rows.indices.shape[0]
    steps = -(-m // batch_size)
    draw = jax.random.uniform(key, (m,))
    order = jnp.argsort(jnp.where(rows.weight > 0, draw, 2.0))  # a draw is below 1, so padding comes last
    padding = (0, steps * batch_size - m)
    return Rows(*(jnp.pad(a[order], padding).reshape(steps, batch_size) for a in rows))


def _padded(lists: Sequence[np.ndarray]) -> Rows:
    m = max(map(len, lists))
    indices = np.stack([np.pad(rows, (0, m - len(rows))) for rows in lists])
    weight = np.stack([np.pad(np.ones(len(rows)), (0, m - len(rows))) for rows in lists])
    return Rows(jnp.asarray(indices, jnp.int32), jnp.asarray(weight, jnp.float32))


def by_row(prediction: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """(g, s, k, m, outputs) predictions of padded validation lists to (g, s, n, outputs) in the order of the rows."""
    g, s, k, _, outputs = prediction.shape
    result = np.empty((g, s, len(fold), outputs), prediction.dtype)
    for j in range(k):
        rows = np.flatnonzero(fold == j)
        result[:, :, rows] = prediction[:, :, j, : len(rows)]
    return result
