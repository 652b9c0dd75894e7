"""What is said of pictures that occur more than once."""

from collections.abc import Sequence

import numpy as np

from jaxd2l.data.own.listing.pictures import shown


def equal_pictures(same: np.ndarray, labels: np.ndarray, in_test: np.ndarray, names: Sequence[str]) -> list[str]:
    """Notes on pictures that make a result look better than it is, or contradict each other.

    Args:
        same: from `same_picture`.
        labels: (n,).
        in_test: bool (n,).
        names: of the rows.

    Returns:
        At most one line for test pictures that the training part holds too, and one for pictures under two labels.
    """
    notes = []
    leaked = np.flatnonzero(in_test & np.isin(same, same[~in_test]))
    if leaked.size:
        first = leaked[0]
        twin = np.flatnonzero(~in_test & (same == same[first]))[0]
        notes.append(
            f"{leaked.size:,} of {int(in_test.sum()):,} test pictures are in the training part too, such as "
            f"{shown(names[first])} = {shown(names[twin])}: the test accuracy is too high by them"
        )
    order = np.lexsort((labels, same))
    two = np.flatnonzero((np.diff(same[order]) == 0) & (np.diff(labels[order]) != 0))
    if two.size:
        a, b = order[two[0]], order[two[0] + 1]
        count = len(set(same[order[two]].tolist()))
        pictures = "1 picture stands" if count == 1 else f"{count:,} pictures stand"
        notes.append(f"{pictures} under two classes, such as {shown(names[a])} = {shown(names[b])}")
    return notes
