"""A `.npz` of arrays, in the layout of Keras' `mnist.npz` or of MedMNIST."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from jaxd2l.data.error import DataError
from jaxd2l.data.examples import Dataset
from jaxd2l.data.own.arrays import dataset_of
from jaxd2l.data.own.pictures import some
from jaxd2l.data.own.settings import Settings

_LAYOUTS = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("x", "y"),
)


def from_npz(path: Path, settings: Settings) -> Dataset:
    """Read `x_train`, `y_train`, `x_test`, `y_test`, or only `x` and `y` to draw both parts from.

    Args:
        path: written by `np.savez` or `np.savez_compressed`. An array `classes` names the labels.
        settings: see `open_data`.

    Raises:
        DataError: no such archive, damaged, arrays missing or of pickled objects, and what `from_arrays` refuses.
        OSError: the file cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(f"{path}: a single array; write x_train, y_train, x_test and y_test with np.savez")
            names = archive.files
            wanted = _layout(path, names)
            arrays = {name: archive[name] for name in (*wanted, *(["classes"] if "classes" in names else []))}
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f"{path}: a damaged .npz ({error}); copy or write it again") from None
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        what = "arrays of Python objects, which are never read" if "allow_pickle" in str(error) else str(error)
        raise DataError(f"{path}: {what}; write plain arrays with np.savez") from None
    if unread := [name for name in names if name not in arrays]:
        settings.on_note(f"{path.stem}: {some(unread)} is not read")
    classes = arrays.pop("classes", None)
    if classes is not None and (classes.ndim != 1 or classes.dtype.kind != "U"):
        raise DataError(f"{path}: classes is {classes.dtype} {classes.shape}, expected one text a class")
    return dataset_of(
        [(name, arrays[name]) for name in wanted], None if classes is None else classes.tolist(), path.stem, settings
    )


def _layout(path: Path, names: list[str]) -> tuple[str, ...]:
    """The names of the layout that the archive has most of."""
    layout = max(_LAYOUTS, key=lambda layout: len(set(layout) & set(names)))
    if missing := [name for name in layout if name not in names]:
        training = layout[:2]
        if missing == list(layout[2:]):
            return training
        raise DataError(
            f"{path}: without {some(missing)}; it has {some(names) or 'nothing'}, expected x_train, y_train, x_test "
            "and y_test, or x and y"
        )
    return layout
