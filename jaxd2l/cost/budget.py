"""What to say about memory before a run, and after it ran out: how much is missing and what would fit."""

import dataclasses
import math

import jax

from jaxd2l.cost.estimate import cost, largest_batch
from jaxd2l.cost.layers import layers
from jaxd2l.data import Dataset
from jaxd2l.train.recipe import PRECISIONS, Recipe

GENEROUS = 12  # kept bytes for each byte that a layer puts out: no network of this library reaches 6


def foreseen_shortage(recipe: Recipe, data: Dataset, free: int) -> str | None:
    """One line if the predicted memory exceeds `free`, else None; looked into only where it could.

    Args:
        recipe: what is about to be trained.
        data: what on; only shapes count.
        free: bytes that the device can still give.
    """
    if _at_most(recipe, data) <= free:
        return None
    needed = cost(recipe, data).train.total
    if needed <= free:
        return None
    return (
        f"batch size {recipe.batch_size} needs about {gib(needed)}, there is {gib(free)}; {advice(recipe, data, free)}"
    )


def advice(recipe: Recipe, data: Dataset, free: int) -> str:
    """The largest batch that fits into `free` bytes, as it is and with rematerialisation."""
    fits = largest_batch(recipe, free, data)
    remat = None if recipe.remat else largest_batch(dataclasses.replace(recipe, remat=True), free, data)
    parts = [] if fits is None else [f"--batch-size {fits} fits"]
    if remat is not None and remat > (fits or 0):
        parts.append(f"--remat --batch-size {remat} does")
    return ", ".join(parts) if parts else "no batch fits: use smaller images or another network"


def ran_out(error: BaseException) -> bool:
    """Whether an error of the runtime says that a device's memory is exhausted."""
    return isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)


def gib(number: int) -> str:
    """Bytes for people: 3 digits and the unit that suits them."""
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if number >= size * 1000 / 1024:  # 1000 KiB are 0.977 MiB: never four digits
            return f"{number / size:.3g} {unit}"
    return f"{number} B"


def _at_most(recipe: Recipe, data: Dataset) -> int:
    """A bound from the layers' outputs alone, in a fraction of the time."""
    x = jax.ShapeDtypeStruct((1, *data.train.x.shape[1:]), data.train.x.dtype)
    prepared = jax.eval_shape(recipe.prepare(), x)
    found = layers(recipe.model, jax.ShapeDtypeStruct(prepared.shape, PRECISIONS[recipe.precision]))
    one = sum(layer.activation_bytes for layer in found) + 4 * math.prod(prepared.shape)
    stored = sum(math.prod(a.shape) * a.dtype.itemsize for part in (data.train, data.test) for a in part)
    return GENEROUS * one * recipe.batch_size + 24 * sum(layer.parameters for layer in found) + stored
