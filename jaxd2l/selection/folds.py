"""K-fold splits: every row is validated exactly once (D2L sec_model_selection, sec_kaggle_house).

Fold j validates the rows with `fold == j` and trains on all others. Sizes differ by at most one row; one compiled
shape serves all folds, because shorter lists of rows are padded with places of weight 0.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.data import Examples, Rows


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
        raise ValueError(f"the number of folds must be between 2 and the {n} rows, got {k}")
    fold = np.empty(n, np.int32)
    fold[np.random.default_rng(seed).permutation(n)] = np.arange(n) % k
    return fold


def same_in_every_fold(examples: Examples, fold: np.ndarray) -> Folds:
    """Folds of rows that need no estimate from training rows."""
    k = int(fold.max()) + 1
    x, y = (np.broadcast_to(a, (k, *a.shape)) for a in examples)
    return Folds(x, y, fold)


def fold_rows(folds: Folds) -> FoldRows:
    """Find the rows of each fold's training and validation part, padded to one length.

    Raises:
        ValueError: shapes that do not agree, or a fold without rows.
    """
    k, n = folds.x.shape[:2]
    counts = np.bincount(folds.fold, minlength=k) if folds.fold.size else np.zeros(k, int)
    if folds.fold.shape != (n,) or folds.y.shape[:2] != (k, n) or len(counts) != k or counts.min() == 0:
        raise ValueError(
            f"expected x (k, n, ...), y (k, n, outputs) and fold (n,) with rows for each of 0..k-1, got x "
            f"{folds.x.shape}, y {folds.y.shape}, fold {folds.fold.shape} with {counts.tolist()} rows a fold"
        )
    train = _padded([np.flatnonzero(folds.fold != j) for j in range(k)])
    validation = _padded([np.flatnonzero(folds.fold == j) for j in range(k)])
    return FoldRows(jnp.asarray(folds.x), jnp.asarray(folds.y), train, validation)


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
