"""Numbers that no network can compute with: NaN, infinity, variances below 0; how many and where."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

_IN_SHORT = {"NaN": "not finite", "infinite": "not finite", "negative": "negative variances"}
_LISTED = 8  # arrays; where more are wrong the first ones tell enough


def unsound(arrays: Mapping[str, np.ndarray], variances: Collection[str] = ()) -> str | None:
    """What is wrong with the numbers of weights, in a sentence without its full stop.

    Args:
        arrays: by name; those of integers are always sound.
        variances: names of running variances, of which a root is taken.

    Returns:
        None where all are finite and no variance is negative.
    """

    def masks(name: str, a: np.ndarray) -> dict[str, np.ndarray]:
        found = {"NaN": np.isnan(a), "infinite": np.isinf(a)}
        return found | {"negative": np.isfinite(a) & (a < 0)} if name in variances else found

    floats = {name: widened(a) for name, a in arrays.items() if jnp.issubdtype(a.dtype, jnp.inexact)}
    return _told(floats, ((name, masks(name, a)) for name, a in floats.items()))


def beyond(arrays: Mapping[str, np.ndarray], dtype: Any) -> str | None:
    """Which finite numbers of floating point would become infinite in `dtype`, likewise; None where none would."""
    largest = jnp.finfo(dtype).max
    what = f"beyond {float(largest):.2g} ({dtype})"
    with np.errstate(over="ignore"):
        lost = ((name, {what: np.isfinite(a) & ~np.isfinite(a.astype(dtype))}) for name, a in arrays.items())
        return _told(arrays, lost)


def widened(a: np.ndarray) -> np.ndarray:
    """An 8- or 16-bit float that NumPy does not have by itself as float32, which holds it exactly; others as given."""
    return a.astype(np.float32) if registered(a.dtype) else a


def registered(dtype: np.dtype) -> bool:
    """Whether NumPy knows the number format only from a package such as `ml_dtypes`."""
    return dtype.isbuiltin == 2


def _told(arrays: Mapping[str, np.ndarray], found: Iterable[tuple[str, dict[str, np.ndarray]]]) -> str | None:
    wrong, kinds, bad = [], dict[str, None](), 0
    for name, masks in found:
        here = np.any(list(masks.values()), axis=0)
        if not here.any():
            continue
        bad += int(np.count_nonzero(here))
        counted = {what: np.count_nonzero(mask) for what, mask in masks.items() if mask.any()}
        kinds |= dict.fromkeys(_IN_SHORT.get(what, "too large") for what in counted)
        counts = " and ".join(f"{count:,} {what}" for what, count in counted.items())
        first = tuple(int(i) for i in np.argwhere(here)[0])
        wrong.append(f"{name} has {counts} of {arrays[name].size:,}, the first at {first}")
    if not wrong:
        return None
    more = f"; and {len(wrong) - _LISTED} more arrays" if len(wrong) > _LISTED else ""
    total = sum(a.size for a in arrays.values())
    return f"{bad:,} of {total:,} numbers are {' or '.join(kinds)}: {'; '.join(wrong[:_LISTED])}{more}"
