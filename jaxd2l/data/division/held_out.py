"""A validation part, held out of the training rows by a seed."""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxd2l.data.division.equal import row_digests, same_picture
from jaxd2l.data.examples import LARGEST_SEED, Dataset, Examples, check_examples
from jaxd2l.data.streaming.on_disk import OnDisk, chosen_rows


def hold_out(
    data: Dataset,
    fraction: float,
    seed: int = 0,
    *,
    together: bool = True,
    on_note: Callable[[str], None] | None = None,
) -> Dataset:
    """Move a share of the training rows to a validation part; of labels the same share of each class.

    Args:
        data: without a validation part, on the host.
        fraction: of the training rows, between 0 and 1; of each class it is rounded to whole rows, at least one in each
            part. A class of one row stays in training.
        seed: decides which rows, and nothing else: a sweep over the seeds of runs shares its data.
        together: keep pictures that are equal to the byte on one side. Where none would be parted the rows are those
            of False, which runs of earlier versions were divided by.
        on_note: called with a line where equal pictures decide the rows; by default a `DataWarning`.

    Returns:
        The same data with both parts in file order.

    Raises:
        ValueError: a fraction or seed out of range, a validation part that is there, or too few rows to share.
        DataError: the training part is none; see `check_examples`.
    """
    given: Any = fraction
    fraction = float(given) if isinstance(given, np.floating) else given
    if isinstance(fraction, bool) or not isinstance(fraction, int | float) or not 0 < fraction < 1:
        raise ValueError(f"the validation fraction must be between 0 and 1, got {fraction!r}")
    check_split_seed(seed)
    train = undivided(data)
    y = np.asarray(train.y)
    chosen, decided = held_out_rows(y, fraction, seed), False
    if together and (same := same_rows(train)) is not None and _parted(chosen, same):
        chosen, decided = held_out_rows(y, fraction, seed, same), True
        tell_equal(data.name, same, on_note)
    if not chosen.any():
        raise ValueError(f"{data.name}: no class has two training rows, one for each part; give more data")
    kept, held = (Examples(*(chosen_rows(a, rows) for a in train)) for rows in (~chosen, chosen))
    held_out = (float(fraction), int(seed))
    return data._replace(train=kept, validation=held, held_out=held_out, pictures_together=decided)


def check_split_seed(seed: int) -> None:
    """Refuse what is no seed of a division.

    Raises:
        ValueError: it is no integer from 0 to `LARGEST_SEED`.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"the seed of a split must be an integer from 0 to {LARGEST_SEED}, got {seed!r}")


def undivided(data: Dataset) -> Examples:
    """The training rows, checked, of data without a validation part.

    Raises:
        ValueError: it has one.
        DataError: see `check_examples`.
    """
    if data.validation is not None:
        raise ValueError(f"{data.name} has a validation part of its own; leave the validation fraction out")
    return check_examples(data.train, len(data.classes) or None, f"{data.name} training part")


def classes_of(y: np.ndarray) -> np.ndarray:
    """What rows are divided alike of: their labels (n,), or one class for targets of other kinds."""
    return y if y.ndim == 1 and np.issubdtype(y.dtype, np.integer) else np.zeros(len(y), int)


def same_rows(train: Examples) -> np.ndarray | None:
    """Which pictures are equal: integers (n,), see `same_picture`; None where no two are, or the rows are none."""
    x: Any = train.x
    x = x if isinstance(x, OnDisk) else np.asarray(x)
    if x.dtype != np.uint8 or x.ndim != 4:
        return None
    digests = x.digests if isinstance(x, OnDisk) else row_digests(x)
    same = same_picture(digests)  # numbered from 0 without a gap
    return same if same.max(initial=-1) + 1 < len(same) else None


def tell_equal(name: str, same: np.ndarray, on_note: Callable[[str], None] | None) -> None:
    """Say that equal pictures decide how rows are divided."""
    if on_note is None:
        from jaxd2l.data.own.settings import warn  # which needs the examples

        on_note = warn
    repeated = int((np.bincount(same)[same] > 1).sum())
    on_note(f"{name}: {repeated:,} training pictures are equal to another one; equal ones stay in one part")


def held_out_rows(y: np.ndarray, fraction: float, seed: int, same: np.ndarray | None = None) -> np.ndarray:
    """Which rows `hold_out` takes for targets (n, ...): bool (n,).

    Args:
        y: targets.
        fraction: see `hold_out`.
        seed: likewise.
        same: integers (n,), equal for rows that stay on one side; where that does not come out even, fewer are held
            out. None parts any.
    """
    labels = np.unique(classes_of(y), return_inverse=True)[1]
    draw, counts = np.random.default_rng(seed), np.bincount(labels)
    orders = [draw.permutation(np.flatnonzero(labels == label)) for label in range(len(counts))]
    wanted = [min(max(1, round(fraction * n)), n - 1) for n in counts.tolist()]
    if same is not None:
        return _whole_groups(labels, orders, wanted, same)
    chosen = np.zeros(len(y), bool)
    for order, count in zip(orders, wanted, strict=True):
        chosen[order[:count]] = True
    return chosen


def _whole_groups(labels: np.ndarray, orders: list[np.ndarray], wanted: list[int], same: np.ndarray) -> np.ndarray:
    """Hold out up to `wanted` rows of each class in its order, all that are the same or none, and never a whole class.

    Of a class whose smallest group is larger than that, the smallest is held out.
    """
    groups, left = groups_of(same), np.bincount(labels)  # left: rows of each class that train
    chosen, decided = np.zeros(len(labels), bool), np.zeros(len(labels), bool)
    for label, (order, count) in enumerate(zip(orders, wanted, strict=True)):
        least = len(order) - count
        own = [groups[number] for number in dict.fromkeys(same[order[~decided[order]]].tolist())]
        for rows in own:
            after = left - np.bincount(labels[rows], minlength=len(left))
            if after[label] >= least and after[labels[rows]].min() > 0:
                chosen[rows], left = True, after
        for rows in sorted(own, key=len) if left[label] == len(order) else ():
            after = left - np.bincount(labels[rows], minlength=len(left))
            if after[labels[rows]].min() > 0:
                chosen[rows], left = True, after
                break
        for rows in own:
            decided[rows] = True
    return chosen


def groups_of(same: np.ndarray) -> list[np.ndarray]:
    """The rows of each number of `same`."""
    order = np.argsort(same, kind="stable")
    return np.split(order, np.cumsum(np.bincount(same))[:-1])


def _parted(chosen: np.ndarray, same: np.ndarray) -> bool:
    """Whether rows that are the same lie on both sides."""
    sides = np.zeros((int(same.max()) + 1, 2), bool)
    sides[same, chosen.astype(int)] = True
    return bool(sides.all(axis=1).any())
