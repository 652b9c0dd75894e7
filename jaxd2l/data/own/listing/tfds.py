"""A data set that tensorflow-datasets prepared as ArrayRecord, read without TensorFlow."""

import io
import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from jaxd2l.data.error import DataError
from jaxd2l.data.own.listing.folder import stamp
from jaxd2l.data.own.listing.pictures import Pictures, check_class_name
from jaxd2l.wording import counted, some

_TEST = ("test", "validation")  # the first there is


def list_tfds(folder: Path) -> Pictures:
    """List the pictures of a prepared data set.

    Args:
        folder: the one that holds `dataset_info.json`, written with `file_format="array_record"`.

    Returns:
        The pictures of its splits `train` and `test` (or `validation`), or of `train` alone to draw both from.

    Raises:
        DataError: not such a folder, another file format, no image or no class label among the features, no `train`.
    """
    import tensorflow_datasets as tfds

    if not (folder / "dataset_info.json").is_file():
        versions = sorted(str(path.parent) for path in folder.glob("**/dataset_info.json"))
        hint = f"; try tfds:{versions[-1]}" if versions else "; prepare it with tensorflow-datasets first"
        raise DataError(f"{folder}: no dataset_info.json in it{hint}")
    try:
        builder = tfds.builder_from_directory(folder)
        features = dict(sorted(builder.info.features.items()))
        splits = list(builder.info.splits)
    except Exception as error:
        raise DataError(f"{folder}: not a prepared data set ({_first_line(error)}); prepare it again") from error
    image = _only(folder, features, tfds.features.Image, "image")
    label = _only(folder, features, tfds.features.ClassLabel, "class label")
    judge = next((name for name in _TEST if name in splits), None)
    if "train" not in splits:
        raise DataError(f"{folder}: no split train, only {some(splits)}")
    parts = ["train", *([judge] if judge else [])]
    try:
        sources = _sources(builder, parts, image)
        labels = [np.array([row[label] for row in source], np.int32) for source in sources]
    except Exception as error:
        raise DataError(
            f"{folder}: not ArrayRecord ({_first_line(error)}); prepare it with file_format='array_record'"
        ) from error
    classes = tuple(features[label].names)
    for name in classes:
        check_class_name(name, str(folder))
    if negative := sum(int((part < 0).sum()) for part in labels):
        raise DataError(f"{folder}: {counted(negative, 'picture')} without a label (-1); prepare it with labels")
    largest = max((int(part.max()) for part in labels if part.size), default=-1)
    if largest >= len(classes):
        raise DataError(f"{folder}: label {largest} has no name, only {len(classes)} are kept; prepare it again")
    unread = [name for name in splits if name not in parts]
    files = sorted(path for path in folder.iterdir() if path.is_file())
    state = "\n".join(f"{os.fspath(path)} {stamp(path)}" for path in files)
    records = _Records(folder.absolute(), parts, image)
    records.sources = sources
    n = sum(map(len, sources))
    return Pictures(
        name=builder.name,
        root=str(folder.resolve()),
        names=tuple(f"{part} {row}" for part, source in zip(parts, sources, strict=True) for row in range(len(source))),
        labels=np.concatenate(labels),
        in_test=np.repeat([False, True], [len(part) for part in labels]) if judge else None,
        classes=classes,
        stamps=(state,) * n,
        open=records,
        notes=(f"split {some(unread)} is not read",) if unread else (),
    )


class _Records:
    """Row of all parts -> the bytes of its image; in another process the files are opened again."""

    def __init__(self, folder: Path, parts: list[str], image: str) -> None:
        self._folder, self._parts, self._image = folder, parts, image
        self.sources: list[Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "sources": None}

    def __call__(self, row: int) -> BinaryIO:
        if self.sources is None:
            import tensorflow_datasets as tfds

            self.sources = _sources(tfds.builder_from_directory(self._folder), self._parts, self._image)
        for source in self.sources:
            if row < len(source):
                return _bytes(source, row, self._image)
            row -= len(source)
        raise IndexError(row)


def _sources(builder: Any, parts: list[str], image: str) -> list[Any]:
    import tensorflow_datasets as tfds

    decoders = {image: tfds.decode.SkipDecoding()}
    return [builder.as_data_source(split=part, decoders=decoders) for part in parts]


def _bytes(source: Any, row: int, image: str) -> BinaryIO:
    try:
        return io.BytesIO(source[row][image])
    except Exception as error:  # of a damaged record
        raise OSError(_first_line(error)) from error


def _only(folder: Path, features: dict[str, Any], kind: type, what: str) -> str:
    found = [name for name, feature in features.items() if type(feature) is kind]
    if len(found) != 1:
        names = some(found) or "none"
        raise DataError(f"{folder}: expected one {what} among the features {some(features)}, got {names}")
    return found[0]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
