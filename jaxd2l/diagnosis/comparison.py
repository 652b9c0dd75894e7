"""A curve against every variant of a recipe: how far it lies, how likely each is, which cannot be told apart."""

import copy
import functools
from typing import Any, NamedTuple

import numpy as np

from jaxd2l.diagnosis.causes import ALIKE, RIGHT, TOLD_OF
from jaxd2l.diagnosis.likelihood import Seeds, seeds_of
from jaxd2l.diagnosis.stored import curves_of

PRIOR_RIGHT = 0.5  # of a right training; the mistakes share the rest alike
REACH = 10  # 1 + REACH / n times as far as the furthest of a variant's n seeds a curve may lie to be taken for one, and
# as many times as far from the nearest of them as the one that lies alone
CONFUSED = 0.25  # mean share of the likelihood that each of two variants gives the other's seeds: the same, above it
SURE = 0.9  # likelihood from which a group of causes is named


class Against(NamedTuple):
    """A curve against one variant.

    Attributes:
        distance: from the mean of its seeds, over that of the furthest of them, which is taken as at least 1.
        nearer: share of its seeds that lie nearer.
        log_likelihood: of the curve, were it one of them; minus infinity where it cannot be.
        fits: whether it lies near enough to all of them, and to one, to be one of them.
    """

    distance: float
    nearer: float
    log_likelihood: float
    fits: bool


class Compared(NamedTuple):
    """Trainings (m,) against one variant.

    Attributes:
        squared: distance from the mean of its seeds.
        nearest: distance from the nearest of them, squared too, in units of what other libraries and devices add.
        log: log likelihood.
    """

    squared: np.ndarray
    nearest: np.ndarray
    log: np.ndarray

    def only(self, which: Any) -> "Compared":
        """Some of them."""
        return Compared(*(one[which] for one in self))


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
        self._others = {
            name: {int(seed): seeds.others(seed) for seed in seeds.seeds} for name, seeds in self.seeds.items()
        }
        # each seed against every variant without that training, and against the others of its own
        self.each = {name: {other: self._by_others(name, other) for other in self.seeds} for name in self.seeds}
        self.own = {name: self.each[name][name] for name in self.seeds}
        self.groups = self._groups()

    def without(self, name: str) -> "Variants":
        """The same, did nobody know one of them."""
        others = copy.copy(self)
        for field in ("seeds", "distributions", "own", "each"):
            setattr(others, field, {other: kept for other, kept in getattr(self, field).items() if other != name})
        others.each = {one: {o: kept for o, kept in row.items() if o != name} for one, row in others.each.items()}
        others.groups = others._groups()
        return others

    def _by_others(self, name: str, other: str) -> Compared:
        """Seeds of a variant against another, if it tells of their own trainings each against the rest of it."""
        seeds = self.seeds[name]
        if not _same_trainings(name, other):
            return self._compared(other, seeds.x)
        every = [self._compared(other, x[None], int(seed)) for seed, x in zip(seeds.seeds, seeds.x, strict=True)]
        return Compared(*(np.concatenate(one) for one in zip(*every, strict=True)))

    def _compared(self, name: str, x: np.ndarray, without: int | None = None) -> Compared:
        """Curves (m, p) against a variant, without one of its trainings."""
        seeds = self.seeds[name]
        these = self.distributions[name]
        if without is not None:
            these = self._others[name].get(without, these)
        log = these.log_density(x) + seeds.log_share(self.diverged)
        return Compared(these.squared_distance(x), seeds.nearest(x, without), log)

    def against(self, name: str, x: np.ndarray) -> Against:
        """One curve (p,) against one variant."""
        return self._against(name, self._compared(name, x[None]).only(0), self.own[name])

    def held_out(self, name: str, i: int) -> dict[str, Against]:
        """Seed i of a variant against all of them, those that tell of the same trainings as they are without it."""
        found = {}
        for other, compared in self.each[name].items():
            kept = self.seeds[other].seeds != self.seeds[name].seeds[i] if _same_trainings(name, other) else slice(None)
            found[other] = self._against(other, compared.only(i), self.own[other].only(kept))
        return found

    def _against(self, name: str, x: Compared, own: Compared) -> Against:
        # at least what a training has on average, where the seeds are alike: from their mean, from one of them
        distance = float(np.sqrt(x.squared / max(float(own.squared.max()), 1.0)))
        alone = float(np.sqrt(x.nearest / max(float(own.nearest.max()), 2.0)))
        possible = self.seeds[name].diverged > 0 if self.diverged else True
        fits = max(distance, alone) <= 1 + REACH / len(own.log)
        nearer = float((own.squared < x.squared).mean())
        return Against(distance, nearer, float(x.log) if possible else -np.inf, fits)

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
                    1 / (1 + np.exp(np.clip(self.each[one][one].log - self.each[one][other].log, -50, 50)))
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


def _same_trainings(*names: str) -> bool:
    """Whether two variants tell of the same trainings, seed by seed."""
    return len({TOLD_OF.get(name, name) for name in names}) == 1


def variants_of(recipe: str, told: np.ndarray, *, diverged: bool) -> Variants:
    """`Variants`, made once for the same figures."""
    return _made(recipe, tuple(map(tuple, told.tolist())), diverged)


@functools.lru_cache(maxsize=32)
def _made(recipe: str, told: tuple[tuple[bool, ...], ...], diverged: bool) -> Variants:
    return Variants(recipe, np.array(told, bool).reshape(-1, 3), diverged=diverged)
