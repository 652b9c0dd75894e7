"""What came out of a frozen run beside what was recorded: the same bits, or how far apart."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxd2l.frozen.container import Frozen
from jaxd2l.frozen.replay import Thawed
from jaxd2l.machine.conditions import conditions, differences
from jaxd2l.wording import counted

_PACKAGES = ("flax", "optax", "numpy")  # which the programs no longer need
_ENDS = ("_loss", "_accuracy")


class Outcome(NamedTuple):
    """A frozen run beside its record.

    Attributes:
        epochs: how many were compared.
        numbers: how many numbers of the weights.
        figures: the largest difference of a loss or accuracy, by its column; {} where all are equal.
        weights: the largest difference of a number, by the files' names; {} where all are equal to the last bit.
    """

    epochs: int
    numbers: int
    figures: dict[str, float]
    weights: dict[str, float]

    @property
    def same(self) -> bool:
        """Whether every figure and every weight has the recorded bits."""
        return not self.figures and not self.weights

    def __str__(self) -> str:
        if self.same:
            figures, numbers = counted(self.epochs, "epoch"), counted(self.numbers, "number")
            return f"the same to the last bit: the figures of {figures}, {numbers} of weights"
        apart = {**{f"weights {name}": by for name, by in self.weights.items()}, **self.figures}
        told = ", ".join(f"{name.replace('_', ' ')} {by:.2g}" for name, by in apart.items())
        return f"not the recorded bits; largest differences: {told}"


def compare(frozen: Frozen, done: Thawed) -> Outcome:
    """Compare with the recorded end.

    Raises:
        DataError: the recorded weights are damaged.
    """
    figures: dict[str, float] = {}
    pairs = list(zip(frozen.facts["rows"], done.rows, strict=True))
    pairs += [(one, done.tested.get(name, {})) for name, one in (frozen.facts.get("tested") or {}).items()]
    for then, now in pairs:
        for column in (name for name in then if name.endswith(_ENDS) and then[name] != now.get(name)):
            figures[column] = max(figures.get(column, 0.0), _apart(then[column], now.get(column)))
    weights, numbers = {}, 0
    for which, entry in frozen.facts["files"].items():
        then, now = frozen.arrays(entry), done.weights.get(which, {})
        numbers += sum(a.size for a in then.values())
        if then.keys() != now.keys() or any(a.tobytes() != now[name].tobytes() for name, a in then.items()):
            weights[which] = _largest(then, now)
    return Outcome(len(done.rows), numbers, figures, weights)


def not_promised(frozen: Frozen) -> list[str]:
    """Why the bits of the record are not promised here, a clause each; [] where they are."""
    began = {name: value for name, value in frozen.facts["environment"].items() if name not in _PACKAGES}
    found = differences(began, conditions())
    resumed = began.get("resumed")
    for start in resumed if isinstance(resumed, list) else ():
        found += [f"the run itself went on under other conditions ({line})" for line in start.get("differing", ())]
    if not str(began.get("device", "cpu")).startswith("cpu") and not frozen.facts["config"].get("deterministic"):
        found.append("it was trained on an accelerator without --deterministic")
    return found


def _apart(then: Any, now: Any) -> float:
    return abs(then - now) if isinstance(then, int | float) and isinstance(now, int | float) else float("inf")


def _largest(then: Mapping[str, np.ndarray], now: Mapping[str, np.ndarray]) -> float:
    if {name: a.shape for name, a in then.items()} != {name: a.shape for name, a in now.items()}:
        return float("inf")
    return max(float(np.max(np.abs(a.astype(np.float64) - now[name]), initial=0.0)) for name, a in then.items())
