"""A curve against every variant of a recipe: how far it lies, how likely each is, which cannot be told apart."""

import copy
import functools
from typing import NamedTuple

import numpy as np

from jaxd2l.diagnosis.causes import ALIKE, RIGHT, TOLD_OF
from jaxd2l.diagnosis.likelihood import Seeds, seeds_of
from jaxd2l.diagnosis.stored import curves_of

PRIOR_RIGHT = 0.5  # of a right training; the mistakes share the rest alike
REACH = 10  # 1 + REACH / n times as far as the furthest of a variant's n seeds a curve may lie to be taken for one
CONFUSED = 0.25  # mean share of the likelihood that each of two variants gives the other's seeds: the same, above it
SURE = 0.9  # likelihood from which a group of causes is named


class Against(NamedTuple):
    """A curve against one variant.

    Attributes:
        distance: from the mean of its seeds, over that of the furthest of them, which is taken as at least 1.
        nearer: share of its seeds that lie nearer.
        log_likelihood: of the curve, were it one of them; minus infinity where it cannot be.
        fits: whether it lies near enough to be one of them.
    """

    distance: float
    nearer: float
    log_likelihood: float
    fits: bool


class Likely(NamedTuple):
    """Causes that cannot be told apart, and the likelihood of them together, normalised over all."""

    names: tuple[str, ...]
    likelihood: float


class Variants:
    """The variants of a recipe in the figures that a curve tells."""

    def __init__(self, recipe: str, told: np.ndarray, *, diverged: bool) -> None:
        """Take the seeds and compare them with each other.

        Args:
            recipe: whose curves are stored.
            told: which figures the curve tells (epochs, 3), no more epochs than are stored.
            diverged: whether it diverged after them.
        """
        every = {name: seeds_of(curves, told, diverged=diverged) for name, curves in curves_of(recipe).curves.items()}
        self.diverged = diverged
        self.seeds: dict[str, Seeds] = {name: seeds for name, seeds in every.items() if seeds.enough}
        self.distributions = {name: seeds.all() for name, seeds in self.seeds.items()}
        self.own = {}  # squared distance of each seed from the others of its variant (n,)
        self.each = {}  # squared distance and log likelihood of each seed by each variant without that training
        for name, seeds in self.seeds.items():
            self.each[name] = {other: self._by_others(other, seeds, _alike(name, other)) for other in self.seeds}
            self.own[name] = self.each[name][name][0]
        self.groups = self._groups()

    def without(self, name: str) -> "Variants":
        """The same, did nobody know one of them."""
        others = copy.copy(self)
        for field in ("seeds", "distributions", "own", "each"):
            setattr(others, field, {other: kept for other, kept in getattr(self, field).items() if other != name})
        others.groups = others._groups()
        return others

    def _by_others(self, name: str, seeds: Seeds, told_of_these: bool) -> tuple[np.ndarray, np.ndarray]:
        """Squared distance and log likelihood of seeds by a variant, those of its own trainings by the others."""
        if not told_of_these:
            return self.distributions[name].squared_distance(seeds.x), self.log_likelihood(name, seeds.x)
        rows = [(self.seeds[name].others(seed), x[None]) for seed, x in zip(seeds.seeds, seeds.x, strict=True)]
        logs = np.array([one.log_density(x)[0] for one, x in rows]) + self.seeds[name].log_share(self.diverged)
        return np.array([one.squared_distance(x)[0] for one, x in rows]), logs

    def log_likelihood(self, name: str, x: np.ndarray) -> np.ndarray:
        """Of curves (m, p) by a variant (m,)."""
        return self.distributions[name].log_density(x) + self.seeds[name].log_share(self.diverged)

    def against(self, name: str, x: np.ndarray) -> Against:
        """One curve (p,) against one variant."""
        squared = float(self.distributions[name].squared_distance(x[None])[0])
        return self._against(name, squared, float(self.log_likelihood(name, x[None])[0]), self.own[name])

    def held_out(self, name: str, i: int) -> dict[str, Against]:
        """Seed i of a variant against all of them, those that tell of the same trainings as they are without it."""
        found = {}
        for other, (squared, logs) in self.each[name].items():
            kept = self.seeds[other].seeds != self.seeds[name].seeds[i] if _alike(name, other) else slice(None)
            found[other] = self._against(other, float(squared[i]), float(logs[i]), self.own[other][kept])
        return found

    def _against(self, name: str, squared: float, log: float, own: np.ndarray) -> Against:
        furthest = max(float(own.max()), 1.0)  # what a training has on average, where the seeds are alike
        distance = float(np.sqrt(squared / furthest))
        possible = self.seeds[name].diverged > 0 if self.diverged else True
        nearer, fits = float((own < squared).mean()), distance <= 1 + REACH / len(own)
        return Against(distance, nearer, log if possible else -np.inf, fits)

    def likely(self, found: dict[str, Against]) -> tuple[Likely, ...]:
        """The groups, the likeliest first; none where the curve is too far from the likeliest variant to be of it."""
        logs = {name: one.log_likelihood + self._log_prior(name) for name, one in found.items()}
        first = max(logs, key=lambda name: logs[name], default=None)
        if first is None or not found[first].fits or logs[first] == -np.inf:
            return ()
        shares = {name: np.exp(log - logs[first]) for name, log in logs.items()}
        total = sum(shares.values())
        groups = [Likely(group, float(sum(shares.get(name, 0.0) for name in group) / total)) for group in self.groups]
        return tuple(sorted(groups, key=lambda one: -one.likelihood))

    def _log_prior(self, name: str) -> float:
        others = max(len(self.seeds) - 1, 1)
        return float(np.log(PRIOR_RIGHT if name == RIGHT else (1 - PRIOR_RIGHT) / others))

    def _groups(self) -> tuple[tuple[str, ...], ...]:
        """The variants, together where each is taken for the other, directly or through a third."""
        names = list(self.seeds)
        group_of = {name: {name} for name in names}
        for i, first in enumerate(names):
            for second in names[:i]:
                mixed = [
                    1 / (1 + np.exp(np.clip(self.each[one][one][1] - self.each[one][other][1], -50, 50)))
                    for one, other in ((first, second), (second, first))
                ]
                if np.mean([share.mean() for share in mixed]) >= CONFUSED:
                    together = group_of[first] | group_of[second]
                    for name in together:
                        group_of[name] = together
        for name, like in ALIKE.items():
            if like in group_of:
                group_of[like].add(name)
        seen: list[tuple[str, ...]] = []
        for name in names:
            group = tuple(one for one in (*names, *ALIKE) if one in group_of[name])
            seen += [] if group in seen else [group]
        return tuple(seen)


def _alike(*names: str) -> bool:
    """Whether two variants tell of the same trainings, seed by seed."""
    return len({TOLD_OF.get(name, name) for name in names}) == 1


def variants_of(recipe: str, told: np.ndarray, *, diverged: bool) -> Variants:
    """`Variants`, made once for the same figures."""
    return _made(recipe, tuple(map(tuple, told.tolist())), diverged)


@functools.lru_cache(maxsize=32)
def _made(recipe: str, told: tuple[tuple[bool, ...], ...], diverged: bool) -> Variants:
    return Variants(recipe, np.array(told, bool).reshape(-1, 3), diverged=diverged)
