"""A recipe: everything that decides a training run except the data's bytes and the seed."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import optax

from jaxd2l.catalogue import Published
from jaxd2l.data import ChannelStatistics, ImageSize, Prepare, as_stored, augmentation, image_preparer
from jaxd2l.nn.loss import cross_entropy
from jaxd2l.nn.metric import hits
from jaxd2l.notebook_table import html_table
from jaxd2l.train.called import called_with_train
from jaxd2l.train.check_recipe import PRECISIONS, as_floats, as_python, check_recipe
from jaxd2l.train.optimizer import Course, Factory, Rate, bound, clipped, scheduled, sgd
from jaxd2l.train.optimizer.rules import name_of, rule_called, with_momentum
from jaxd2l.train.step import Objective, PerExample, Step, make_step


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A frozen value; vary it with `dataclasses.replace`, which checks it again.

    `Recipe("mine", Net(), "cifar10")` is one: SGD at a rate of .1, ten epochs, cross-entropy, images as they are.

    Attributes:
        name: what the command line calls it.
        model: the network, unbound; one that is not called with `train` in a `jaxd2l.train.called.CalledWithTrain`.
        dataset: name of the data.
        learning_rate: step size, or a schedule of optax: from the updates made so far to the step size. Without
            meaning where `optimizer` is a finished transformation.
        epochs: passes over the training examples.
        batch_size: examples an update.
        weight_decay: lambda of the penalty lambda / 2 |kernel|^2.
        image_size: pixels a side that images are resized to, or height and width; None where inputs are no images.
        statistics: mean and deviation of each channel, of the training part: images are standardised by them; None
            leaves them in [0, 1].
        augment: how training images are changed at random, keys of `AUGMENTATIONS` with commas between; None leaves
            them as they are.
        mixup: alpha of the Beta(alpha, alpha) of the shares in which training mixes pairs of examples; 0 mixes none.
        label_smoothing: share of the target that all classes have alike, in training; of `cross_entropy`.
        class_weights: how much each class counts in training, in the order of the labels; of `cross_entropy`.
        precision: what the network computes in, a key of `PRECISIONS`.
        remat: compute most activations a second time in the backward pass instead of keeping them.
        accumulate: pieces that each batch is cut into to save memory; it divides `batch_size`.
        clip_norm: the gradient is scaled down to this L2 norm where it is longer; None never does.
        early_stop: end after this many epochs without a better one on the validation part, which it takes; None never
            does.
        ema: share that the exponential moving average of the weights keeps of itself in each update; None keeps no
            average. See `jaxd2l.train.state.Average`.
        freeze: patterns of paths of parameters that stay as they are, such as `Conv_*` or `*/bias` (`*` is any text,
            "/" too): with commas between, or a sequence; None trains all. Running statistics of a frozen norm move.
        optimizer: a key of `OPTIMIZERS`; or `f(learning_rate, weight_decay)`, such as `sgd`, `adam` or
            `lambda rate, decay: optax.adamw(rate, weight_decay=decay)`; or a finished transformation of optax, which
            has its own numbers.
        momentum, nesterov: of `sgd`, see there.
        schedule, warmup, step_epochs, step_factor: how the learning rate goes over the run, see `Course`.
        loss: per example; what is judged by, and trained by but for smoothing and class weights.
        hits: which outputs are right; None for regression.
        source: where the values come from.
        parameters: how many the network has, as published.
        macs: multiply-adds of one prediction, as published; None where not published.
        published: results to compare with.
    """

    name: str
    model: nn.Module
    dataset: str
    _: dataclasses.KW_ONLY
    learning_rate: Any = 0.1  # a float in every recipe of the package
    epochs: int = 10
    batch_size: int = 256
    weight_decay: float = 0.0
    image_size: ImageSize | None = None
    statistics: ChannelStatistics | None = None
    augment: str | None = None
    mixup: float = 0.0
    label_smoothing: float = 0.0
    class_weights: Sequence[float] | None = None
    precision: str = "float32"
    remat: bool = False
    accumulate: int = 1
    clip_norm: float | None = None
    early_stop: int | None = None
    ema: float | None = None
    freeze: str | Sequence[str] | None = None
    optimizer: str | Factory | optax.GradientTransformation = sgd
    momentum: float = 0.0
    nesterov: bool = False
    schedule: str = "constant"
    warmup: float = 0.0
    step_epochs: int | None = None
    step_factor: float = 0.1
    loss: PerExample = cross_entropy
    hits: PerExample | None = hits
    source: str = ""
    parameters: int | None = None
    macs: float | None = None
    published: tuple[Published, ...] = ()

    def __post_init__(self) -> None:
        """Refuse settings that cannot train.

        Raises:
            ValueError: naming the field, what it holds and what it may hold.
        """
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, as_python(getattr(self, field.name)))
        if isinstance(self.optimizer, str):
            object.__setattr__(self, "optimizer", rule_called(self.optimizer))
        if isinstance(self.class_weights, list):
            object.__setattr__(self, "class_weights", as_floats(self.class_weights))
        if isinstance(self.freeze, str):
            object.__setattr__(self, "freeze", tuple(one.strip() for one in self.freeze.split(",")))
        if isinstance(self.freeze, list):
            object.__setattr__(self, "freeze", tuple(self.freeze))
        check_recipe(self)
        object.__setattr__(self, "model", called_with_train(self.model))

    @property
    def course(self) -> Course:
        """How the learning rate goes over the run."""
        return Course(self.schedule, self.epochs, self.warmup, self.step_epochs, self.step_factor)

    @property
    def follows_a_schedule(self) -> bool:
        """Whether a schedule moves the learning rate: one by name, or one of optax."""
        return callable(self.learning_rate) or not self.course.is_constant

    def objective(self) -> Objective:
        """What the network is trained and judged by."""
        return Objective(
            self.loss,
            self.hits,
            self.prepare(),
            PRECISIONS[self.precision],
            augment=None if self.augment is None else augmentation(self.augment),
            mixup=self.mixup,
            training_loss=self._training_loss(),
            class_weights=self.class_weights,
        )

    def _training_loss(self) -> PerExample | None:
        if not self.label_smoothing and self.class_weights is None:
            return None
        return functools.partial(cross_entropy, label_smoothing=self.label_smoothing, class_weights=self.class_weights)

    def make_step(self, optimizer: optax.GradientTransformation | None = None) -> Step:
        """One update of this recipe, see `jaxd2l.train.step.make_step`.

        Args:
            optimizer: that of `make_optimizer` unless given; `scheduled_optimizer` follows the schedule.
        """
        optimizer = self.make_optimizer() if optimizer is None else optimizer
        settings: dict[str, Any] = {name: getattr(self, name) for name in ("remat", "accumulate", "ema", "freeze")}
        return make_step(self.model, optimizer, self.objective(), **settings)

    def prepare(self) -> Prepare:
        """What happens to a stored batch inside the step."""
        return as_stored if self.image_size is None else image_preparer(self.image_size, self.statistics)

    def input_shape(self, x: Any) -> tuple[int, ...]:
        """Shape of one example as the network sees it.

        Args:
            x: stored examples (n, ...), or their shape and dtype.
        """
        one = jax.ShapeDtypeStruct((1, *x.shape[1:]), x.dtype)
        return tuple(jax.eval_shape(self.prepare(), one).shape[1:])

    @property
    def takes_labels(self) -> bool:
        """Whether targets are class indices."""
        return self.hits is not None or self.loss is cross_entropy

    def make_optimizer(
        self, learning_rate: Rate | None = None, weight_decay: float | jax.Array | None = None
    ) -> optax.GradientTransformation:
        """The optimizer, with this recipe's learning rate and weight decay where no others are given.

        It keeps the learning rate as it is; that of an update follows the schedule in `scheduled_optimizer`.

        Raises:
            ValueError: `optimizer` gives no transformation of optax.
        """
        rate = self.learning_rate if learning_rate is None else learning_rate
        rule = with_momentum(self.optimizer, self.momentum, self.nesterov)
        optimizer = bound(rule, rate, self.weight_decay if weight_decay is None else weight_decay)
        return optimizer if self.clip_norm is None else clipped(optimizer, self.clip_norm)

    def scheduled_optimizer(self, steps: int) -> optax.GradientTransformation:
        """The optimizer with its schedule, which is laid out for `steps` updates an epoch; its state is the same.

        Raises:
            ValueError: the optimizer's learning rate is no array in its state, so that no schedule moves it.
        """
        optimizer = self.make_optimizer()
        return optimizer if self.course.is_constant else scheduled(optimizer, self.course.shares(steps))

    def settings(self) -> dict[str, Any]:
        """The fields that a command line may override, as plain values; a schedule by its name."""
        values = {name: getattr(self, name) for name in OVERRIDABLE}
        values["optimizer"] = name_of(self.optimizer)
        if isinstance(self.image_size, tuple):
            values["image_size"] = list(self.image_size)  # as JSON gives it back
        for name in ("class_weights", "freeze"):
            if values[name] is not None:
                values[name] = list(values[name])  # as JSON gives it back
        if callable(self.learning_rate):
            values["learning_rate"] = getattr(self.learning_rate, "__qualname__", type(self.learning_rate).__name__)
        return values

    def _repr_html_(self) -> str:
        changed = {name: value for name, value in self.settings().items() if value is not None}
        rows = [("model", type(self.model).__name__), *changed.items(), ("source", self.source or None)]
        return html_table(self.name, ("setting", "value"), rows)


_LATER = (  # than the first run folders
    *("momentum", "nesterov", "schedule", "warmup", "step_epochs", "step_factor"),
    *("mixup", "label_smoothing", "class_weights", "freeze"),
)
OVERRIDABLE = (
    *("dataset", "epochs", "batch_size", "learning_rate", "weight_decay"),
    *("image_size", "augment", "precision", "remat", "accumulate", "clip_norm", "early_stop", "ema"),
    *("optimizer", *_LATER),
)


def complete(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with those added that an earlier version did not have, as it trained: by their defaults."""
    return {"optimizer": "sgd", **{name: getattr(Recipe, name) for name in _LATER}, **settings}


def overridden(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """The recipe with each setting that is given replaced; None and other names change nothing.

    Raises:
        ValueError: a value is out of range, or the recipe's inputs are no images.
    """
    given = {name: values[name] for name in OVERRIDABLE if values.get(name) is not None}
    if isinstance(given.get("image_size"), list):
        given["image_size"] = tuple(given["image_size"])
    if recipe.image_size is None and "image_size" in given:
        raise ValueError(f"recipe {recipe.name} takes no images, so --image-size has no meaning; leave it out")
    return dataclasses.replace(recipe, **given)
