"""What there is to read, before anything is read: one listing for a folder, a CSV and a prepared data set."""

import hashlib
import os
from collections.abc import Callable, Sequence
from typing import BinaryIO, NamedTuple

import numpy as np

from jaxd2l.data.error import DataError
from jaxd2l.wording import some

MISSING = "missing"


class Pictures(NamedTuple):
    """A list of pictures that can be opened, n rows.

    Attributes:
        name: of the data set.
        root: where it lies, for the cache.
        names: of each picture, different from each other, n.
        labels: index into `classes`, int32 (n,).
        in_test: whether a picture belongs to the test part, bool (n,); None where that is still to be drawn.
        classes: names, sorted.
        stamps: text that changes when a picture changes, n; `MISSING` where nothing can be asked.
        open: row -> its bytes as a file.
        notes: what a user should know about the listing, one line each.
    """

    name: str
    root: str
    names: tuple[str, ...]
    labels: np.ndarray
    in_test: np.ndarray | None
    classes: tuple[str, ...]
    stamps: tuple[str, ...]
    open: Callable[[int], BinaryIO]
    notes: tuple[str, ...] = ()


def rank(name: str, seed: object = "") -> bytes:
    """A place in a random order that depends on nothing but the name and the seed.

    No other picture has a say in it: one more file moves no other from one part to the other by chance, and the
    order in which a file system lists its files does not matter.
    """
    return hashlib.sha256(os.fsencode(f"{seed}/{name}")).digest()


def shown(name: str) -> str:
    """A name for a message: bytes that are no UTF-8 and signs that do not print appear as escapes."""
    text = name.encode("utf-8", "backslashreplace").decode()
    return text if text.isprintable() else ascii(text)[1:-1]


def check_class_name(name: str, where: str) -> None:
    """Refuse a class whose name cannot travel with the run.

    Raises:
        DataError: it is empty, no UTF-8, or has signs that do not print.
    """
    if not name or shown(name) != name:
        what = f"the class name {shown(name)!r} is not printable UTF-8" if name else "a class has no name"
        raise DataError(f"{where}: {what}; rename it")


def check_classes(
    classes: Sequence[str], labels: np.ndarray, in_test: np.ndarray | None, where: str, *, learned: bool = True
) -> list[str]:
    """Look at which classes have examples in which part; classes without any are nobody's fault here.

    Args:
        classes: names.
        labels: (n,), in [0, len(classes)).
        in_test: bool (n,), or None where that is still to be drawn.
        where: names the data in messages.
        learned: whether the classes are to be learned from these; a network that knows them is judged by any.

    Returns:
        Notes: the classes that the test part has no example of.

    Raises:
        DataError: no example, only one class, an empty part, a class in the test part that cannot be learned.
    """
    if not len(labels):
        raise DataError(f"{where}: no example; at least two classes with two each are needed")
    count = np.bincount(labels, minlength=len(classes))
    if learned and (count > 0).sum() < 2:
        raise DataError(f"{where}: the only class is {classes[labels[0]]}; at least two are needed to tell apart")
    if in_test is None:
        return []
    for part, empty in (("training", in_test.all()), ("test", not in_test.any())):
        if empty:
            raise DataError(f"{where}: no example in the {part} part; add some, or leave the parts to be drawn")
    test = np.bincount(labels[in_test], minlength=len(classes))
    if learned and (unknown := [name for name, n, t in zip(classes, count, test, strict=True) if t and n == t]):
        raise DataError(
            f"{where}: class {some(unknown)} has examples in the test part but none in the training part; "
            "call it the same in both, or remove it"
        )
    unjudged = [name for name, n, t in zip(classes, count, test, strict=True) if n and not t]
    return [f"no example of class {some(unjudged)} in the test part, so nothing judges it"] if unjudged else []
