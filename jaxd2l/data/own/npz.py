"""A `.npz` of arrays, in the layout of Keras' `mnist.npz` or of MedMNIST."""

import zipfile
from pathlib import Path

import numpy as np

from jaxd2l.data.error import DataError
from jaxd2l.data.examples import Dataset
from jaxd2l.data.own.arrays import dataset_of
from jaxd2l.data.own.listing.pictures import shown
from jaxd2l.data.own.settings import Settings
from jaxd2l.wording import some

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
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            file.seek(0)
            single = file.read(6) == b"\x93NUMPY"
            what = "a single array" if single else "not a .npz, or a damaged one"
            raise DataError(f"{path}: {what}; write x_train, y_train, x_test and y_test with np.savez")
        file.seek(0)
        try:
            with np.load(file, allow_pickle=False) as archive:
                names = archive.files
                wanted = _layout(path, names)
                sizes = {info.filename.removesuffix(".npy"): info.file_size for info in archive.zip.infolist()}
                _require_room(path, sum(sizes[name] for name in wanted))
                arrays = {name: archive[name] for name in (*wanted, *(["classes"] if "classes" in names else []))}
        except DataError:
            raise
        except MemoryError:
            raise DataError(f"{path}: the arrays do not fit into memory") from None
        except Exception as error:  # damage makes zipfile, zlib and NumPy raise nearly everything
            objects = "allow_pickle" in str(error)
            what = "arrays of Python objects, which are never read" if objects else f"damaged ({error})"
            raise DataError(f"{path}: {what}; write plain arrays with np.savez") from None
    if unread := [name for name in names if name not in arrays]:
        settings.on_note(f"{shown(path.stem)}: {some(unread)} is not read")
    classes = arrays.pop("classes", None)
    if classes is not None and not (
        isinstance(classes, np.ndarray) and classes.ndim == 1 and classes.dtype.kind == "U"
    ):
        raise DataError(f"{path}: classes is {classes!r:.60}, expected one text a class")
    return dataset_of(
        [(name, arrays[name]) for name in wanted],
        None if classes is None else classes.tolist(),
        shown(path.stem),
        settings,
    )


def _require_room(path: Path, size: int) -> None:
    """Refuse arrays beyond half of the memory that is left: parts are copies, and so is what a device holds."""
    from jaxd2l.machine.memory import free_host_bytes  # imports psutil

    free = free_host_bytes()
    if free is not None and size > free // 2:
        raise DataError(
            f"{path}: the arrays take {size / 1e9:,.1f} GB, more than half of the memory that is left "
            f"({free / 1e9:,.1f} GB); store fewer or smaller ones"
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
