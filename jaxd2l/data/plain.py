"""Plain arrays: whatever NumPy or JAX hands over, in a type that the device takes and a network reads exactly.

A device knows neither the other byte order nor 64-bit numbers, which JAX would narrow in silence, and a network
computes on float32. So each type has one plain form that is decided by the type alone, and a value that its plain form
or float32 cannot hold is refused by name.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.data.error import DataError
from jaxd2l.data.streaming.on_disk import OnDisk

INT32 = np.iinfo(np.int32)
_CHUNK = 2**22  # elements looked at in one go: what a check takes beside the array stays small
_EXACT_IN_FLOAT32 = 2**24

_ADVICE = {
    "O": "if every element is a number, astype(np.float32) makes them so",
    "S": "turn text into numbers first, a column for each category",
    "U": "turn text into numbers first, a column for each category",
    "T": "turn text into numbers first, a column for each category",
    "c": "give real and imaginary part as columns of their own",
    "M": "subtract a date and divide by a unit of time",
    "m": "divide by a unit of time",
}


def stored_dtype(dtype: np.dtype, *, labels: bool = False) -> np.dtype:
    """The plain form of a type that holds numbers.

    Labels are int32. Integers of up to 16 bits, int32, bool and floats of 16 and 32 bits stay what they are, in the
    machine's byte order, as does float64; wider integers become int32, narrower floats float32.

    Raises:
        TypeError: the type holds no real numbers.
    """
    if (
        jnp.issubdtype(dtype, jnp.integer) and getattr(dtype, "kind", "") != "m"
    ):  # NumPy counts spans of time among them
        kept = np.issubdtype(dtype, np.integer) and (dtype.itemsize < 4 or dtype == np.int32)
        return dtype.newbyteorder("=") if kept and not labels else np.dtype(np.int32)
    if dtype == np.bool_ or (jnp.issubdtype(dtype, jnp.floating) and dtype.itemsize <= 8):
        return np.dtype(np.float32) if dtype.itemsize == 1 and dtype != np.bool_ else dtype.newbyteorder("=")
    raise TypeError(f"{dtype} holds no numbers that a network reads")


def require_numbers(array: object, what: str) -> Any:
    """An array of real numbers with an axis of examples, without masks; nothing is copied.

    Args:
        array: what was handed over.
        what: names it in the message.

    Raises:
        DataError: no array, no axis, rows without a number, masked values, or elements that are no real numbers of at
            most 64 bits.
    """
    if isinstance(array, np.ma.MaskedArray):
        if np.ma.is_masked(array):
            place = f" at row {np.argwhere(np.ma.getmaskarray(array))[0][0]}" if array.ndim else ""
            raise DataError(f"{what} are masked{place}; fill in or leave out what is missing")
        array = array.data
    if isinstance(array, np.ndarray):
        array = np.asarray(array)  # a plain array of np.matrix and other subclasses
    elif not isinstance(array, jax.Array | OnDisk):
        raise DataError(f"{what} are a {type(array).__name__}, expected an array of NumPy or JAX; use np.asarray")
    if array.ndim == 0:
        raise DataError(f"{what} are one number without an axis, expected one row an example; add the axis")
    if 0 in array.shape[1:]:
        raise DataError(f"{what} have shape {array.shape}, rows without a number; give each at least one")
    try:
        stored_dtype(array.dtype)
    except TypeError:
        advice = _ADVICE.get(getattr(array.dtype, "kind", ""), "use astype(np.float32) if nothing is lost")
        if getattr(array.dtype, "names", None):
            advice = "give its fields as columns of one array"
        raise DataError(f"{what} are {array.dtype} {array.shape}, expected real numbers; {advice}") from None
    return array


def plain(array: Any, what: str, *, labels: bool = False) -> Any:
    """The same numbers in `stored_dtype`; the array itself where it has that already.

    Args:
        array: from `require_numbers`.
        what: names it in the message.
        labels: whether they are class indices, known to fit.

    Raises:
        DataError: a number that is not finite, or that the plain form or float32 cannot hold.
    """
    stored = stored_dtype(array.dtype, labels=labels)
    if not labels:
        _require_finite(array, what)
        _require_exact(array, stored, what)
    if array.dtype == stored and array.dtype.isnative:
        return array
    return np.asarray(array).astype(stored)  # on the host: a device cannot convert every type of 8 bits or less


def first_row(array: np.ndarray, bad: Callable[[np.ndarray], np.ndarray]) -> int | None:
    """The first row with an element that is `bad`, looking at a part of the array at a time."""
    for first, rows in chunks(array):
        found = bad(rows)
        if found.any():
            return first + int(np.argwhere(found)[0][0])
    return None


def chunks(array: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """The rows of an array (n, ...), a part at a time: the number of its first row, and its rows, at least one."""
    rows = max(1, _CHUNK // max(1, math.prod(array.shape[1:])))
    for first in range(0, len(array), rows):
        yield first, array[first : first + rows]


def _require_finite(array: np.ndarray | jax.Array, what: str) -> None:
    if not jnp.issubdtype(array.dtype, jnp.floating):
        return
    row = first_row(np.asarray(array), lambda rows: ~np.isfinite(rows))
    if row is not None:
        raise DataError(f"{what} are not finite at row {row}; remove or impute missing values first")


def _require_exact(array: np.ndarray | jax.Array, stored: np.dtype, what: str) -> None:
    if array.dtype.itemsize < 4:
        return
    if jnp.issubdtype(array.dtype, jnp.integer):
        bad: Callable[[np.ndarray], np.ndarray] = _no_float32_integer
        place = "float32, in which networks compute, holds no such integer: scale them down"
    elif array.dtype.itemsize > 4:
        bad = lambda rows: np.abs(rows) > np.finfo(np.float32).max  # noqa: E731
        place = "float32, in which networks compute, ends at 3.4e38: scale them down"
    else:
        return
    values = np.asarray(array)
    row = first_row(values, bad)
    if row is not None:
        value = values[row][bad(values[row])].flat[0] if values.ndim > 1 else values[row]
        raise DataError(f"{what} hold {value} at row {row}, but {place}")


def _no_float32_integer(rows: np.ndarray) -> np.ndarray:
    if rows.size == 0 or -_EXACT_IN_FLOAT32 <= rows.min() <= rows.max() <= _EXACT_IN_FLOAT32:
        return np.zeros(rows.shape, bool)
    outside = (rows < INT32.min) | (rows > INT32.max)
    exact = np.where(outside, 0, rows).astype(np.float64)  # every 32-bit integer is a float64
    return outside | (exact.astype(np.float32) != exact)
