"""What a member of a sweep came to: a value an epoch."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxd2l.train.results import EpochResult


class Curves(NamedTuple):
    """One member: a value an epoch, NaN from the epoch in which it diverged.

    Attributes:
        train_loss, train_accuracy, test_loss, test_accuracy: as in `EpochResult`, (epochs,); the accuracies of a
            regression are NaN.
        diverged: the epoch whose loss or gradient became non-finite; None where none did.
    """

    train_loss: np.ndarray
    train_accuracy: np.ndarray
    test_loss: np.ndarray
    test_accuracy: np.ndarray
    diverged: int | None


def curves_of(results: Sequence[EpochResult], epochs: int, diverged: int | None) -> Curves:
    """Turn the finished epochs of a single run into curves of full length."""
    curves = np.full((4, epochs), np.nan)
    for i, result in enumerate(results):
        values = (result.train_loss, result.train_accuracy, result.test_loss, result.test_accuracy)
        curves[:, i] = [np.nan if value is None else value for value in values]
    return Curves(curves[0], curves[1], curves[2], curves[3], diverged)
