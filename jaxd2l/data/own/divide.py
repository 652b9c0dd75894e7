"""Which rows are held out where nobody has said: a share of each class, drawn by seed and name."""

from collections.abc import Sequence

import numpy as np

from jaxd2l.data.error import DataError
from jaxd2l.data.own.listing.pictures import rank
from jaxd2l.wording import some


def draw_test_rows(
    labels: np.ndarray,
    names: Sequence[str],
    classes: Sequence[str],
    fraction: float,
    seed: int,
    same: np.ndarray,
    where: str,
) -> np.ndarray:
    """Draw a share of each class for the test part, at least one row of each class in each part.

    Args:
        labels: (n,) indices into `classes`.
        names: of the rows, different from each other; with the seed they decide the draw, the order does not.
        classes: at least two.
        fraction: held out of each class, rounded to whole rows.
        seed: another seed, another draw.
        same: (n,) integers, equal for rows that must stay on one side because they are the same picture. Where that
            does not come out even, fewer are held out.

        where: names the data in messages.

    Returns:
        bool (n,), True in the test part.

    Raises:
        DataError: a class with fewer than two different pictures.
    """
    places = [rank(name, seed) for name in names]
    groups: dict[int, list[int]] = {}
    for row in sorted(range(len(labels)), key=places.__getitem__):
        groups.setdefault(int(same[row]), []).append(row)
    in_test = np.zeros(len(labels), bool)
    for label in range(len(classes)):
        own = [rows for rows in groups.values() if labels[rows[0]] == label]
        n = sum(map(len, own))
        wanted, taken, left = max(1, min(round(fraction * n), n - 1)), 0, len(own)
        for rows in own:
            if left > 1 and taken + len(rows) <= wanted:
                in_test[rows] = True
                taken, left = taken + len(rows), left - 1
        if not taken and len(own) > 1:
            in_test[min(own, key=len)] = True
    k = len(classes)
    held, kept = np.bincount(labels[in_test], minlength=k), np.bincount(labels[~in_test], minlength=k)
    if lacking := [name for name, a, b in zip(classes, held, kept, strict=True) if not (a and b)]:
        raise DataError(
            f"{where}: fewer than two different examples of class {some(lacking)}, one for each part; add some, or "
            "give a training and a test part yourself"
        )
    return in_test
