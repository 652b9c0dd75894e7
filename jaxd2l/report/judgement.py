"""What a classifier did with each example, judged: who is taken for whom, how sure it is, where it is wrong."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

BANDS = 10


class Calibration(NamedTuple):
    """Confidence beside accuracy, in bands of equal width (Guo et al. 2017, arXiv:1706.04599).

    Attributes:
        edges: of the bands, from 0 to 1 (b + 1,).
        accuracy: share right of each band's examples (b,), NaN where it is empty.
        confidence: mean probability of the predicted class (b,), NaN where it is empty.
        counts: examples of each band (b,).
        error: expected calibration error: mean over examples of their band's |accuracy - confidence|.
    """

    edges: np.ndarray
    accuracy: np.ndarray
    confidence: np.ndarray
    counts: np.ndarray
    error: float


class Judgement(NamedTuple):
    """A classifier on labelled examples.

    Attributes:
        probabilities: (n, classes).
        labels: true classes (n,).
        predicted: most probable classes (n,).
        confidence: their probabilities (n,).
        confusion: examples of class i taken for class j (classes, classes).
    """

    probabilities: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    confusion: np.ndarray

    @property
    def accuracy(self) -> float:
        """Share right, in [0, 1]."""
        return float((self.predicted == self.labels).mean())

    @property
    def recall(self) -> np.ndarray:
        """Share of each class's examples that are found (classes,); NaN for a class without any."""
        return _share(np.diag(self.confusion), self.confusion.sum(axis=1))

    @property
    def precision(self) -> np.ndarray:
        """Share right of the examples taken for each class (classes,); NaN where there are none."""
        return _share(np.diag(self.confusion), self.confusion.sum(axis=0))


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def judge(probabilities: np.ndarray, labels: np.ndarray) -> Judgement:
    """Judge probabilities (n, classes) by true labels (n,).

    Raises:
        ValueError: no example, lengths that differ, or a label that is no class.
    """
    probabilities, labels = np.asarray(probabilities), np.asarray(labels).astype(np.int64)
    n, classes = probabilities.shape
    if not n or labels.shape != (n,):
        raise ValueError(f"expected at least one example and a label for each, got {n} and labels {labels.shape}")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels must be 0 to {classes - 1}, got {labels.min()} to {labels.max()}")
    predicted = probabilities.argmax(axis=1)
    confusion = np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)
    return Judgement(probabilities, labels, predicted, probabilities[np.arange(n), predicted], confusion)


def mistakes(judgement: Judgement, count: int) -> list[int]:
    """Rows that are wrong, the most confident first, at most `count`."""
    wrong = np.flatnonzero(judgement.predicted != judgement.labels)
    order = np.argsort(-judgement.confidence[wrong], kind="stable")
    return [int(row) for row in wrong[order[:count]]]


def confused_pairs(judgement: Judgement, count: int) -> list[tuple[int, int, int]]:
    """`(true class, taken for, examples)`, the most frequent confusions first, at most `count`."""
    matrix = judgement.confusion - np.diag(np.diag(judgement.confusion))
    order = np.argsort(-matrix, axis=None, kind="stable")[:count]
    pairs = [(int(i // len(matrix)), int(i % len(matrix))) for i in order]
    return [(i, j, int(matrix[i, j])) for i, j in pairs if matrix[i, j]]


def calibration(confidence: Sequence[float] | np.ndarray, right: np.ndarray, bands: int = BANDS) -> Calibration:
    """Compare confidence with accuracy.

    Args:
        confidence: probability of the predicted class, in [0, 1] (n,).
        right: whether it is the true one (n,).
        bands: of equal width; an edge belongs to the band below it, 0 to the first.

    Returns:
        The bands and the expected calibration error; 0 for a network whose confidence is its accuracy.
    """
    confidence, right = np.asarray(confidence, float), np.asarray(right, float)
    edges = np.linspace(0, 1, bands + 1)
    band = np.clip(np.ceil(confidence * bands).astype(int) - 1, 0, bands - 1)
    counts = np.bincount(band, minlength=bands)
    accuracy = _share(np.bincount(band, right, bands), counts)
    mean = _share(np.bincount(band, confidence, bands), counts)
    error = float(np.nansum(counts * np.abs(accuracy - mean)) / max(len(confidence), 1))
    return Calibration(edges, accuracy, mean, counts, error)
