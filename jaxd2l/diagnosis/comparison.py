"""A curve against every variant of a recipe: how far it lies, how likely each is, which cannot be told apart."""

import copy
import functools
from typing import NamedTuple

import numpy as np

from jaxd2l.diagnosis.causes import ALIKE, RIGHT
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
        self.own = {}  # of each seed to the mean of the others, squared
        self.each = {}  # log likelihood of each seed by each variant, its own without it (n, variants)
        for name, seeds in self.seeds.items():
            others = [seeds.others(i) for i in range(len(seeds.x))]
            rows = list(zip(others, seeds.x, strict=True))
            self.own[name] = np.array([one.squared_distance(x[None])[0] for one, x in rows])
            logs = {other: self.log_likelihood(other, seeds.x) for other in self.seeds}
            share = seeds.log_share(diverged)
            logs[name] = np.array([one.log_density(x[None])[0] for one, x in rows]) + share
            self.each[name] = np.stack(list(logs.values()), axis=1)
        self.groups = self._groups()

    def without(self, name: str) -> "Variants":
        """The same, did nobody know one of them."""
        others = copy.copy(self)
        place = list(self.seeds).index(name)
        for field in ("seeds", "distributions", "own", "each"):
            setattr(others, field, {other: kept for other, kept in getattr(self, field).items() if other != name})
        others.each = {other: np.delete(rows, place, 1) for other, rows in others.each.items()}
        others.groups = others._groups()
        return others

    def log_likelihood(self, name: str, x: np.ndarray) -> np.ndarray:
        """Of curves (m, p) by a variant (m,)."""
        return self.distributions[name].log_density(x) + self.seeds[name].log_share(self.diverged)

    def against(self, name: str, x: np.ndarray) -> Against:
        """One curve (p,) against one variant."""
        squared = float(self.distributions[name].squared_distance(x[None])[0])
        possible = self.seeds[name].diverged > 0 if self.diverged else True
        log = float(self.log_likelihood(name, x[None])[0]) if possible else -np.inf
        return self._against(name, squared, self.own[name], log)

    def held_out(self, name: str, i: int) -> dict[str, Against]:
        """Seed i of a variant against all of them, its own as it is without it."""
        x, own = self.seeds[name].x[i], self.own[name]
        found = {other: self.against(other, x) for other in self.seeds if other != name}
        column = list(self.seeds).index(name)
        log = float(self.each[name][i, column])
        found[name] = self._against(name, float(own[i]), np.delete(own, i), log)
        return found

    def _against(self, name: str, squared: float, own: np.ndarray, log: float) -> Against:
        furthest = max(float(own.max()), 1.0)  # what a training has on average, where the seeds are alike
        distance = float(np.sqrt(squared / furthest))
        return Against(distance, float((own < squared).mean()), log, distance <= 1 + REACH / len(own))

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
        for a, first in enumerate(names):
            for b, second in enumerate(names[:a]):
                mixed = [
                    1 / (1 + np.exp(np.clip(logs[:, own] - logs[:, other], -50, 50)))
                    for logs, own, other in ((self.each[first], a, b), (self.each[second], b, a))
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


def variants_of(recipe: str, told: np.ndarray, *, diverged: bool) -> Variants:
    """`Variants`, made once for the same figures."""
    return _made(recipe, tuple(map(tuple, told.tolist())), diverged)


@functools.lru_cache(maxsize=32)
def _made(recipe: str, told: tuple[tuple[bool, ...], ...], diverged: bool) -> Variants:
    return Variants(recipe, np.array(told, bool).reshape(-1, 3), diverged=diverged)
