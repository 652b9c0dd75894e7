"""What data has to be before a run starts: checked once, on the host, before anything is traced.

Inside a compiled loop nothing can be raised: a label out of range, a NaN pixel or an axis in the wrong
place would train on in silence.
"""

import jax
import numpy as np

from jaxd2l.data import DataError, Dataset, Examples, check_examples
from jaxd2l.train.recipe import Recipe


def check_dataset(recipe: Recipe, data: Dataset) -> Dataset:
    """Refuse what `recipe` cannot be trained on.

    Args:
        recipe: says whether inputs are images and targets are labels.
        data: arrays on the host or the device.

    Returns:
        The same data, with 64-bit labels as int32: labels are small numbers, so nothing is lost.

    Raises:
        DataError: see `check_examples`; images that are not uint8 (n, height, width, channels); 64-bit
            numbers that JAX would narrow; a test part of another shape than the training part.
    """
    classes = _num_classes(recipe, data) if recipe.hits is not None else None
    parts = [_check_part(recipe, getattr(data, part), classes, f"{data.name} {what} part") for part, what in _PARTS]
    train, test = parts
    for what, a, b in (("inputs", train.x, test.x), ("targets", train.y, test.y)):
        if a.shape[1:] != b.shape[1:] or a.dtype != b.dtype:
            raise DataError(
                f"{data.name}: training {what} are {a.dtype} (n, {_sizes(a)}) but test {what} {b.dtype} "
                f"(n, {_sizes(b)}); prepare both alike"
            )
    return data._replace(train=train, test=test)


_PARTS = (("train", "training"), ("test", "test"))


def _num_classes(recipe: Recipe, data: Dataset) -> int:
    """What the network tells apart, where it says so; else what the data names."""
    for field in ("num_classes", "num_outputs"):
        if isinstance(outputs := getattr(recipe.model, field, None), int):
            return outputs
    return len(data.classes) or np.iinfo(np.int32).max


def _sizes(array: np.ndarray) -> str:
    return ", ".join(map(str, array.shape[1:]))


def _check_part(recipe: Recipe, part: Examples, classes: int | None, what: str) -> Examples:
    if recipe.image_size is not None:
        _check_images(part.x, what)
    x = np.asarray(part.x) if np.issubdtype(part.x.dtype, np.floating) else part.x  # bytes stay where they are
    check_examples(Examples(x, np.asarray(part.y)), classes, what)
    if part.x.dtype == np.float64 and not jax.config.jax_enable_x64:
        raise DataError(f"{what}: inputs are float64, which JAX would narrow in silence; use x.astype(np.float32)")
    if classes is None:
        if part.y.dtype == np.float64 and not jax.config.jax_enable_x64:
            raise DataError(f"{what}: targets are float64, which JAX would narrow in silence; use y.astype(np.float32)")
        return part
    return part if part.y.dtype.itemsize <= 4 else Examples(part.x, part.y.astype(np.int32))


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
