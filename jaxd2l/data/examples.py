"""Examples in memory: one row an example, checked before anything trains on them."""

from typing import NamedTuple

import numpy as np

from jaxd2l.data.error import DataError


class Examples(NamedTuple):
    """Inputs and targets, one row an example.

    Attributes:
        x: inputs (n, ...); images are uint8 (n, height, width, channels).
        y: targets; class labels are int32 (n,), regression targets float32 (n, k).
    """

    x: np.ndarray
    y: np.ndarray


class Dataset(NamedTuple):
    """A training and a test part, with what the numbers mean.

    Attributes:
        name: what `load` calls it.
        train: the rows to learn from.
        test: the rows to judge by; never seen in training.
        classes: the name of each label, empty for regression.
        sha256: digest of the unpacked bytes of each file it was read from.
    """

    name: str
    train: Examples
    test: Examples
    classes: tuple[str, ...] = ()
    sha256: tuple[tuple[str, str], ...] = ()


def check_examples(examples: Examples, num_classes: int | None = None, what: str = "examples") -> Examples:
    """Refuse what would otherwise train on in silence.

    Args:
        examples: host arrays.
        num_classes: labels must lie in [0, num_classes); None for regression.
        what: names the part in the message.

    Returns:
        The same examples.

    Raises:
        DataError: no example, unequal counts, labels that are no (n,) integers or out of range,
            inputs or targets that are not finite.
    """
    x, y = examples
    if len(x) != len(y):
        raise DataError(f"{what}: {len(x)} inputs but {len(y)} targets; they must be equal in number")
    if len(x) == 0:
        raise DataError(f"{what}: no example; at least one is needed")
    if num_classes is not None:
        if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer):
            raise DataError(f"{what}: labels must be integers of shape ({len(x)},), got {y.dtype} {y.shape}")
        outside = np.flatnonzero((y < 0) | (y >= num_classes))
        if outside.size:
            raise DataError(
                f"{what}: label {y[outside[0]]} at row {outside[0]} ({outside.size} such rows), "
                f"expected 0 to {num_classes - 1}"
            )
    for part, array in (("inputs", x), ("targets", y)):
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            row = int(np.argwhere(~np.isfinite(array))[0][0])
            raise DataError(f"{what}: {part} are not finite at row {row}; remove or impute missing values first")
    return examples


def split(examples: Examples, held_out: int, seed: int) -> tuple[Examples, Examples]:
    """Set `held_out` random rows aside for validation.

    Args:
        examples: n rows.
        held_out: rows in the second part, 1 to n - 1.
        seed: decides which; the same seed gives the same split.

    Returns:
        `(training, validation)`, disjoint, in file order.

    Raises:
        ValueError: `held_out` leaves one of the parts empty.
    """
    n = len(examples.x)
    if not 0 < held_out < n:
        raise ValueError(f"held_out must be between 1 and {n - 1} of {n} rows, got {held_out}")
    chosen = np.zeros(n, bool)
    chosen[np.random.default_rng(seed).permutation(n)[:held_out]] = True
    return Examples(*(a[~chosen] for a in examples)), Examples(*(a[chosen] for a in examples))
