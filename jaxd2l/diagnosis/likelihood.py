"""How likely a curve is among the trainings of each variant, and how far from them it lies.

The figures are transformed: log loss, log-odds of an accuracy; of a test accuracy how far it lies above training's, in
descending order. Such gaps are near a bound that tells trainings apart and fall below it now and then, in whichever
epoch: in order the bound comes first, and no Gaussian is asked to have such tails.

One more training of a variant of n seeds is taken as distributed by Student's t with n - 1 degrees of freedom in as
many dimensions as figures are told, around the seeds' mean, with their covariance shrunk towards its diagonal (Schaefer
and Strimmer 2005, doi:10.2202/1544-6115.1175: what few seeds say of correlations is mostly noise) and the variance that
other libraries, devices and printed digits add.
The diagonal is that of each figure's mean over the epochs and of how each epoch differs from those before it (Helmert's
contrasts): a training that is good in one epoch is good in the others, and what never changes keeps no variance there.
"""

import math
from typing import NamedTuple

import numpy as np

SHRINKAGE = 0.6  # share of the covariance off the diagonal that is taken away
EXTRA = np.array([0.01, 0.02, 0.02])  # deviation added to that of the seeds: log loss, log-odds of the accuracies
FEWEST = 4  # seeds that a distribution is made of at least
_LOWEST = (1e-4, 1e-3)  # of a loss and of an accuracy; what lies below is taken as this


def transformed(figures: np.ndarray) -> np.ndarray:
    """Log loss and log-odds of both accuracies (..., 3); NaN stays."""
    loss = np.log(np.maximum(figures[..., :1], _LOWEST[0]))
    share = np.clip(figures[..., 1:], _LOWEST[1], 1 - _LOWEST[1])
    return np.concatenate([loss, np.log(share / (1 - share))], axis=-1)


def compared_figures(figures: np.ndarray, told: np.ndarray) -> np.ndarray:
    """What is compared of curves.

    Args:
        figures: loss, training accuracy and test accuracy of each epoch (..., k, 3).
        told: which of them there are (k, 3), p of them.

    Returns:
        Log loss, log-odds of training accuracy, and of test accuracy how far its log-odds lie above those of training
        in the epochs that tell both, in descending order, alone its log-odds in the others (..., p).
    """
    x, both = transformed(figures), told[:, 1:].all(-1)
    x[..., both, 2] = -np.sort(x[..., both, 1] - x[..., both, 2], axis=-1)
    return x[..., told]


def contrasts(told: np.ndarray) -> np.ndarray:
    """Helmert's contrasts of the epochs of each figure, orthonormal: the mean, then each epoch against those before it.

    Args:
        told: which figures there are (k, 3), p of them.

    Returns:
        The matrix B of B x (p, p).
    """
    kinds = np.nonzero(told)[1]
    basis = np.zeros((len(kinds), len(kinds)))
    for kind in np.unique(kinds):
        places = np.flatnonzero(kinds == kind)
        basis[places[0], places] = 1 / math.sqrt(len(places))
        for i, place in enumerate(places[1:], 1):
            basis[place, places[:i]] = 1 / math.sqrt(i * (i + 1))
            basis[place, place] = -i / math.sqrt(i * (i + 1))
    return basis


class Distribution(NamedTuple):
    """Of one more training: Student's t.

    Attributes:
        mean: (p,).
        whitening: W with W' W the inverse of the scale matrix (p, p).
        log_scale: log of the determinant of W.
        freedom: degrees of it.
    """

    mean: np.ndarray
    whitening: np.ndarray
    log_scale: float
    freedom: int

    def squared_distance(self, x: np.ndarray) -> np.ndarray:
        """Mahalanobis' distance squared of trainings (m, p) from the mean, over p: about 1 for one of these (m,)."""
        return np.square((x - self.mean) @ self.whitening.T).sum(-1) / max(len(self.mean), 1)

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """Of trainings (m, p): (m,)."""
        p, v = len(self.mean), self.freedom
        constant = math.lgamma((v + p) / 2) - math.lgamma(v / 2) - p / 2 * math.log(v * math.pi) + self.log_scale
        return constant - (v + p) / 2 * np.log1p(self.squared_distance(x) * p / v)


def distribution(seeds: np.ndarray, extra: np.ndarray, basis: np.ndarray) -> Distribution:
    """That of one more training.

    Args:
        seeds: `compared_figures` (n, p), at least two.
        extra: deviation that is added to each (p,), the same in all epochs of a figure.
        basis: in which the covariance is shrunk towards its diagonal, orthonormal (p, p); see `contrasts`.
    """
    n, p = seeds.shape
    covariance = np.cov(seeds @ basis.T, rowvar=False).reshape(p, p) if p else np.empty((0, 0))
    covariance = (1 - SHRINKAGE) * covariance + np.diag(SHRINKAGE * np.diag(covariance) + extra**2)
    lower = np.linalg.cholesky(covariance * (1 + 1 / n))
    whitening = np.linalg.inv(lower) @ basis if p else lower
    return Distribution(seeds.mean(0), whitening, -float(np.log(np.diag(lower)).sum()), n - 1)


class Seeds(NamedTuple):
    """The trainings of a variant as far as they are compared with a curve.

    Attributes:
        x: `compared_figures` of those that are finite so far (n, p).
        seeds: which training each is (n,).
        extra, basis: see `distribution`.
        diverged: how many became non-finite.
        trainings: of all.
    """

    x: np.ndarray
    seeds: np.ndarray
    extra: np.ndarray
    basis: np.ndarray
    diverged: int
    trainings: int

    @property
    def enough(self) -> bool:
        """Whether they make a distribution."""
        return len(self.x) >= FEWEST

    def others(self, seed: int) -> Distribution:
        """What all say but this training, if it is among them."""
        return distribution(self.x[self.seeds != seed], self.extra, self.basis)

    def all(self) -> Distribution:
        """What all of them say."""
        return distribution(self.x, self.extra, self.basis)

    def nearest(self, x: np.ndarray, without: int | None = None) -> np.ndarray:
        """Mean square, in units of `extra`, of what trainings (m, p) differ by from the nearest of these (m,)."""
        kept = self.x if without is None else self.x[self.seeds != without]
        return np.square((x[:, None] - kept) / self.extra).sum(-1).min(1) / max(x.shape[1], 1)

    def log_share(self, diverged: bool) -> float:
        """Log of the share of trainings that diverge, or that do not; half a training is added to both."""
        those = self.diverged if diverged else self.trainings - self.diverged
        return math.log((those + 0.5) / (self.trainings + 1))


def seeds_of(curves: np.ndarray, told: np.ndarray, *, diverged: bool) -> Seeds:
    """The trainings of a variant in the figures that a curve tells.

    Args:
        curves: of all epochs (seeds, epochs, 3); NaN from the epoch on in which one diverged.
        told: which figures the curve has (k, 3), of the first k epochs.
        diverged: whether it diverged after them. Then it is compared with how trainings began, else with those that
            were finite as far.
    """
    upto = curves[:, : len(told)]
    ended = np.isnan(curves[:, -1, 0]) if diverged else np.isnan(upto).any((1, 2))
    x, extra = compared_figures(upto, told), np.broadcast_to(EXTRA, told.shape)[told]
    finite = np.isfinite(x).all(-1)
    return Seeds(x[finite], np.flatnonzero(finite), extra, contrasts(told), int(ended.sum()), len(curves))
