"""What a member of a sweep came to: a value an epoch."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxd2l.train.results import EpochResult, Judged


class Curves(NamedTuple):
    """One member: a value an epoch, NaN from the epoch in which it diverged.

    Attributes:
        train_loss, train_accuracy, test_loss, test_accuracy: as in `EpochResult`, (epochs,); the accuracies of a
            regression are NaN. Averaged weights are the judged ones where there are any. Of the test part NaN but in
            the last epoch, after which it is judged once, where a validation part judges the epochs.
        diverged: the epoch whose loss or gradient became non-finite, or after which the judged loss is; None where
            none did.
        validation_loss, validation_accuracy: likewise of a validation part; None without one.
    """

    train_loss: np.ndarray
    train_accuracy: np.ndarray
    test_loss: np.ndarray
    test_accuracy: np.ndarray
    diverged: int | None
    validation_loss: np.ndarray | None = None
    validation_accuracy: np.ndarray | None = None

    @property
    def judged_on(self) -> str:
        """The part that epochs and points are compared by."""
        return "test" if self.validation_loss is None else "validation"

    def judged(self, classified: bool) -> np.ndarray:
        """Accuracies of that part, or losses in a regression (epochs,)."""
        values: np.ndarray = getattr(self, f"{self.judged_on}_{'accuracy' if classified else 'loss'}")
        return values

    def columns(self) -> dict[str, np.ndarray]:
        """The curves that there are, by name."""
        return {name: values for name, values in self._asdict().items() if isinstance(values, np.ndarray)}


def curves_from(train: np.ndarray, judged: np.ndarray, tested: np.ndarray | None, diverged: int | None) -> Curves:
    """Curves of one member.

    Args:
        train: loss and accuracy of each epoch (2, epochs).
        judged: likewise of what judged them.
        tested: what the test part said at the end (2,), where a validation part judged the epochs.
        diverged: see `Curves`.
    """
    if tested is None:
        return Curves(train[0], train[1], judged[0], judged[1], diverged)
    test = np.full(judged.shape, np.nan)
    test[:, -1] = tested
    return Curves(train[0], train[1], test[0], test[1], diverged, judged[0], judged[1])


def curves_of(
    results: Sequence[EpochResult],
    epochs: int,
    diverged: int | None,
    *,
    validated: bool = False,
    tested: Judged | None = None,
) -> Curves:
    """Turn the finished epochs of a single run into curves of full length.

    Args:
        results: of the finished epochs.
        epochs: how many there were to be.
        diverged: see `Curves`.
        validated: whether a validation part judged the epochs.
        tested: what the test part said at the end then; None before it.
    """
    curves = np.full((4, epochs), np.nan)
    for i, result in enumerate(results):
        curves[:, i] = [_number(value) for value in (result.train_loss, result.train_accuracy, *result.deciding)]
    told = (None, None) if tested is None else (tested.test_loss, tested.test_accuracy)
    return curves_from(curves[:2], curves[2:], np.array([*map(_number, told)]) if validated else None, diverged)


def _number(value: float | None) -> float:
    return np.nan if value is None else value
