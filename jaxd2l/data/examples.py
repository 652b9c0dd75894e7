"""Examples in memory: one row an example, checked before anything trains on them."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxd2l.data.error import DataError
from jaxd2l.data.plain import first_row, plain, require_numbers
from jaxd2l.wording import counted

LARGEST_SEED = 2**32 - 1


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
        validation: the rows by which epochs are compared, so that the test part is judged once, at the end; where None
            each epoch is judged by the test part.
        held_out: share and seed by which `hold_out` drew `validation`; None where it did not.
        pictures_together: whether it drew other rows than it would have, to keep equal pictures on one side.
    """

    name: str
    train: Examples
    test: Examples
    classes: tuple[str, ...] = ()
    sha256: tuple[tuple[str, str], ...] = ()
    validation: Examples | None = None
    held_out: tuple[float, int] | None = None
    pictures_together: bool = False

    @property
    def judged(self) -> Examples:
        """What each epoch is judged by: the validation part, the test part where there is none."""
        return self.test if self.validation is None else self.validation


def check_examples(examples: Examples, num_classes: int | None = None, what: str = "examples") -> Examples:
    """Refuse what would otherwise train on in silence.

    Args:
        examples: arrays of any type of numbers and any layout.
        num_classes: labels must lie in [0, num_classes); None for regression.
        what: names the part in the message.

    Returns:
        The same numbers in the types of `stored_dtype`; the same object where nothing had to change.

    Raises:
        DataError: no arrays of real numbers, no example, unequal counts, labels that are no (n,) integers or out of
            range, inputs or targets that are not finite or that float32 cannot hold.
    """
    x, y = (require_numbers(a, f"{what}: {part}") for part, a in zip(("inputs", "targets"), examples, strict=True))
    if len(x) != len(y):
        raise DataError(
            f"{what}: {counted(len(x), 'input')} but {counted(len(y), 'target')}; they must be equal in number"
        )
    if len(x) == 0:
        raise DataError(f"{what}: no example; at least one is needed")
    if num_classes is not None:
        _check_labels(np.asarray(y), num_classes, what)
    checked = Examples(plain(x, f"{what}: inputs"), plain(y, f"{what}: targets", labels=num_classes is not None))
    return examples if checked.x is examples.x and checked.y is examples.y else checked


def _check_labels(y: np.ndarray, num_classes: int, what: str) -> None:
    if y.ndim != 1 or not jnp.issubdtype(y.dtype, jnp.integer):
        hint = ""
        if y.ndim == 1 and y.dtype == np.bool_:
            hint = "; use y.astype(np.int32)"
        if y.ndim == 1 and jnp.issubdtype(y.dtype, jnp.floating):
            row = first_row(y, lambda rows: rows != np.floor(rows))
            hint = "; use y.astype(np.int32)" if row is None else f" with {y[row]} at row {row}, which is no class"
        raise DataError(f"{what}: labels must be integers of shape ({len(y)},), got {y.dtype} {y.shape}{hint}")
    # Compared in NumPy's own integers, where a class count that the labels' type cannot hold is what it is.
    y = y if np.issubdtype(y.dtype, np.integer) else y.astype(np.int32)
    outside = np.flatnonzero((y < 0) | (y >= num_classes))
    if outside.size:
        raise DataError(
            f"{what}: label {y[outside[0]]} at row {outside[0]} ({counted(outside.size, 'such row')}), "
            f"expected 0 to {num_classes - 1}"
        )


def split(examples: Examples, held_out: int, seed: int) -> tuple[Examples, Examples]:
    """Set `held_out` random rows aside for validation.

    Args:
        examples: n rows.
        held_out: rows in the second part, 1 to n - 1.
        seed: decides which; the same seed gives the same split.

    Returns:
        `(training, validation)`, disjoint, in file order.

    Raises:
        ValueError: `held_out` leaves one of the parts empty, or inputs and targets are not equal in number.
    """
    n = len(examples.x)
    if len(examples.y) != n:
        raise ValueError(f"{counted(n, 'input')} but {counted(len(examples.y), 'target')}; give as many of both")
    if isinstance(held_out, bool) or not isinstance(held_out, int | np.integer) or not 0 < held_out < n:
        raise ValueError(f"held_out must be between 1 and {n - 1} of {counted(n, 'row')}, got {held_out}")
    chosen = np.zeros(n, bool)
    chosen[np.random.default_rng(seed).permutation(n)[:held_out]] = True
    return Examples(*(a[~chosen] for a in examples)), Examples(*(a[chosen] for a in examples))


def balanced_class_weights(labels: np.ndarray, num_classes: int) -> tuple[float, ...]:
    """Rows / (classes * rows of the class), so that every class counts alike (scikit-learn's "balanced").

    Args:
        labels: (n,) integers in [0, num_classes), of the training rows.
        num_classes: k.

    Returns:
        k numbers; their mean over the rows is 1.

    Raises:
        DataError: a class has no row, or labels are none of these.
    """
    labels = np.asarray(labels)
    labels = labels.astype(np.int32) if labels.dtype == np.bool_ else labels
    _check_labels(labels, num_classes, "labels to be balanced")
    counts = np.bincount(labels, minlength=num_classes)
    if not counts.all():
        raise DataError(f"class {int(np.flatnonzero(counts == 0)[0])} has no training example, so no balanced weight")
    return tuple(float(weight) for weight in len(labels) / (num_classes * counts))
