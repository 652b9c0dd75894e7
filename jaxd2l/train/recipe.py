"""A recipe: everything that decides a training run except the data's bytes and the seed."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxd2l.book import Published
from jaxd2l.data import AUGMENTATIONS, Prepare, as_stored, image_preparer
from jaxd2l.nn.loss import cross_entropy
from jaxd2l.nn.metric import hits
from jaxd2l.train.optimizer import Factory, Rate, bound, clipped, sgd
from jaxd2l.train.step import Objective, PerExample, Step, make_step

PRECISIONS = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """A frozen value; vary it with `dataclasses.replace`, which checks it again.

    Attributes:
        name: what the command line calls it.
        model: the network, unbound.
        dataset: name of the data.
        learning_rate: step size, or a schedule of optax: from the updates made so far to the step size. Without
            meaning where `optimizer` is a finished transformation.
        epochs: passes over the training examples.
        batch_size: examples an update.
        weight_decay: lambda of the penalty lambda / 2 |kernel|^2.
        image_size: pixels a side that images are resized to; None where inputs are no images.
        augment: how training images are changed at random, a key of `AUGMENTATIONS`; None leaves them as they are.
        precision: what the network computes in, a key of `PRECISIONS`.
        remat: compute most activations a second time in the backward pass instead of keeping them.
        accumulate: pieces that each batch is cut into to save memory; it divides `batch_size`.
        clip_norm: the gradient is scaled down to this L2 norm where it is longer; None never does.
        optimizer: `f(learning_rate, weight_decay)`, such as `sgd`, `adam` or
            `lambda rate, decay: optax.adamw(rate, weight_decay=decay)`; or a finished transformation of optax, which
            has its own numbers.
        loss: per example.
        hits: which outputs are right; None for regression.
        source: where the values come from.
        parameters: how many the network has, as published.
        macs: multiply-adds of one prediction, as published; None where not published.
        published: results to compare with.
    """

    name: str
    model: nn.Module
    dataset: str
    learning_rate: Any  # a float in every recipe of the package
    epochs: int = 10
    batch_size: int = 256
    weight_decay: float = 0.0
    image_size: int | None = None
    augment: str | None = None
    precision: str = "float32"
    remat: bool = False
    accumulate: int = 1
    clip_norm: float | None = None
    optimizer: Factory | optax.GradientTransformation = sgd
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
        for name, lowest in (("epochs", 1), ("batch_size", 1), ("image_size", 1), ("accumulate", 1)):
            value = getattr(self, name)
            if value is None and name == "image_size":
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
                raise ValueError(f"{name} must be an integer of at least {lowest}, got {value!r}")
        if not (callable(self.learning_rate) or (_is_number(self.learning_rate) and self.learning_rate > 0)):
            raise ValueError(f"learning_rate must be a positive number, got {self.learning_rate!r}")
        if not (_is_number(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"weight_decay must be a number of at least 0, got {self.weight_decay!r}")
        if self.weight_decay and not callable(self.optimizer):
            raise ValueError(
                f"weight_decay {self.weight_decay!r} does not reach a finished optimizer; give weight_decay=0, or "
                "optimizer as f(learning_rate, weight_decay)"
            )
        if self.clip_norm is not None and not (math.isfinite(self.clip_norm) and self.clip_norm > 0):
            raise ValueError(f"clip_norm must be a positive number, got {self.clip_norm!r}")
        if self.batch_size % self.accumulate:
            raise ValueError(f"accumulate must divide the batch size of {self.batch_size}, got {self.accumulate!r}")
        if not isinstance(self.remat, bool):
            raise ValueError(f"remat must be True or False, got {self.remat!r}")
        if self.augment is not None and self.augment not in AUGMENTATIONS:
            raise ValueError(f"augment must be one of {', '.join(AUGMENTATIONS)} or None, got {self.augment!r}")
        if self.augment is not None and self.image_size is None:
            raise ValueError(f"recipe {self.name} takes no images, so nothing can be augmented; leave augment out")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {self.precision!r}")

    def objective(self) -> Objective:
        """What the network is trained and judged by."""
        augment = None if self.augment is None else AUGMENTATIONS[self.augment]
        return Objective(self.loss, self.hits, self.prepare(), PRECISIONS[self.precision], augment)

    def make_step(self, optimizer: optax.GradientTransformation | None = None) -> Step:
        """One update of this recipe, see `jaxd2l.train.step.make_step`.

        Args:
            optimizer: that of `make_optimizer` unless given.
        """
        optimizer = self.make_optimizer() if optimizer is None else optimizer
        return make_step(self.model, optimizer, self.objective(), remat=self.remat, accumulate=self.accumulate)

    def prepare(self) -> Prepare:
        """What happens to a stored batch inside the step."""
        return as_stored if self.image_size is None else image_preparer(self.image_size)

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

        Raises:
            ValueError: `optimizer` gives no transformation of optax.
        """
        rate = self.learning_rate if learning_rate is None else learning_rate
        optimizer = bound(self.optimizer, rate, self.weight_decay if weight_decay is None else weight_decay)
        return optimizer if self.clip_norm is None else clipped(optimizer, self.clip_norm)

    def settings(self) -> dict[str, Any]:
        """The fields that a command line may override, as plain values; a schedule by its name."""
        values = {name: getattr(self, name) for name in OVERRIDABLE}
        if callable(self.learning_rate):
            values["learning_rate"] = getattr(self.learning_rate, "__qualname__", type(self.learning_rate).__name__)
        return values


OVERRIDABLE = (
    *("dataset", "epochs", "batch_size", "learning_rate", "weight_decay"),
    *("image_size", "augment", "precision", "remat", "accumulate", "clip_norm"),
)


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float | np.number | jax.Array) and not isinstance(value, bool) and math.isfinite(value)
    )


def overridden(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """The recipe with each setting that is given replaced; None and other names change nothing.

    Raises:
        ValueError: a value is out of range, or the recipe's inputs are no images.
    """
    given = {name: values[name] for name in OVERRIDABLE if values.get(name) is not None}
    if recipe.image_size is None and "image_size" in given:
        raise ValueError(f"recipe {recipe.name} takes no images, so --image-size has no meaning; leave it out")
    return dataclasses.replace(recipe, **given)
