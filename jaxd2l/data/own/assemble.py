"""Rows to a data set: the parts drawn where nobody gave them, looked through for leaks, with digests."""

import hashlib
from collections.abc import Sequence

import numpy as np

from jaxd2l.data.division.equal import row_digests, same_picture
from jaxd2l.data.examples import Dataset, Examples, check_examples
from jaxd2l.data.own.divide import draw_test_rows
from jaxd2l.data.own.equal import equal_pictures
from jaxd2l.data.own.listing.pictures import check_classes
from jaxd2l.data.own.settings import Settings
from jaxd2l.wording import some


def assemble(
    name: str,
    parts: Sequence[Examples],
    classes: tuple[str, ...],
    row_names: Sequence[str],
    settings: Settings,
    digests: np.ndarray | None = None,
) -> Dataset:
    """Make a data set of images.

    Args:
        name: what messages call it.
        parts: training and test part, or one part to draw both from.
        classes: of the labels; those without an example are noted.
        row_names: of all rows, in the order of the parts.
        settings: how to draw, and who hears notes.
        digests: of all rows, where they are known.

    Returns:
        The data set. Its digests are over the pixels' digests and the labels of each part: they change when any
        picture, label, split or setting does.

    Raises:
        DataError: see `check_classes` and `draw_test_rows`.
    """
    labels = np.concatenate([part.y for part in parts])
    digests = np.concatenate([row_digests(part.x) for part in parts]) if digests is None else digests
    present, dense = np.unique(labels, return_inverse=True)
    present_names = [classes[label] for label in present]
    in_test = np.repeat([False, True], [len(part.y) for part in parts]) if len(parts) == 2 else None
    notes = check_classes(present_names, dense, in_test, name, learned=settings.hold_out)
    if absent := [classes[label] for label in np.setdiff1d(np.arange(len(classes)), present)]:
        notes.append(f"no example of class {some(absent)}")
    same = same_picture(digests)
    if in_test is not None:
        settings.note_test_part(name)
    if in_test is None and not settings.hold_out:
        whole = check_examples(parts[0], len(classes), name)
        return Dataset(name, whole, whole, classes, digests_of((whole, whole), classes, (digests, digests)))
    if in_test is None:
        in_test = draw_test_rows(dense, row_names, present_names, settings.test_fraction, settings.seed, same, name)
        parts = [Examples(parts[0].x[rows], parts[0].y[rows]) for rows in (~in_test, in_test)]
    for note in (*notes, *equal_pictures(same, labels, in_test, row_names)):
        settings.on_note(f"{name}: {note}")
    train, test = (
        check_examples(part, len(classes), f"{name} {what} part") for what, part in zip(_PARTS, parts, strict=True)
    )
    pixels = [digests[rows] for rows in (~in_test, in_test)]
    return Dataset(name, train, test, classes, digests_of((train, test), classes, pixels))


def digests_of(
    parts: Sequence[Examples], classes: tuple[str, ...], rows: Sequence[np.ndarray] | None = None
) -> tuple[tuple[str, str], ...]:
    """Digests as `Dataset.sha256` holds them: inputs and targets of each part, and the classes' names.

    Args:
        parts: training and test part.
        classes: may be empty.
        rows: a digest of each row of each part, where the inputs are not to be read again.
    """
    digests = []
    for i, (what, part) in enumerate(zip(_PARTS, parts, strict=True)):
        inputs = part.x if rows is None else rows[i]
        digests.append((f"{what} inputs", _digest(inputs, part.x.shape)))
        digests.append((f"{what} targets", _digest(part.y, part.y.shape)))
    return (*digests, ("classes", hashlib.sha256("\0".join(classes).encode()).hexdigest()))


_PARTS = ("training", "test")


def _digest(array: np.ndarray, shape: tuple[int, ...]) -> str:
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    return hashlib.sha256(f"{array.dtype.str[1:]} {shape} ".encode() + little.tobytes()).hexdigest()
