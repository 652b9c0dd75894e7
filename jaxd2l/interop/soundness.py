"""Numbers that no network can compute with: NaN, infinity, and variances below 0, how many and where."""

from collections.abc import Collection, Mapping

import jax.numpy as jnp
import numpy as np

_LISTED = 8  # arrays; where more are wrong the first ones tell enough


def unsound(arrays: Mapping[str, np.ndarray], variances: Collection[str] = ()) -> str | None:
    """What is wrong with the numbers of weights, as the end of a sentence.

    Args:
        arrays: by name; those of integers are always sound.
        variances: names of running variances, of which a root is taken.

    Returns:
        None where all are finite and no variance is negative.
    """
    wrong, kinds, bad, total = [], set(), 0, 0
    for name, array in arrays.items():
        if not jnp.issubdtype(array.dtype, jnp.inexact):
            continue
        a = array if array.dtype.kind in "fc" else array.astype(np.float32)  # the 8- and 16-bit ones, exactly
        total += a.size
        masks = {"NaN": np.isnan(a), "infinite": np.isinf(a)}
        if name in variances:
            masks["negative"] = np.isfinite(a) & (a < 0)
        here = np.any(list(masks.values()), axis=0)
        if not here.any():
            continue
        kinds |= {"negative variances" if what == "negative" else "not finite" for what in masks if masks[what].any()}
        bad += int(np.count_nonzero(here))
        told = " and ".join(f"{np.count_nonzero(mask):,} {what}" for what, mask in masks.items() if mask.any())
        first = tuple(int(i) for i in np.argwhere(here)[0])
        wrong.append(f"{name} has {told} of {a.size:,}, the first at {first}")
    if not wrong:
        return None
    more = f"; and {len(wrong) - _LISTED} more arrays" if len(wrong) > _LISTED else ""
    listed = "; ".join(wrong[:_LISTED])
    return f"{bad:,} of {total:,} numbers are {' or '.join(sorted(kinds, reverse=True))}: {listed}{more}"
