"""Numbers as they come: NumPy arrays of any type and layout, lists and JAX arrays, as arrays of JAX or refused.

JAX takes 64-bit numbers for 32-bit ones and wraps or overflows in silence. Here float64 is rounded to float32 (unless
64-bit numbers are switched on), and what rounding cannot do is refused by name. And weights that no network can compute
with: NaN, infinity, variances below 0; how many and where.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.wording import counted

_OUTSIDE = np.iinfo(np.int32).max  # stands for a label above it, which is no class either
_IN_SHORT = {"NaN": "not finite", "infinite": "not finite", "negative": "negative variances"}
_LISTED = 8  # arrays; where more are wrong the first ones tell enough


def numbers(value: Any, what: str) -> jax.Array:
    """An array of real numbers.

    Args:
        value: an array of JAX, traced or not, or what NumPy makes an array of real numbers of.
        what: names it in the message.

    Returns:
        The array; float64 rounded to float32 and 64-bit integers as int32 where 64-bit numbers are not switched on.

    Raises:
        ValueError: no real numbers, masked ones, or a finite one that does not fit.
    """
    if isinstance(value, jax.Array):
        return _require_real(value, what)
    array = _require_real(_from_host(value, what), what)
    if jnp.issubdtype(array.dtype, jnp.floating):
        dtype = _widest(np.float64, np.float32) if array.dtype.itemsize > 4 else array.dtype
        dtype = np.dtype(np.float32) if array.dtype.itemsize == 1 else dtype  # XLA computes with few of 8 bits or less
        with np.errstate(over="ignore"):
            narrow = array.astype(dtype.newbyteorder("="))
        lost = np.isfinite(array) & ~np.isfinite(narrow)
    elif array.dtype == np.bool_ or (np.issubdtype(array.dtype, np.integer) and array.dtype.itemsize < 4):
        return jnp.asarray(array.astype(array.dtype.newbyteorder("=")))
    else:
        narrow = array.astype(_widest(np.int64, np.int32))
        lost = (narrow != array) | ((narrow < 0) != (array < 0))
    if lost.any():
        raise ValueError(f"{what}: {array[lost].flat[0]} does not fit into {narrow.dtype}; scale the numbers down")
    return jnp.asarray(narrow)


def class_labels(value: Any, what: str) -> jax.Array:
    """Class indices in an integer type of at least 32 bits, wide enough to be compared with every number of classes.

    Args:
        value: integers, as for `numbers`.
        what: names them in the message.

    Returns:
        The labels; one beyond 32 bits stays outside every range of classes.

    Raises:
        ValueError: not of an integer type.
    """
    array = value if isinstance(value, jax.Array) else _from_host(value, what)
    if isinstance(value, list | tuple) and array.size == 0:
        array = array.astype(np.int32)
    if not _is_integer(array):
        raise ValueError(
            f"{what} are class indices of an integer dtype, got {array.dtype}; "
            "for shares use cross_entropy_with_probabilities"
        )
    if isinstance(array, np.ndarray):
        if array.dtype.itemsize > 4 or array.dtype == np.uint32:
            array = np.where(array < 0, -1, np.minimum(array, _OUTSIDE).astype(np.int64))
        return jnp.asarray(array.astype(np.int32))
    return array if array.dtype.itemsize >= 4 else array.astype(jnp.int32)


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


def _from_host(value: Any, what: str) -> np.ndarray:
    if np.ma.is_masked(value):
        raise ValueError(f"{what}: some values are masked; fill them in or leave them out")
    try:
        array = np.asarray(value)
    except ValueError as error:  # rows of unequal length
        raise ValueError(f"{what}: no array can be made of this {type(value).__name__}: {error}") from error
    return array


def _require_real[A: (np.ndarray, jax.Array)](array: A, what: str) -> A:
    if _is_integer(array) or jnp.issubdtype(array.dtype, jnp.floating) or array.dtype == bool:
        return array
    raise ValueError(f"{what}: expected real numbers, got {array.dtype}; convert them first")


def _is_integer(array: np.ndarray | jax.Array) -> bool:
    """Whether the type is one of integers; NumPy counts spans of time among them."""
    return bool(jnp.issubdtype(array.dtype, jnp.integer)) and getattr(array.dtype, "kind", "") != "m"


def _widest(with_64_bits: type, otherwise: type) -> np.dtype:
    return np.dtype(with_64_bits if jax.config.jax_enable_x64 else otherwise)


def _told(arrays: Mapping[str, np.ndarray], found: Iterable[tuple[str, dict[str, np.ndarray]]]) -> str | None:
    wrong, kinds, bad = [], dict[str, None](), 0
    for name, masks in found:
        here = np.any(list(masks.values()), axis=0)
        if not here.any():
            continue
        bad += int(np.count_nonzero(here))
        bad_ones = {what: np.count_nonzero(mask) for what, mask in masks.items() if mask.any()}
        kinds |= dict.fromkeys(_IN_SHORT.get(what, "too large") for what in bad_ones)
        counts = " and ".join(f"{count:,} {what}" for what, count in bad_ones.items())
        first = tuple(int(i) for i in np.argwhere(here)[0])
        wrong.append(f"{name} has {counts} of {arrays[name].size:,}, the first at {first}")
    if not wrong:
        return None
    more = f"; and {counted(len(wrong) - _LISTED, 'more array')}" if len(wrong) > _LISTED else ""
    total = sum(a.size for a in arrays.values())
    return f"{bad:,} of {total:,} numbers are {' or '.join(kinds)}: {'; '.join(wrong[:_LISTED])}{more}"
