"""One claim of the notes: their words, their value, how it is computed here, and how the two are compared."""

import dataclasses
import enum
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxd2l.claims.comparison import Comparison, equal
from jaxd2l.wording import counted

if TYPE_CHECKING:
    from jaxd2l.claims.trained import Trainings

_SHOWN = 12  # numbers of an array in the table


class Verdict(enum.StrEnum):
    """What came of a claim."""

    AGREES = "agrees"
    SLIP = "slip"
    FAILS = "FAILS"
    NOT_RUN = "not run"


@dataclasses.dataclass(frozen=True)
class Claim:
    """One statement of the notes that can be run.

    Attributes:
        row: which row of `jaxd2l.claims.ROWS` it belongs to.
        day: of the notes.
        says: the statement, in one sentence.
        notes: the value in the notes; None where they give none.
        here: computes the value with this library; None where it cannot be run in a few seconds and nothing is stored.
        compare: how the value here is held against the one that is expected.
        truth: what is expected here, where the notes give no value or slip; else None.
        again: what `--full` runs instead of `here`, of long trainings, which it is given: `Trainings` of
            `jaxd2l.claims.trained`.
        stored: where `here` reads a kept result: the command, device and versions that made it.
        reason: why there is no `here`.
    """

    row: str
    day: int
    says: str
    notes: Any
    here: Callable[[], Any] | None
    compare: Comparison = equal
    truth: Any = None
    again: Callable[["Trainings"], Any] | None = None
    stored: str = ""
    reason: str = ""

    @property
    def slips(self) -> bool:
        """Whether the notes say one thing and the truth is another."""
        return self.notes is not None and self.truth is not None


class Outcome(NamedTuple):
    """A claim after its run; `value` is None where it was not run, and the error's words where running it failed."""

    claim: Claim
    value: Any
    verdict: Verdict
    remark: str
    seconds: float

    @property
    def stored(self) -> bool:
        """Whether the value was read from a kept result."""
        return bool(self.claim.stored) and self.remark == self.claim.stored

    def as_json(self) -> dict[str, Any]:
        """Plain values: day, row, claim, notes, here, expected, compared, verdict, remark, seconds."""
        return {
            "day": self.claim.day,
            "row": self.claim.row,
            "claim": self.claim.says,
            "notes": plain(self.claim.notes),
            "here": plain(self.value),
            "expected": plain(_expected(self.claim)),
            "compared": self.claim.compare.words,
            "verdict": str(self.verdict),
            "remark": self.remark,
            "seconds": round(self.seconds, 3),
        }


def check(claim: Claim, trainings: "Trainings | None" = None) -> Outcome:
    """Run one claim; an error while it runs is a claim that fails, so that the others are run too.

    Args:
        claim: which.
        trainings: make what is otherwise read from a stored result, or not run, of these.

    Raises:
        OSError, ValueError: a training cannot be made or kept, because its folder holds something else, or for want of
            room: that says nothing of the claim. One that diverges does.
    """
    again = None if trainings is None or claim.again is None else partial(claim.again, trainings)
    run = again or claim.here
    if run is None:
        return Outcome(claim, None, Verdict.NOT_RUN, claim.reason, 0.0)
    began = time.perf_counter()
    try:
        value = run()
        holds = claim.compare.holds(_expected(claim), value)
        repeats = claim.slips and claim.compare.holds(claim.notes, value)
    except Exception as error:
        if again is not None and isinstance(error, OSError | ValueError):
            raise
        text = f"{type(error).__name__}: {error}".splitlines()[0]
        return Outcome(claim, text, Verdict.FAILS, "it could not be computed", time.perf_counter() - began)
    seconds = time.perf_counter() - began
    if not holds or repeats:
        remark = (
            f"expected {claim.compare.words} {show(_expected(claim))}" if not holds else "the notes do not slip here"
        )
        return Outcome(claim, value, Verdict.FAILS, remark, seconds)
    if claim.slips:
        remark = f"the notes say {show(claim.notes)}, it is {show(value)}"
        return Outcome(claim, value, Verdict.SLIP, remark, seconds)
    return Outcome(claim, value, Verdict.AGREES, claim.stored if again is None else "", seconds)


def show(value: Any) -> str:
    """A value as text: numbers in six digits, arrays as lists or, where long, counted, seeds as mean and deviation."""
    if value is None:
        return "-"
    if isinstance(value, Seeds):
        return str(value)
    value = plain(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        count = np.size(value) if not any(isinstance(one, str) for one in value) else len(value)
        return f"[{', '.join(map(show, value))}]" if count <= _SHOWN else counted(count, "figure")
    return str(value)


class Seeds(np.ndarray):
    """Figures of several seeds, (seeds, ...), shown as mean and sample deviation."""

    def __str__(self) -> str:
        """Such as `0.802 ± 0.015`, by figure; more than four figures are counted."""
        values = np.asarray(self)
        mean, deviation = values.mean(axis=0).ravel(), values.std(axis=0, ddof=1).ravel() if len(values) > 1 else None
        shown = [f"{m:.3f}" + ("" if deviation is None else f" ± {deviation[i]:.3f}") for i, m in enumerate(mean)]
        if len(shown) > 4:
            return f"{counted(len(shown), 'figure')} of {counted(len(values), 'seed')}"
        return ", ".join(shown) + f" ({counted(len(values), 'seed')})"


def seeds(values: Any) -> Seeds:
    """Figures (seeds, ...) as `Seeds`."""
    return np.asarray(values, np.float64).view(Seeds)


def plain(value: Any) -> Any:
    """A value as what JSON can hold: arrays and tuples as lists, NumPy's and JAX's scalars as Python's."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else str(value)
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return plain(np.asarray(value).tolist())


def _expected(claim: Claim) -> Any:
    return claim.notes if claim.truth is None else claim.truth
