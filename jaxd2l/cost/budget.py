"""Whether a run fits into memory: foreseen from shapes, known once it is compiled, and what to say after it ran out."""

import dataclasses
import math
from typing import Any

import jax

from jaxd2l.cost.estimate import bytes_of, cost
from jaxd2l.cost.free_memory import free_bytes
from jaxd2l.cost.layers import layers
from jaxd2l.data import Dataset, Examples, shapes
from jaxd2l.train.program import Program, stored, window_of
from jaxd2l.train.program.windows import batch_bytes
from jaxd2l.train.recipe import PRECISIONS, Recipe
from jaxd2l.train.step import Tally

OF_A_PARAMETER = 48  # bytes: itself, two gradients, three moments, an average; set aside, all but the gradients again
GENEROUS = 12  # kept bytes for each byte that a layer puts out: no network of this library reaches 6


def foreseen_shortage(recipe: Recipe, data: Dataset, free: int, devices: int = 1) -> str | None:
    """One line if the predicted memory exceeds `free`, else None; looked into only where it could.

    Args:
        recipe: what is about to be trained.
        data: what on; only shapes count.
        free: bytes that the device, or each of them, can still give.
        devices: how many share a batch.
    """
    share = share_of(recipe, devices)
    if _at_most(share, data) <= free:
        return None
    needed = cost(share, data).train.total
    if needed <= free:
        return None
    each = "" if devices == 1 else f" on each of {devices} devices"
    return (
        f"batch size {recipe.batch_size} needs about {gib(needed)}{each}, there is {gib(free)}; "
        f"{advice(recipe, data, free, devices)}"
    )


