"""What data has to be before a run starts: checked once, on the host, before anything is traced.

Inside a compiled loop nothing can be raised: a label out of range, a NaN pixel or an axis in the wrong
place would train on in silence.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.data import DataError, Dataset, Examples, ImageSize, as_stored, check_examples, image_preparer, num_steps
from jaxd2l.earlier import place_of, remembered
from jaxd2l.kept import made_once
from jaxd2l.nn.loss import cross_entropy
from jaxd2l.nn.metric import hits
from jaxd2l.train.program import stored
from jaxd2l.train.recipe import Recipe
from jaxd2l.train.step import PerExample
from jaxd2l.wording import counted


def check_run(recipe: Recipe, data: Dataset) -> Dataset:
    """`check_dataset`, and that a batch is not larger than the training part: what a training needs.

    Raises:
        DataError: as `check_dataset`.
        ValueError: likewise, and for a batch that does not fit.
    """
    require_validation(recipe, data)
    data = _check_arrays(recipe, data)
    num_steps(len(data.train.x), recipe.batch_size)
    _check_outputs(recipe, data)
    return data


def require_validation(recipe: Recipe, data: Dataset) -> None:
    """Refuse to stop early on the test part.

    Raises:
        ValueError: the recipe stops early, but the data have no validation part.
    """
    if recipe.early_stop is not None and data.validation is None:
        raise ValueError(
            f"stopping early (patience {recipe.early_stop}) takes a validation part, and {data.name} has none; hold "
            "one out: --validation-fraction 0.1, from Python data.hold_out(data, 0.1)"
        )


def check_dataset(recipe: Recipe, data: Dataset) -> Dataset:
    """Refuse what `recipe` cannot be trained on.

    Args:
        recipe: says whether inputs are images and targets are labels, and what the network gives.
        data: arrays on the host or the device, of any type of numbers and any layout.

    Returns:
        The same data as plain arrays (`jaxd2l.data.plain`): labels as int32, in the machine's byte order.

    Raises:
        DataError: see `check_examples`; images that are not uint8 (n, height, width, channels); float64, which JAX
            would narrow; a test part of another shape than the training part; a label that the network has no
            output for.
        ValueError: the network refuses the inputs, or its outputs do not fit the targets.
    """
    data = _check_arrays(recipe, data)
    _check_outputs(recipe, data)
    return data


_PARTS = (("train", "training"), ("test", "test"), ("validation", "validation"))


def _parts(data: Dataset) -> list[tuple[str, str, Examples]]:
    """Each part that there is: its field, its name in words and its rows."""
    found = [(field, what, getattr(data, field)) for field, what in _PARTS]
    return [(field, what, part) for field, what, part in found if part is not None]


def _check_arrays(recipe: Recipe, data: Dataset) -> Dataset:
    classes = (len(data.classes) or np.iinfo(np.int32).max) if recipe.takes_labels else None
    parts = {
        part: _check_part(recipe, found, classes, f"{data.name} {what} part") for part, what, found in _parts(data)
    }
    for part, other, _ in _parts(data)[1:]:
        for what, a, b in zip(("inputs", "targets"), parts["train"], parts[part], strict=True):
            if a.shape[1:] != b.shape[1:] or a.dtype != b.dtype:
                raise DataError(
                    f"{data.name}: training {what} are {a.dtype} {_rows_of(a)} but {other} {what} {b.dtype} "
                    f"{_rows_of(b)}; prepare both alike"
                )
    return data._replace(**parts)  # type: ignore[arg-type]


def _rows_of(array: Any) -> str:
    """A shape whose first axis may have any size."""
    return f"(n, {', '.join(map(str, array.shape[1:]))})" if len(array.shape) > 1 else "(n,)"


def _check_part(recipe: Recipe, part: Examples, classes: int | None, what: str) -> Examples:
    if recipe.image_size is not None and isinstance(part.x, np.ndarray | jax.Array):
        _check_images(part.x, what)
    part = check_examples(part, classes, what)
    for name, array in (("inputs", part.x), ("targets", part.y)):
        if array.dtype == np.float64 and not jax.config.jax_enable_x64:
            narrowed = f"{'xy'[name == 'targets']}.astype(np.float32)"
            raise DataError(f"{what}: {name} are float64, which JAX would narrow in silence; use {narrowed}")
    return part


def _check_outputs(recipe: Recipe, data: Dataset) -> None:
    """Compare what the network gives with the targets, by shapes alone."""
    like = stored(recipe, data.train)
    output = require_fitting_outputs(recipe.model, recipe.loss, *like, data.name, recipe.hits, recipe.image_size)
    if recipe.class_weights is not None and len(recipe.class_weights) != output.shape[1]:
        raise ValueError(
            f"{data.name}: {counted(len(recipe.class_weights), 'class weight')} for a network of "
            f"{counted(output.shape[1], 'output')}; give each class one"
        )
    if recipe.loss is cross_entropy or recipe.hits is hits:
        for _, what, part in _parts(data):
            require_labels(np.asarray(part.y), output.shape[1], f"{data.name} {what} part")


def require_fitting_outputs(
    model: nn.Module,
    loss: PerExample,
    x: Any,
    y: Any,
    name: str,
    right: PerExample | None = None,
    image_size: ImageSize | None = None,
) -> Any:
    """Trace the network on inputs like `x`, and the loss on its output and targets like `y`.

    Args:
        model: the network.
        loss: per example.
        x: stored inputs (n, ...); only shape and type count.
        y: targets (n, ...), likewise.
        name: of the data, for the message.
        right: which outputs are right; None for regression.
        image_size: pixels a side that images are resized to; None where inputs are no images.

    Returns:
        Shape and type of the output.

    Raises:
        ValueError: the network refuses the inputs, or gives what does not fit the targets.
    """
    x, y = (jax.ShapeDtypeStruct((_ROWS, *a.shape[1:]), a.dtype) for a in (x, y))
    output = _output(model, image_size, x.shape, x.dtype)
    if not hasattr(output, "shape"):
        raise ValueError(f"{name}: the network gives a {type(output).__name__}, expected one array of outputs")
    classifies = loss is cross_entropy or right is hits
    if output.shape[:1] != (_ROWS,) or (classifies and len(output.shape) != 2):
        found = _rows_of(output) if output.shape[:1] == (_ROWS,) else f"{output.shape} for {_ROWS} examples"
        expected = "(n, classes); flatten or pool before its last layer" if classifies else "one row an example, (n, k)"
        raise ValueError(f"{name}: the network gives {found} for inputs {_rows_of(x)}, expected {expected}")
    gives = f"{name}: the network gives {_rows_of(output)} for inputs {_rows_of(x)}"
    _check_each(loss, "the loss", output, y, gives)
    if right is not None and right is not hits:
        _check_each(right, "hits", output, y, gives)
    return output


_ROWS = 2  # enough to tell a batch from a single example


def _output(model: nn.Module, image_size: ImageSize | None, shape: tuple[int, ...], dtype: Any) -> Any:
    """Shape and type of the network's output, or whatever else it gives."""
    prepare = as_stored if image_size is None else image_preparer(image_size)

    def output(stored: jax.Array) -> Any:
        x = prepare(stored).astype(jnp.float32)
        return model.init_with_output(jax.random.key(0), x, train=False)[0]

    key = model, image_size, shape, dtype
    traced = lambda: jax.eval_shape(output, jax.ShapeDtypeStruct(shape, dtype))  # noqa: E731
    return made_once(("output", key), lambda: remembered(place_of("output", key), traced), installed=True)


