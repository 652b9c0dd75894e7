"""Load a data set by name: from `$JAXD2L_DATA_DIR/<name>`, from the package, downloaded, or generated; verified."""

import difflib
import hashlib
import os
from importlib import resources

import jax
import numpy as np

from jaxd2l.data import cifar, idx
from jaxd2l.data.download import data_dir, fetch
from jaxd2l.data.error import DataError
from jaxd2l.data.examples import Dataset, Examples, check_examples
from jaxd2l.data.sources import DATASETS, File, Source


def _packed(name: str, source: Source, file: File) -> tuple[bytes, str]:
    """The bytes of one file and where they lie: in the data folder, in the package, or downloaded, in that order.

    The folder itself may hold the file without its `.gz` too, where the digest of what it holds is known.
    """
    folder = data_dir(name) if not source.embedded or "JAXD2L_DATA_DIR" in os.environ else None
    if folder is not None and folder.is_dir():
        for candidate in (file.name, *([file.name.removesuffix(".gz")] if file.unpacked else [])):
            if (folder / candidate).is_file():
                return (folder / candidate).read_bytes(), str(folder / candidate)
        if source.embedded:
            raise DataError(f"{folder}: {file.name} is missing; add it, or remove the folder to use the embedded copy")
    if folder is None or source.embedded:
        return resources.files("jaxd2l.data").joinpath(name, file.name).read_bytes(), f"{name}/{file.name}"
    path = fetch(source.url + file.name, file.sha256, file.size, folder)
    return path.read_bytes(), str(path)


def _verified(name: str, source: Source, file: File) -> tuple[bytes, str]:
    """Unpacked bytes and their SHA-256, which must be the published one (of the packed file if only that is known)."""
    packed, where = _packed(name, source, file)
    data = packed if file.name.endswith(".tar.gz") else idx.unpack(packed, where)
    digest = hashlib.sha256(data).hexdigest()
    if file.unpacked:
        found, expected, what = digest, file.unpacked, "unpacked content"
    else:
        found, expected, what = hashlib.sha256(packed).hexdigest(), file.sha256, "file"
    if found != expected:
        raise DataError(
            f"{where}: SHA-256 of the {what} is {found[:16]}..., expected {expected[:16]}...; "
            f"the file is damaged or another one: {'remove it and ' if source.url else ''}fetch it again"
        )
    return data, digest


def _idx_pair(files: list[bytes], names: list[str], part: str, num_classes: int) -> Examples:
    images = idx.parse(files[0], names[0], ndim=3)
    labels = idx.parse(files[1], names[1], ndim=1)
    return check_examples(Examples(images[..., np.newaxis], labels.astype(np.int32)), num_classes, part)


def load(name: str) -> Dataset:
    """Load a data set into host memory, in file order.

    Args:
        name: a key of `DATASETS`.

    Returns:
        For images uint8 NHWC and int32 labels: 60,000 + 10,000 of 28x28x1 (the MNIST family), 50,000 + 10,000 of
        32x32x3 (CIFAR-10), with the digest of each file's unpacked bytes. Generated sets are the same at each call.

    Raises:
        ValueError: unknown name.
        DataError: a file's content is not the published one.
        OSError: a file cannot be read or downloaded.
    """
    if name not in DATASETS:
        near = difflib.get_close_matches(name, DATASETS, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"unknown data set {name!r}, expected one of {', '.join(DATASETS)}{hint}")
    source = DATASETS[name]
    if source.generate is not None:
        train, test = source.generate(0, source.train), source.generate(1, source.test)
        return Dataset(name, train, test, source.classes)
    verified = [_verified(name, source, file) for file in source.files]
    sha256 = tuple(
        (file.name.removesuffix(".gz"), digest) for file, (_, digest) in zip(source.files, verified, strict=True)
    )
    files = [data for data, _ in verified]
    names = [file.name for file in source.files]
    if name == "cifar10":
        train, test = cifar.read(files[0], names[0])
    else:
        train = _idx_pair(files[:2], names[:2], f"{name} training part", len(source.classes))
        test = _idx_pair(files[2:], names[2:], f"{name} test part", len(source.classes))
    return Dataset(name, train, test, source.classes, sha256)


def shapes(name: str) -> Dataset:
    """The shapes and types of a data set, holding no data.

    Raises:
        ValueError: unknown name.
    """
    if name not in DATASETS:
        raise ValueError(f"the shape of {name!r} is not known; pass its data")
    source = DATASETS[name]
    target = jax.ShapeDtypeStruct((), np.int32) if source.classes else jax.ShapeDtypeStruct((1,), np.float32)
    dtype = np.uint8 if source.classes else np.float32

    def part(n: int) -> Examples:
        x = jax.ShapeDtypeStruct((n, *source.shape), dtype)
        return Examples(x, jax.ShapeDtypeStruct((n, *target.shape), target.dtype))  # type: ignore[arg-type]

    return Dataset(name, part(source.train), part(source.test), source.classes)
