"""K folds of the training rows, of each class alike: every row validates once and trains in the others."""

from collections.abc import Callable

import numpy as np

from jaxd2l.data.division.held_out import check_split_seed, classes_of, groups_of, same_rows, tell_equal, undivided
from jaxd2l.data.error import DataError
from jaxd2l.data.examples import Dataset, Examples
from jaxd2l.wording import counted


def deal_out(data: Dataset, k: int, seed: int = 0, *, on_note: Callable[[str], None] | None = None) -> np.ndarray:
    """Which fold validates each training row: int32 (n,), 0 to k - 1.

    Args:
        data: without a validation part, on the host.
        k: at least 2.
        seed: decides which rows, as that of `hold_out`.
        on_note: called with a line where equal pictures decide; by default a `DataWarning`.

    Returns:
        Of each class every fold has equally many, up to one row, and folds differ by at most one row; pictures that are
        equal to the byte are in one fold, where that does not come out even.

    Raises:
        ValueError: k or the seed out of range, or a validation part that is there.
        DataError: the training part is none, a class has fewer than two different rows, or there are fewer different
            rows than folds.
    """
    train = undivided(data)
    same = same_rows(train)
    if same is not None:
        tell_equal(data.name, same, on_note)
    return fold_rows_out(np.asarray(train.y), k, seed, same, data.name, data.classes)


def fold_rows_out(
    y: np.ndarray, k: int, seed: int, same: np.ndarray | None = None, name: str = "data", classes: tuple[str, ...] = ()
) -> np.ndarray:
    """`deal_out` for targets (n, ...)."""
    check_split_seed(seed)
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 2 <= k <= len(y):
        raise ValueError(f"the number of folds must be between 2 and the {counted(len(y), 'training row')}, got {k!r}")
    labels, draw = classes_of(y), np.random.default_rng(seed)
    groups = [np.array([row]) for row in range(len(y))] if same is None else groups_of(same)
    group_of = np.arange(len(y)) if same is None else same
    fold, place = np.full(len(y), -1, np.int32), 0
    for label in np.unique(labels):
        for row in draw.permutation(np.flatnonzero(labels == label)):
            if fold[row] < 0:
                fold[groups[group_of[row]]] = place % k
                place += 1
        if len(np.unique(fold[labels == label])) < 2:
            shown = classes[label] if classes else str(label)
            raise DataError(f"{name}: fewer than two different examples of class {shown}; one fold would train on none")
    if place < k:
        raise DataError(f"{name}: {counted(place, 'different example')} for {k} folds; give as many folds at most")
    return fold


def fold_of(data: Dataset, fold: np.ndarray, number: int) -> Dataset:
    """The data with the rows of one fold as validation part, and all others to train on.

    Args:
        data: without a validation part.
        fold: (n,) of `deal_out`.
        number: of the fold.

    Raises:
        ValueError: another number of rows, or no row of such a fold.
    """
    held = np.asarray(fold) == number
    if held.shape != (len(data.train.x),) or not held.any() or held.all():
        raise ValueError(
            f"fold {number!r} has {counted(int(np.sum(held)), 'row')} of {counted(np.size(fold), 'row')}, expected "
            f"some but not all of the {counted(len(data.train.x), 'training row')} of {data.name}; see deal_out"
        )
    rest, own = (Examples(*(np.asarray(a)[rows] for a in data.train)) for rows in (~held, held))
    return data._replace(train=rest, validation=own)
