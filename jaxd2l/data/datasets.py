"""The image data sets by name: where each file comes from, its digest, and what the labels mean.

Fashion-MNIST (Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747; MIT licence) is part of the
package. MNIST (LeCun et al. 1998), Kuzushiji-MNIST (Clanuwat et al. 2018, arXiv:1812.01718; CC
BY-SA 4.0) and CIFAR-10 (Krizhevsky 2009) are looked for in `$JAXD2L_DATA_DIR/<name>` and else
downloaded.
"""

import difflib
import hashlib
import os
from importlib import resources
from typing import NamedTuple

import numpy as np

from jaxd2l.data import cifar, idx
from jaxd2l.data.download import data_dir, fetch
from jaxd2l.data.error import DataError
from jaxd2l.data.examples import Dataset, Examples, check_examples


class _File(NamedTuple):
    """One published file; `unpacked` is the digest of what it holds, where that has been published."""

    name: str
    sha256: str = ""
    size: int = 0
    unpacked: str = ""


class _Source(NamedTuple):
    url: str
    files: tuple[_File, ...]
    classes: tuple[str, ...]
    embedded: bool = False


_DIGITS = tuple("0123456789")

SOURCES: dict[str, _Source] = {
    "fashion_mnist": _Source(
        url="",
        files=(
            _File(
                "train-images-idx3-ubyte.gz",
                unpacked="c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            ),
            _File(
                "train-labels-idx1-ubyte.gz",
                unpacked="bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            ),
            _File(
                "t10k-images-idx3-ubyte.gz", unpacked="5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
            ),
            _File(
                "t10k-labels-idx1-ubyte.gz", unpacked="0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
            ),
        ),
        classes=(
            *("t-shirt", "trouser", "pullover", "dress", "coat"),
            *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
        ),
        embedded=True,
    ),
    "mnist": _Source(
        url="https://storage.googleapis.com/cvdf-datasets/mnist/",
        files=(
            _File(
                "train-images-idx3-ubyte.gz",
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                9912422,
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            ),
            _File(
                "train-labels-idx1-ubyte.gz",
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                28881,
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            ),
            _File(
                "t10k-images-idx3-ubyte.gz",
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                1648877,
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            ),
            _File(
                "t10k-labels-idx1-ubyte.gz",
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                4542,
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
        ),
        classes=_DIGITS,
    ),
    "kmnist": _Source(
        url="http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        files=(
            _File(
                "train-images-idx3-ubyte.gz",
                "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
                18165135,
            ),
            _File(
                "train-labels-idx1-ubyte.gz",
                "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
                29497,
            ),
            _File(
                "t10k-images-idx3-ubyte.gz",
                "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
                3041136,
            ),
            _File(
                "t10k-labels-idx1-ubyte.gz",
                "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
                5120,
            ),
        ),
        classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    ),
    "cifar10": _Source(
        url="https://www.cs.toronto.edu/~kriz/",
        files=(
            _File(
                "cifar-10-binary.tar.gz",
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                170052171,
            ),
        ),
        classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    ),
}


def _packed(name: str, source: _Source, file: _File) -> bytes:
    """The bytes of one file: from the data folder, from the package, or downloaded, in that order.

    The folder itself may hold the file with or without its `.gz`.
    """
    folder = data_dir(name)
    explicit = folder.is_dir() and (not source.embedded or "JAXD2L_DATA_DIR" in os.environ)
    if explicit:
        for candidate in (folder / file.name, folder / file.name.removesuffix(".gz")):
            if candidate.is_file():
                return candidate.read_bytes()
        if source.embedded:
            raise DataError(f"{folder}: {file.name} is missing; add it, or remove the folder to use the embedded copy")
    if source.embedded:
        return resources.files("jaxd2l.data").joinpath(name, file.name).read_bytes()
    return fetch(source.url + file.name, file.sha256, file.size, folder).read_bytes()


def _verified(name: str, source: _Source, file: _File) -> tuple[bytes, str]:
    """Unpacked bytes and their SHA-256, which must be the published one (of the packed file if only that is known)."""
    packed = _packed(name, source, file)
    data = packed if file.name.endswith(".tar.gz") else idx.unpack(packed, file.name)
    digest = hashlib.sha256(data).hexdigest()
    if file.unpacked:
        found, expected, what = digest, file.unpacked, "unpacked content"
    else:
        found, expected, what = hashlib.sha256(packed).hexdigest(), file.sha256, "file"
    if found != expected:
        raise DataError(
            f"{name}/{file.name}: SHA-256 of the {what} is {found[:16]}..., expected {expected[:16]}...; "
            "the file is damaged or another one: fetch it again"
        )
    return data, digest


def _idx_pair(files: list[bytes], names: list[str], part: str, num_classes: int) -> Examples:
    images = idx.parse(files[0], names[0], ndim=3)
    labels = idx.parse(files[1], names[1], ndim=1)
    return check_examples(Examples(images[..., np.newaxis], labels.astype(np.int32)), num_classes, part)


def load(name: str) -> Dataset:
    """Load an image data set into host memory, in file order.

    Args:
        name: a key of `SOURCES`: fashion_mnist, mnist, kmnist or cifar10.

    Returns:
        uint8 NHWC images and int32 labels: 60,000 + 10,000 of 28x28x1 (the MNIST family),
        50,000 + 10,000 of 32x32x3 (CIFAR-10), with the digest of each file's unpacked bytes.

    Raises:
        ValueError: unknown name.
        DataError: a file's content is not the published one.
        OSError: a file cannot be read or downloaded.
    """
    if name not in SOURCES:
        near = difflib.get_close_matches(name, SOURCES, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"unknown data set {name!r}, expected one of {', '.join(SOURCES)}{hint}")
    source = SOURCES[name]
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
