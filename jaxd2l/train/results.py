"""A run, while it goes and when it is over: where it stands, what each epoch came to, how it ended."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxd2l.notebook_table import html_table
from jaxd2l.train.recipe import Recipe
from jaxd2l.train.state import TrainState
from jaxd2l.train.step import Tally


class EpochResult(NamedTuple):
    """What one epoch came to.

    Attributes:
        epoch: 1 for the first.
        train_loss: mean over the epoch's examples, each before its own update, in training mode; of what is minimised,
            with label smoothing, class weights and mixup where they are.
        train_accuracy: likewise, share in [0, 1]; None for regression. Under mixup it counts as right the label that
            weighs at least half.
        test_loss: mean over all test examples after the epoch, in prediction mode, never smoothed, weighted or mixed;
            None where a validation part is judged instead.
        test_accuracy: likewise, share in [0, 1]; None for regression too.
        seconds: the updates alone.
        images_per_second: training examples over `seconds`.
        learning_rate: of the epoch's last update; None where the optimizer alone knows it, and in a run of an earlier
            version.
        validation_loss, validation_accuracy: as of the test examples; None without a validation part.
        ema_test_loss, ema_test_accuracy, ema_validation_loss, ema_validation_accuracy: the same by the averaged
            weights; None without an average.
    """

    epoch: int
    train_loss: float
    train_accuracy: float | None
    test_loss: float | None
    test_accuracy: float | None
    seconds: float
    images_per_second: float
    learning_rate: float | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    ema_test_loss: float | None = None
    ema_test_accuracy: float | None = None
    ema_validation_loss: float | None = None
    ema_validation_accuracy: float | None = None

    @property
    def judged_on(self) -> str:
        """The part of the data that epochs are compared by: "validation", or "test" where there is none."""
        return "test" if self.validation_loss is None else "validation"

    @property
    def averaged(self) -> bool:
        """Whether it was judged by averaged weights too, which then are those that epochs are compared by."""
        return self.ema_test_loss is not None or self.ema_validation_loss is not None

    @property
    def deciding(self) -> tuple[float, float | None]:
        """Loss and accuracy that epochs are compared by: of the averaged weights where there are any."""
        loss, accuracy = self._of(f"{'ema_' if self.averaged else ''}{self.judged_on}")
        if loss is None:
            raise TypeError(f"epoch {self.epoch} has neither a validation nor a test loss")
        return loss, accuracy

    @property
    def score(self) -> float:
        """What makes one epoch better than another: accuracy, minus the loss where there is none."""
        loss, accuracy = self.deciding
        return -loss if accuracy is None else accuracy

    def row(self) -> dict[str, Any]:
        """What is kept of it: the columns by name, without those that a run of its kind does not have."""
        columns = self._asdict()
        return {name: value for name, value in columns.items() if value is not None or name not in _OPTIONAL}

    def _of(self, part: str) -> tuple[float | None, float | None]:
        return getattr(self, f"{part}_loss"), getattr(self, f"{part}_accuracy")


_OPTIONAL = frozenset(EpochResult._field_defaults) - {"learning_rate"}


def best_epoch(results: Sequence[EpochResult]) -> int:
    """The epoch of highest accuracy, of lowest loss where there is no accuracy; the earliest among equals.

    Of the validation part, of the test part where there is none; by the averaged weights where there are any.

    Args:
        results: of the finished epochs, at least one.
    """
    return max(results, key=lambda r: (r.score, -r.epoch)).epoch


def stopped_early(results: Sequence[EpochResult], patience: int | None) -> bool:
    """Whether the last `patience` epochs brought none better than those before; never where it is None."""
    return patience is not None and bool(results) and len(results) - best_epoch(results) >= patience


class Judged(NamedTuple):
    """What weights came to on the test examples, in prediction mode.

    Attributes:
        epoch: after which they were taken.
        test_loss: mean over all test examples; None where it is not finite.
        test_accuracy: share in [0, 1]; None for regression.
    """

    epoch: int
    test_loss: float | None
    test_accuracy: float | None


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
        tested: what the test part said at the end, where a validation part was judged in its epochs: of the weights
            "last", "best" and, where they were averaged, "ema".
        waited_seconds: how long updates waited for streamed data, since this process began; part of `train_seconds`.
    """

    recipe: Recipe
    seed: int
    state: TrainState
    epochs: tuple[EpochResult, ...]
    compile_seconds: float
    tested: Mapping[str, Judged] = dataclasses.field(default_factory=dict)
    waited_seconds: float = 0.0

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
        """Test accuracy of the best epoch; None for regression, and where no test part was judged.

        Without a validation part it is the highest of all epochs, chosen on the test examples themselves.
        """
        if self.tested:
            return self.tested["best"].test_accuracy
        judged = [e.ema_test_accuracy if e.averaged else e.test_accuracy for e in self.epochs]
        return max((accuracy for accuracy in judged if accuracy is not None), default=None)

    @property
    def best_epoch(self) -> int:
        """See `jaxd2l.train.best_epoch`."""
        return best_epoch(self.epochs)

    @property
    def stopped_early(self) -> bool:
        """Whether `Recipe.early_stop` ended it before its last epoch."""
        return len(self.epochs) < self.recipe.epochs and stopped_early(self.epochs, self.recipe.early_stop)

    def _repr_html_(self) -> str:
        return epochs_table(f"{self.recipe.name}, seed {self.seed}", self.epochs)


def epochs_table(caption: str, epochs: Sequence[EpochResult]) -> str:
    """Epochs as a notebook shows them."""
    names = [name for name in EpochResult._fields if any(getattr(result, name) is not None for result in epochs)]
    rows = [[getattr(result, name) for name in names] for result in epochs]
    return html_table(caption, [name.replace("_", " ") for name in names], rows)


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
