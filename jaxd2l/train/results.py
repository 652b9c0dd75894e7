"""A run, while it goes and when it is over: where it stands, what each epoch came to, how it ended."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from jaxd2l.train.recipe import Recipe
from jaxd2l.train.state import TrainState
from jaxd2l.train.step import Tally


class EpochResult(NamedTuple):
    """What one epoch came to.

    Attributes:
        epoch: 1 for the first.
        train_loss: mean over the epoch's examples, each before its own update, in training mode.
        train_accuracy: likewise, share in [0, 1]; None for regression.
        test_loss: mean over all test examples after the epoch, in prediction mode.
        test_accuracy: likewise, share in [0, 1]; None for regression.
        seconds: the updates alone.
        images_per_second: training examples over `seconds`.
        learning_rate: of the epoch's last update; None where the optimizer alone knows it, and in a run of an earlier
            version.
    """

    epoch: int
    train_loss: float
    train_accuracy: float | None
    test_loss: float
    test_accuracy: float | None
    seconds: float
    images_per_second: float
    learning_rate: float | None = None


def best_epoch(results: Sequence[EpochResult]) -> int:
    """The epoch of highest test accuracy, of lowest test loss where there is no accuracy; the earliest among equals.

    Args:
        results: of the finished epochs, at least one.
    """
    return max(results, key=lambda r: (-r.test_loss if r.test_accuracy is None else r.test_accuracy, -r.epoch)).epoch


class Progress(NamedTuple):
    """Where a run stands between two updates: all that it takes to go on from there, bit for bit.

    Order, dropout and augmentation are functions of the seed, `epoch` and `state.step`, so no key is kept.

    Attributes:
        state: after `state.step` updates.
        record: the sums of the epoch's batches so far, (updates an epoch,) each.
        epoch: the one in progress, 1 for the first.
        step: batches of it done; all of them where only its evaluation is left.
        seconds: spent on them.
        results: of the finished epochs.
    """

    state: TrainState
    record: Tally
    epoch: int
    step: int
    seconds: float
    results: tuple[EpochResult, ...]


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        recipe: what was trained.
        seed: decided the parameters, the order and the dropout masks.
        state: after the last update.
        epochs: one result an epoch.
        compile_seconds: tracing and compiling, 0 where a given program was used.
    """

    recipe: Recipe
    seed: int
    state: TrainState
    epochs: tuple[EpochResult, ...]
    compile_seconds: float

    @property
    def train_seconds(self) -> float:
        """Seconds spent in updates, evaluation and compilation excluded."""
        return sum(e.seconds for e in self.epochs)

    @property
    def images_per_second(self) -> float:
        """Training examples a second of `train_seconds`."""
        return sum(e.images_per_second * e.seconds for e in self.epochs) / max(self.train_seconds, 1e-9)

    @property
    def best_test_accuracy(self) -> float | None:
        """The highest test accuracy of any epoch; None for regression."""
        return max((e.test_accuracy for e in self.epochs if e.test_accuracy is not None), default=None)

    @property
    def best_epoch(self) -> int:
        """The epoch of highest test accuracy, of lowest test loss for regression; the earliest among equals."""
        return best_epoch(self.epochs)


class DivergenceError(ArithmeticError):
    """The loss or its gradient became NaN or infinite.

    Attributes:
        epoch, step: where, both counted from 1; `step` within the epoch.
        loss: mean loss of that batch.
        gradient_norm: L2 norm of its gradient, before any clipping.
        learning_rate: in force at that update; None where the optimizer alone knows it.
        state: the last state known to be finite: after the epoch before, or the initial one. In a run that was
            resumed inside this epoch, the one it was resumed from.
        epochs: results of the finished epochs.

    Args:
        scheduled: whether a schedule moved the rate.
        given: the learning rate that a schedule by name takes shares of.
    """

    def __init__(
        self,
        epoch: int,
        step: int,
        loss: float,
        gradient_norm: float,
        learning_rate: float | None,
        state: TrainState,
        epochs: tuple[EpochResult, ...],
        *,
        scheduled: bool = False,
        given: float | None = None,
    ) -> None:
        self.epoch, self.step, self.loss, self.gradient_norm = epoch, step, loss, gradient_norm
        self.learning_rate, self.state, self.epochs = learning_rate, state, epochs
        rate, advice = "the optimizer's own learning rate", "a lower one"
        if learning_rate is not None:
            rate = f"learning rate {learning_rate:g}" + (" of the schedule" if scheduled else "")
            lower = learning_rate if given is None else given
            own = scheduled and given is None
            advice = "a schedule of lower rates" if own else f"a learning rate of {lower / 10:g}"
        super().__init__(
            f"the loss became non-finite at epoch {epoch}, step {step} (loss {loss:.4g}, gradient norm "
            f"{gradient_norm:.4g}, {rate}); try {advice}, or clip_norm=1"
        )
