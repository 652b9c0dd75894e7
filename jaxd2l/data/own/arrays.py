"""Arrays of pictures and labels to a data set, whatever integers, shapes and ranges they come in."""

from collections.abc import Sequence
from typing import Unpack

import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from jaxd2l.data.error import DataError
from jaxd2l.data.examples import Dataset, Examples
from jaxd2l.data.own.array_images import image_bytes
from jaxd2l.data.own.assemble import assemble
from jaxd2l.data.own.listing.pictures import check_class_name
from jaxd2l.data.own.settings import Options, Settings
from jaxd2l.wording import counted, some


def from_arrays(
    x_train: ArrayLike,
    y_train: ArrayLike,
    x_test: ArrayLike | None = None,
    y_test: ArrayLike | None = None,
    *,
    classes: Sequence[str] | None = None,
    name: str = "arrays",
    **options: Unpack[Options],
) -> Dataset:
    """Make a data set of arrays.

    Args:
        x_train: images (n, height, width), (n, height, width, 1) or (n, height, width, 3): whole numbers in 0..255
            of any type, booleans (255 is True), or floats that are all in [0, 1] or all whole numbers in 0..255.
        y_train: labels (n,) or (n, 1): whole numbers from 0 of any integer type, or text.
        x_test: likewise; None, with `y_test`, holds a share of each class out.
        y_test: likewise.
        classes: the name of each label; by default the text of the labels, sorted, or the numbers.
        name: what messages call the data.
        **options: see `open_data`.

    Returns:
        uint8 NHWC images and int32 labels in the order given.

    Raises:
        ValueError: an option out of range.
        DataError: naming the array, what it holds and what is expected.
    """
    settings = Settings(**options)
    if (x_test is None) != (y_test is None):
        raise DataError(f"{name}: one of x_test and y_test is missing; give both, or neither to have a part drawn")
    given = [("x_train", x_train), ("y_train", y_train), ("x_test", x_test), ("y_test", y_test)]
    if missing := [what for what, value in given[:2] if value is None]:
        raise DataError(f"{name}: {some(missing)} is missing; give pictures and their labels")
    return dataset_of([(what, value) for what, value in given if value is not None], classes, name, settings)


def dataset_of(
    named: Sequence[tuple[str, ArrayLike]], classes: Sequence[str] | None, name: str, settings: Settings
) -> Dataset:
    """`from_arrays` for `named` arrays in the order x, y or x, y, x, y."""
    arrays = [(what, _array(value, f"{name}: {what}")) for what, value in named]
    images = image_bytes(arrays[::2], name, settings)
    labels = [_labels(y, len(x), f"{name}: {what}") for (what, y), x in zip(arrays[1::2], images, strict=True)]
    labels, names = _numbered(labels, classes, name)
    parts = [Examples(x, y) for x, y in zip(images, labels, strict=True)]
    rows = [f"{part} row {i}" for part, x in zip(("training", "test"), images, strict=False) for i in range(len(x))]
    return assemble(name, parts, names, rows, settings)


def _array(value: ArrayLike, what: str) -> np.ndarray:
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise DataError(f"{what} has masked values; fill in or leave out what is missing")
    try:
        array = np.asarray(value)
        narrow = array.dtype.kind == "V" and jnp.issubdtype(array.dtype, jnp.floating)  # bfloat16, float8
        return array.astype(np.float32) if narrow else array
    except (ValueError, TypeError, RuntimeError) as error:
        raise DataError(f"{what} is no array ({error}); pictures must all have one shape") from None


def _labels(y: np.ndarray, n: int, what: str) -> np.ndarray:
    """(n,) integers or text."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        hint = "; y.argmax(1) turns one-hot rows into labels" if y.ndim == 2 and len(y) == n else ""
        raise DataError(f"{what} has shape {y.shape}, expected ({n},){hint}")
    if len(y) != n:
        raise DataError(
            f"{what} has {counted(len(y), 'label')} for {counted(n, 'picture')}; they must be equal in number"
        )
    if y.dtype.kind == "O" and all(isinstance(label, str) for label in y):
        return y.astype(str)
    if y.dtype.kind not in "biuU":
        hint = "; y.astype(int) where they are whole numbers" if y.dtype.kind == "f" else ""
        raise DataError(f"{what} is {y.dtype}, expected class labels of an integer type, or text{hint}")
    return y


def _numbered(
    labels: list[np.ndarray], classes: Sequence[str] | None, name: str
) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Labels as int32, and the name of each."""
    if len({y.dtype.kind == "U" for y in labels}) > 1:
        raise DataError(f"{name}: labels are text in one part and numbers in the other; make them alike")
    listed = classes.tolist() if isinstance(classes, np.ndarray) else classes
    if listed is not None and not (
        isinstance(listed, Sequence) and not isinstance(listed, str) and all(isinstance(one, str) for one in listed)
    ):
        # a set has no order of its own, and a mapping says otherwise which label is whose
        raise DataError(f"{name}: classes is {classes!r:.60}, expected a list of text, one for each label")
    classes = listed
    every = np.concatenate(labels)
    if every.dtype.kind == "U":
        names = sorted(set(every.tolist())) if classes is None else list(classes)
        if unknown := sorted(set(every.tolist()) - set(names)):
            raise DataError(f"{name}: labels {some(map(repr, unknown))} are not among the classes {some(names)}")
        place = {label: k for k, label in enumerate(names)}
        labels = [np.array([place[label] for label in y.tolist()], np.int32) for y in labels]
    else:
        lowest, highest = int(every.min()), int(every.max())
        count = highest + 1 if classes is None else len(classes)
        if lowest < 0 or highest >= count or highest >= np.iinfo(np.int32).max:
            last = "0 and up" if classes is None else f"0 to {count - 1}"
            raise DataError(f"{name}: labels run from {lowest} to {highest}, expected {last}")
        present = len(np.unique(every))
        if classes is None and 2 * present < count:
            raise DataError(
                f"{name}: {present} different labels run up to {highest}; number the classes from 0, as "
                "np.unique(y, return_inverse=True)[1] does"
            )
        names = [str(k) for k in range(count)] if classes is None else list(classes)
        labels = [y.astype(np.int32) for y in labels]
    for label in names:
        check_class_name(label, name)
    if len(set(names)) < len(names):
        raise DataError(f"{name}: two classes are called {max(names, key=names.count)}; give each a name of its own")
    return labels, tuple(names)