def require_labels(labels: np.ndarray, outputs: int, what: str) -> None:
    """Refuse a label that the network has no output for."""
    if int(labels.max()) < outputs:
        return
    outside = np.flatnonzero(labels >= outputs)
    raise DataError(
        f"{what}: label {labels[outside[0]]} at row {outside[0]} ({counted(outside.size, 'such row')}), expected 0 to "
        f"{outputs - 1}, as the network has {counted(outputs, 'output')}"
    )


def _check_each(function: Any, name: str, output: Any, y: Any, gives: str) -> None:
    try:
        value = jax.eval_shape(function, output, y)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{gives}, but targets are {_rows_of(y)}, which {name} refuses: {error}") from error
    if getattr(value, "shape", None) != (_ROWS,):
        found = _rows_of(value) if getattr(value, "shape", ()) else "one number"
        raise ValueError(f"{gives}, of which {name} makes {found}, expected one value an example, (n,)")


def _check_images(x: np.ndarray, what: str) -> None:
    expected = "uint8 (n, height, width, channels)"
    if x.dtype != np.uint8:
        hint = ", in 0..255: np.rint(255 * x).astype(np.uint8) for shares in [0, 1]"
        raise DataError(f"{what}: images are {x.dtype} {x.shape}, expected {expected}{hint}")
    if x.ndim != 4:
        hint = "x[..., None] adds the channel" if x.ndim == 3 else "add the axes that are missing"
        raise DataError(f"{what}: images have shape {x.shape}, expected {expected}; {hint}")
    if x.shape[1] in (1, 3) and x.shape[2] == x.shape[3] > 4:
        raise DataError(f"{what}: images have shape {x.shape}, channels first, expected {expected}; move axis 1 last")
    if 0 in x.shape[1:]:
        raise DataError(f"{what}: images have shape {x.shape}, without a pixel; expected {expected}")
