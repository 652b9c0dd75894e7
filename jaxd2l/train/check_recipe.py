"""What a recipe must be before anything is traced: each setting in its range, and none without meaning."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.data import augmentation
from jaxd2l.nn.loss import cross_entropy
from jaxd2l.train.optimizer.rules import with_momentum

if TYPE_CHECKING:
    from jaxd2l.train.recipe import Recipe

PRECISIONS = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


def as_python(value: Any) -> Any:
    """Numbers, words and lists of NumPy and JAX as Python's own, which go into JSON; all else as it is."""
    if isinstance(value, np.generic | np.ndarray | jax.Array) and not isinstance(value, jax.core.Tracer):
        return value.tolist()
    return tuple(map(as_python, value)) if type(value) is tuple else value


def as_floats(values: list[Any]) -> tuple[Any, ...]:
    """Numbers as Python's floats; what is none stays, for `check_recipe` to refuse."""
    return tuple(float(value) if _is_number(value) else value for value in values)


def check_recipe(recipe: Recipe) -> None:
    """Refuse settings that cannot train.

    Raises:
        ValueError: naming the field, what it holds and what it may hold.
    """
    if not isinstance(recipe.model, nn.Module):
        what = "its class" if isinstance(recipe.model, type) else f"a {type(recipe.model).__name__}"
        raise ValueError(f"model must be an instance of a network of flax.linen, such as Net(), got {what}")
    for name in ("epochs", "batch_size", "accumulate"):
        value = getattr(recipe, name)
        if not _is_count(value):
            raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
    sides = recipe.image_size if isinstance(recipe.image_size, tuple) else (recipe.image_size,)
    if recipe.image_size is not None and not (len(sides) in (1, 2) and all(map(_is_count, sides))):
        raise ValueError(f"image_size must be an integer of at least 1, got {recipe.image_size!r}")
    if recipe.statistics is not None and recipe.image_size is None:
        raise ValueError(f"recipe {recipe.name} takes no images, whose channels statistics are of; leave them out")
    if not (callable(recipe.learning_rate) or (_is_number(recipe.learning_rate) and recipe.learning_rate > 0)):
        raise ValueError(f"learning_rate must be a positive number, got {recipe.learning_rate!r}")
    if not (_is_number(recipe.weight_decay) and recipe.weight_decay >= 0):
        raise ValueError(f"weight_decay must be a number of at least 0, got {recipe.weight_decay!r}")
    if recipe.weight_decay and not callable(recipe.optimizer):
        raise ValueError(
            f"weight_decay {recipe.weight_decay!r} does not reach a finished optimizer; give weight_decay=0, or "
            "optimizer as f(learning_rate, weight_decay)"
        )
    if recipe.clip_norm is not None and not (_is_number(recipe.clip_norm) and recipe.clip_norm > 0):
        raise ValueError(f"clip_norm must be a positive number, got {recipe.clip_norm!r}")
    if recipe.early_stop is not None and not _is_count(recipe.early_stop):
        raise ValueError(f"early_stop must be an integer of at least 1, got {recipe.early_stop!r}")
    if recipe.ema is not None and not (_is_number(recipe.ema) and 0 < recipe.ema < 1):
        raise ValueError(f"ema must be between 0 and 1, such as 0.99, got {recipe.ema!r}")
    patterns = recipe.freeze
    if patterns is not None and not (
        isinstance(patterns, tuple) and patterns and all(isinstance(one, str) and one for one in patterns)
    ):
        raise ValueError(f"freeze must be patterns of paths, such as 'Conv_*', got {patterns!r}")
    if recipe.batch_size % recipe.accumulate:
        raise ValueError(f"accumulate must divide the batch size of {recipe.batch_size}, got {recipe.accumulate!r}")
    if not isinstance(recipe.remat, bool):
        raise ValueError(f"remat must be True or False, got {recipe.remat!r}")
    if recipe.augment is not None:
        augmentation(recipe.augment)
    if recipe.augment is not None and recipe.image_size is None:
        raise ValueError(f"recipe {recipe.name} takes no images, so nothing can be augmented; leave augment out")
    if recipe.precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {recipe.precision!r}")
    _check_loss(recipe)
    with_momentum(recipe.optimizer, recipe.momentum, recipe.nesterov)
    if not recipe.course.is_constant and (callable(recipe.learning_rate) or not callable(recipe.optimizer)):
        own = "learning_rate is a schedule" if callable(recipe.optimizer) else "a finished optimizer has a rate"
        raise ValueError(
            f"schedule {recipe.schedule} with warmup {recipe.warmup:g} moves a learning rate that is a number, and "
            f"{own} of its own; leave one of them out"
        )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _check_loss(recipe: Recipe) -> None:
    if not (_is_number(recipe.mixup) and recipe.mixup >= 0):
        raise ValueError(f"mixup must be a number of at least 0, got {recipe.mixup!r}")
    if not (_is_number(recipe.label_smoothing) and 0 <= recipe.label_smoothing < 1):
        raise ValueError(f"label_smoothing must be a share of at least 0 and below 1, got {recipe.label_smoothing!r}")
    weights = recipe.class_weights
    if weights is not None and not (
        isinstance(weights, tuple) and all(_is_number(w) and w >= 0 for w in weights) and any(weights)
    ):
        raise ValueError(f"class_weights must be a number of at least 0 for each class, not all 0, got {weights!r}")
    for name in ("label_smoothing", "class_weights"):
        if getattr(recipe, name) and recipe.loss is not cross_entropy:
            loss = getattr(recipe.loss, "__name__", "of its own")
            raise ValueError(
                f"{name} changes cross_entropy, and the loss of recipe {recipe.name} is {loss}; leave it out"
            )


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float | np.number | jax.Array) and not isinstance(value, bool) and math.isfinite(value)
    )
