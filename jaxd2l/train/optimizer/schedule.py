"""How the learning rate goes over the updates of a run: a share of it, from warm-up to the last update (optax).

The learning rate itself stays in the optimizer's state. So does the number of updates made, which is the schedule's
place: one program serves every rate, and a run that goes on from any update is the unbroken one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxd2l.train.optimizer.in_state import HyperparametersInState, holds_hyperparameters
from jaxd2l.wording import counted

if TYPE_CHECKING:
    from jaxd2l.train.recipe import Recipe

PyTree = Any
Shares = Callable[[Any], Any]  # from the updates made so far to the share of the learning rate in the next one


@dataclasses.dataclass(frozen=True)
class Course:
    """A schedule by its name, with its numbers; each is the field of a recipe.

    Attributes:
        schedule: a key of `SCHEDULES`.
        epochs: of the whole run.
        warmup: epochs, or a part of one, in which the share rises from 0 to 1 along a line, before the schedule begins.
        step_epochs: of "step", how many epochs a step is long, counted from the run's beginning; None for a third of
            the run, rounded up.
        step_factor: of "step", what the share is multiplied by after each.

    Raises:
        ValueError: a number out of range, a warm-up as long as the run, or a number that the schedule does not use.
    """

    schedule: str = "constant"
    epochs: int = 1
    warmup: float = 0.0
    step_epochs: int | None = None
    step_factor: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}, got {self.schedule!r}")
        if isinstance(self.warmup, bool) or not isinstance(self.warmup, int | float) or not 0 <= self.warmup < math.inf:
            raise ValueError(f"warmup must be a number of epochs of at least 0, got {self.warmup!r}")
        if self.warmup and self.warmup >= self.epochs:
            raise ValueError(
                f"warmup must be shorter than the run of {counted(self.epochs, 'epoch')}, got {self.warmup:g}"
            )
        if self.schedule != "step":
            for name in ("step_epochs", "step_factor"):
                if getattr(self, name) != getattr(Course, name):
                    raise ValueError(f"{name} has no meaning with schedule {self.schedule}; leave it out, or take step")
        steps = self.step_epochs
        if steps is not None and (isinstance(steps, bool) or not isinstance(steps, int) or steps < 1):
            raise ValueError(f"step_epochs must be an integer of at least 1, got {steps!r}")
        if not (isinstance(self.step_factor, int | float) and 0 < self.step_factor < 1):
            raise ValueError(f"step_factor must be a number between 0 and 1, got {self.step_factor!r}")

    @property
    def is_constant(self) -> bool:
        """Whether the share is 1 in every update."""
        return self.schedule == "constant" and not self.warmup

    @property
    def spans_the_run(self) -> bool:
        """Whether it is laid out for the whole number of epochs, so that a longer run is another one from the start."""
        return self.schedule in ("cosine", "linear") or (self.schedule == "step" and self.step_epochs is None)

    def shares(self, steps: int) -> Shares:
        """The share as a schedule of optax.

        Args:
            steps: updates an epoch.
        """
        total = self.epochs * steps
        warm = min(math.ceil(self.warmup * steps), total - 1)
        then = SCHEDULES[self.schedule](self, steps, warm)
        return then if not warm else optax.join_schedules([optax.linear_schedule(0.0, 1.0, warm), then], [warm])


def _step(course: Course, steps: int, warm: int) -> Shares:
    length = steps * (course.step_epochs or math.ceil(course.epochs / 3))
    # `optax.exponential_decay` with a staircase would divide in float32, also where the rate is in float64
    return lambda count: jnp.asarray(course.step_factor) ** ((count + warm) // length)


# Each from (course, updates an epoch, updates of warm-up) to the share by the updates made since the warm-up.
SCHEDULES: dict[str, Callable[[Course, int, int], Shares]] = {
    "constant": lambda course, steps, warm: optax.constant_schedule(1.0),
    "cosine": lambda course, steps, warm: optax.cosine_decay_schedule(1.0, course.epochs * steps - warm),
    "step": _step,
    "linear": lambda course, steps, warm: optax.linear_schedule(1.0, 0.0, course.epochs * steps - warm),
}


def scheduled(optimizer: optax.GradientTransformation, shares: Shares) -> HyperparametersInState:
    """The same optimizer, whose update t takes `shares(t)` of the learning rate in its state.

    The state is the optimizer's own: its learning rate stays what it is, its count is the schedule's place.

    Raises:
        ValueError: the optimizer's learning rate is no array in its state.
    """
    if not isinstance(optimizer, HyperparametersInState):
        raise ValueError(
            "a schedule by name moves a learning rate that is an array in the optimizer's state, and this optimizer "
            "has none; compute with the rate in jax.numpy, or give learning_rate as a schedule of optax"
        )

    def update(gradient: PyTree, state: PyTree, params: PyTree = None, **extra: Any) -> tuple[PyTree, PyTree]:
        rate = state.hyperparams["learning_rate"]
        now = state._replace(hyperparams={**state.hyperparams, "learning_rate": rate * shares(state.count)})
        updates, new = optimizer.update(gradient, now, params, **extra)
        return updates, new._replace(hyperparams={**new.hyperparams, "learning_rate": rate})

    following = HyperparametersInState(optimizer.init, update)
    following.given = optimizer.given
    return following


def rate_in_force(recipe: Recipe, opt_state: PyTree, updates: int, steps: int) -> float | None:
    """The learning rate of the last of `updates` updates; None where the optimizer alone knows it.

    Args:
        recipe: says how the rate goes.
        opt_state: after that update.
        updates: how many were made, at least 1.
        steps: updates an epoch.
    """
    rate: Any = recipe.learning_rate
    if not callable(recipe.optimizer):
        rate = _rate_in_state(opt_state)
    elif callable(rate):
        rate = rate(updates - 1)
    elif _has_own_schedule(opt_state):
        rate = None
    elif not recipe.course.is_constant:
        rate = rate * float(recipe.course.shares(steps)(updates - 1))
    return float(rate) if rate is not None and math.isfinite(rate) else None


def _rate_in_state(opt_state: PyTree) -> float | None:
    """The learning rate of the last update, where `optax.inject_hyperparams` keeps just one in the state; else None."""
    nodes = jax.tree.leaves(opt_state, is_leaf=holds_hyperparameters)
    rates = [node.hyperparams["learning_rate"] for node in nodes if "learning_rate" in getattr(node, "hyperparams", {})]
    return float(np.asarray(rates[0])) if len(rates) == 1 else None


def _has_own_schedule(opt_state: PyTree) -> bool:
    """Whether a schedule that was put into the optimizer counts its updates somewhere in the state."""
    counts_updates = lambda node: isinstance(node, optax.ScaleByScheduleState)  # noqa: E731
    return any(map(counts_updates, jax.tree.leaves(opt_state, is_leaf=counts_updates)))