def share_of(recipe: Recipe, devices: int) -> Recipe:
    """The recipe with the rows of a batch that each of the devices has."""
    return recipe if devices == 1 else dataclasses.replace(recipe, batch_size=recipe.batch_size // devices)


def windows_alone(recipe: Recipe, data: Dataset, devices: int = 1) -> Dataset:
    """Shapes of what is on each device of data that are streamed: its share of each part's window and of the next."""

    def of(part: Examples) -> Examples:
        part = stored(recipe, part)
        n, size = len(part.x), min(recipe.batch_size, len(part.x))
        rows = min(n, 2 * size * window_of(part, size, -(-n // size)))
        share = -(-rows // devices)
        return Examples(*(jax.ShapeDtypeStruct((share, *a.shape[1:]), a.dtype) for a in part))  # type: ignore[arg-type]

    validation = None if data.validation is None else of(data.validation)
    return data._replace(train=of(data.train), test=of(data.test), validation=validation)


def advice(recipe: Recipe, data: Dataset, free: int, devices: int = 1) -> str:
    """The largest batch that fits into `free` bytes of each device, as it is and with rematerialisation."""
    share = share_of(recipe, devices)
    fits = largest_batch(share, free, data)
    remat = None if recipe.remat else largest_batch(dataclasses.replace(share, remat=True), free, data)
    parts = [] if fits is None else [f"--batch-size {fits * devices} fits"]
    if remat is not None and remat > (fits or 0):
        parts.append(f"--remat --batch-size {remat * devices} does")
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


def largest_batch(recipe: Recipe, free: int, data: Dataset | None = None, **options: Any) -> int | None:
    """The largest batch whose predicted training memory is at most `free`.

    Memory is close to a line in the batch size: three or four predictions find the place.

    Args:
        recipe: what to train; its batch size is where the search starts.
        free: bytes.
        data: as in `cost`.
        **options: as in `cost`.

    Returns:
        A multiple of the recipe's `accumulate`, at most the number of training examples; None if not even
        the smallest such batch fits.
    """
    data = shapes(recipe.dataset) if data is None else data
    unit = recipe.accumulate
    most = max(1, data.train.x.shape[0] // unit)

    def needed(units: int) -> int:
        return cost(recipe, data, batch_size=units * unit, **options).train.total

    low, high = 1, most
    at_one = at_low = needed(low)
    if at_one > free:
        return None
    guess = min(most, max(2, recipe.batch_size // unit))
    while low < high:
        at = needed(guess)
        if at <= free:
            low, at_low = guess, at
        else:
            high = guess - 1
        slope = (at - at_low) / (guess - low) if guess != low else (at_low - at_one) / max(1, low - 1)
        step = max(1, int((free - at_low) / slope)) if slope > 0 else high - low
        if high - low <= low // 64:  # 1.5 %: closer than the prediction
            break
        guess = min(high, low + step) if step > 1 or high - low == 1 else low + 1
        if guess == low:
            break
    return low * unit


def needed_bytes(program: Program, data: Dataset) -> tuple[int, int]:
    """Memory of a run.

    Returns:
        `(fixed, per_batch)` bytes: data and state (kept twice, against divergence), and what the epoch or the
        evaluation takes beside them while it works, which grows with the batch.
    """
    epoch, evaluation = (e.memory_analysis() for e in (program.epoch, program.evaluation))
    if epoch is None or evaluation is None:  # a backend that does not tell
        return 0, 0
    if program.windows is None:
        train, *others = (bytes_of(stored(program.recipe, part)) for part in _parts(data))
        resident = train + sum(others)
    else:
        sizes = program.recipe.batch_size, program.evaluation_rows.weight.shape[1]
        parts = zip((program.train, program.test), sizes, program.windows, strict=True)
        devices = 1 if program.mesh is None else program.mesh.size
        train, judged = (window * batch_bytes(part, size // devices) for part, size, window in parts)
        resident = 2 * (train + judged)  # the next window is put beside the one in use
    state = max(0, epoch.argument_size_in_bytes - train)
    return resident + 2 * state, max(epoch.temp_size_in_bytes, evaluation.temp_size_in_bytes)


def require_memory(program: Program, data: Dataset, free: int | None = None) -> None:
    """Refuse a run that would be killed or fail for lack of memory.

    Args:
        program: compiled.
        data: what it will run on.
        free: bytes; found out when None.

    Raises:
        ValueError: with what it needs, what there is, and the batch that fits.
    """
    free = free_bytes() if free is None else free
    fixed, per_batch = needed_bytes(program, data)
    if free is None or fixed + per_batch <= free:
        return
    batch = program.recipe.batch_size
    fitting = int(batch * max(0, free - fixed) / max(per_batch, 1) * 0.9)
    advice = f"about --batch-size {fitting} fits" if fitting else "no batch fits: use a smaller image size or network"
    raise ValueError(
        f"batch size {batch} needs about {(fixed + per_batch) / 2**30:.3g} GiB, the device has {free / 2**30:.3g} GiB "
        f"free; {advice}"
    )


def bytes_of_a_run(program: Program) -> int:
    """Estimate what one member takes: its state, and the workspace of the larger of epoch and evaluation."""
    needs = [executable.memory_analysis() for executable in (program.epoch, program.evaluation)]
    return needs[0].output_size_in_bytes + max(need.temp_size_in_bytes for need in needs)


def _parts(data: Dataset) -> list[Examples]:
    return [part for part in (data.train, data.test, data.validation) if part is not None]


def _at_most(recipe: Recipe, data: Dataset) -> int:
    """A bound from the layers' outputs alone, in a fraction of the time."""
    parts = [stored(recipe, part) for part in _parts(data)]
    x = jax.ShapeDtypeStruct((1, *parts[0].x.shape[1:]), parts[0].x.dtype)
    prepared = jax.eval_shape(recipe.prepare(), x)
    found = layers(recipe.model, jax.ShapeDtypeStruct(prepared.shape, PRECISIONS[recipe.precision]))
    one = sum(layer.activation_bytes for layer in found) + 4 * math.prod(prepared.shape)
    size, state = recipe.batch_size, OF_A_PARAMETER * sum(layer.parameters for layer in found)
    steps = -(-len(parts[0].x) // size)
    resident = bytes_of(parts) + batch_bytes(parts[0], size)
    return GENEROUS * one * size + state + resident + (8 * size + 4 * len(Tally._fields)) * steps
