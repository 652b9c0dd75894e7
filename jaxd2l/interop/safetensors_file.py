"""safetensors: the size of a header, the header as JSON with names, types and places, then the numbers.

Nothing in such a file can run. The library verifies that the places cover the file exactly. What it leaves open is
closed here: names that stand twice, and the 8- and 16-bit floats that NumPy does not have by itself.
"""

import json
from collections import Counter
from typing import Any

import ml_dtypes
import numpy as np

LARGEST_HEADER = 100_000_000  # bytes, as the format allows

_DTYPES: dict[str, Any] = {
    "BOOL": np.bool_,
    **{f"I{8 * size}": f"<i{size}" for size in (1, 2, 4, 8)},
    **{f"U{8 * size}": f"<u{size}" for size in (1, 2, 4, 8)},
    **{f"F{8 * size}": f"<f{size}" for size in (2, 4, 8)},
    "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "F8_E4M3FNUZ": ml_dtypes.float8_e4m3fnuz,
    "F8_E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
    "F8_E8M0": ml_dtypes.float8_e8m0fnu,
    "C64": "<c8",
}


def printable(name: str) -> str:
    """A name from a file as it may stand in one line on a terminal, at most 80 characters of it."""
    shown = name if name.isprintable() and name else ascii(name)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def begins_like_one(head: bytes) -> bool:
    """Whether a file with these first bytes claims to be a safetensors file: nine of them tell."""
    return head[8:9] in (b"{", b" ", b"\n", b"\t", b"\r") and int.from_bytes(head[:8], "little") <= LARGEST_HEADER


def parse(data: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The tensors by name and the header's metadata.

    Args:
        data: the file's bytes.

    Raises:
        ValueError: not a safetensors file, or a damaged one; the message is a reason of one line.
    """
    from safetensors import SafetensorError, deserialize

    size, follow = int.from_bytes(data[:8], "little"), len(data) - 8
    if follow < 0:
        raise ValueError(f"it has {len(data)} bytes, fewer than the 8 that tell the size of a header")
    if size > min(follow, LARGEST_HEADER):
        raise ValueError(f"a header of {size:,} bytes should follow its first 8, and {follow:,} are there: cut short")
    try:
        flat = deserialize(data)
    except SafetensorError as error:
        raise ValueError(_cut_short(data, size) or _reason(error)) from error
    header = json.loads(data[8 : 8 + size], object_pairs_hook=_once)
    arrays = {name: _array(name, tensor) for name, tensor in flat}  # the library's order changes from run to run
    return {name: arrays[name] for name in header if name in arrays}, header.get("__metadata__") or {}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the name {printable(twice)} stands in its header more than once")
    return found


def _array(name: str, tensor: dict[str, Any]) -> np.ndarray:
    dtype, shape = tensor["dtype"], tensor["shape"]
    if dtype not in _DTYPES:
        raise ValueError(
            f"{printable(name)} is {dtype}, a type that cannot be read here; save it in float32: "
            "{name: value.float() for name, value in net.state_dict().items()}"
        )
    try:
        return np.frombuffer(tensor["data"], _DTYPES[dtype]).reshape(shape)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{printable(name)} cannot have a shape of {len(shape)} axes {str(shape)[:60]}") from error


def _cut_short(data: bytes, size: int) -> str | None:
    """The commonest damage in words; None for any other."""
    try:
        header = json.loads(data[8 : 8 + size])
        end = max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return None
    follow = len(data) - 8 - size
    if not isinstance(end, int) or end == follow:
        return None
    what = "cut short" if follow < end else "something was added"
    return f"its header describes {end:,} bytes of numbers and {follow:,} follow: {what}, so copy or save it again"


def _reason(error: Exception) -> str:
    text = str(error).removeprefix("Error while deserializing: ")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]
