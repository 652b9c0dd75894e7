"""Operations that move elements and compute nothing: each a view by strides, or places in a larger array."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxd2l.nn.kernels.reading import UnknownOperationError, taken
from jaxd2l.web.builder import Builder, Operand, Value, row_strides


def reshape(b: Builder, equation: Any, x: Operand) -> Operand:
    """`reshape`, `squeeze` and `expand_dims`."""
    if equation.primitive.name == "reshape" and equation.params["dimensions"] is not None:
        x = b.transpose(x, equation.params["dimensions"])
    return b.reshape(x, equation.outvars[0].aval.shape)


def broadcast(b: Builder, equation: Any, x: Operand) -> Operand:
    """`broadcast_in_dim`."""
    return b.broadcast(x, equation.params["shape"], equation.params["broadcast_dimensions"])


def slice_(b: Builder, equation: Any, x: Value) -> Operand:
    """`slice`."""
    p = equation.params
    steps = p["strides"] or (1,) * len(x.shape)
    return cut(b, x, p["start_indices"], steps, equation.outvars[0].aval.shape)


def dynamic_slice(b: Builder, equation: Any, x: Operand, *starts: Operand) -> Operand:
    """`dynamic_slice` at a known place."""
    sizes = equation.params["slice_sizes"]
    if not isinstance(x, Value) or not all(isinstance(start, np.ndarray) for start in starts):
        raise UnknownOperationError("at a place that depends on the example")
    first = [min(max(int(s), 0), n - k) for s, n, k in zip(starts, x.shape, sizes, strict=True)]  # type: ignore[arg-type]
    return cut(b, x, first, (1,) * len(first), sizes)


def gather(b: Builder, equation: Any, x: Operand, places: Operand) -> Operand:
    """`gather` at known places."""
    found = taken(equation, x, places)
    assert isinstance(x, Value)
    one = (1,) * len(x.shape)
    part = x if found.sizes == x.shape else cut(b, x, found.first, one, found.sizes)
    if found.rows is None:
        return b.reshape(part, equation.outvars[0].aval.shape)
    axis, (before, after) = found.axis, (found.sizes[: found.axis], found.sizes[found.axis + 1 :])
    rows = [
        cut(b, part, [int(n) * (a == axis) for a in range(len(one))], one, (*before, 1, *after))
        for n in found.rows.flat
    ]
    whole = _beside(b, rows, (*before, len(rows), *after), axis)
    return b.transpose(b.reshape(whole, found.kept), found.order)


def cut(b: Builder, x: Value, first: Sequence[int], steps: Sequence[int], shape: Sequence[int]) -> Value:
    """Elements from `first`, every `steps`-th along each axis."""
    strides = row_strides(x.shape)
    offset = sum(at * stride for at, stride in zip(first, strides, strict=True))
    return b.view(x, shape, [step * stride for step, stride in zip(steps, strides, strict=True)], offset)


def rev(b: Builder, equation: Any, x: Value) -> Operand:
    """`rev`."""
    turned = equation.params["dimensions"]
    strides = row_strides(x.shape)
    offset = sum((x.shape[axis] - 1) * strides[axis] for axis in turned)
    return b.view(x, x.shape, [-s if axis in turned else s for axis, s in enumerate(strides)], offset)


def tile(b: Builder, equation: Any, x: Value) -> Operand:
    """`tile`: along each axis the same elements again."""
    shape = [size for pair in zip(equation.params["reps"], x.shape, strict=True) for size in pair]
    strides = [stride for own in row_strides(x.shape) for stride in (0, own)]
    return b.reshape(b.view(x, shape, strides), equation.outvars[0].aval.shape)


def split(b: Builder, equation: Any, x: Value) -> list[Operand]:
    """`split`."""
    axis, parts, place = equation.params["axis"], [], 0
    for size in equation.params["sizes"]:
        first = [place if a == axis else 0 for a in range(len(x.shape))]
        shape = [size if a == axis else n for a, n in enumerate(x.shape)]
        parts.append(cut(b, x, first, (1,) * len(shape), shape))
        place += size
    return list(parts)


def concatenate(b: Builder, equation: Any, *operands: Operand) -> Operand:
    """`concatenate`."""
    return _beside(b, operands, equation.outvars[0].aval.shape, equation.params["dimension"])


def stack(b: Builder, equation: Any, *operands: Operand) -> Operand:
    """`stack`."""
    shape, axis = equation.outvars[0].aval.shape, equation.params["axis"]
    one = (*shape[:axis], 1, *shape[axis + 1 :])
    return _beside(b, [b.reshape(operand, one) for operand in operands], shape, axis)


def _beside(b: Builder, operands: Sequence[Operand], shape: Sequence[int], axis: int) -> Operand:
    strides, place, parts = row_strides(shape), 0, []
    for operand in operands:
        parts.append({"strides": strides, "offset": place * strides[axis]})
        place += operand.shape[axis]
    return b.step("place", operands, shape, parts=parts, fill=0.0)


def pad(b: Builder, x: Operand, value: float, config: Sequence[tuple[int, int, int]]) -> Operand:
    """`lax.pad` with a known value; where it is negative, elements are cut off."""
    config = [(int(low), int(high), int(between)) for low, high, between in config]  # NumPy's are not JSON's
    value_of = np.asarray(value, np.float32).item()
    spread = [max(0, n + (n - 1) * between) for n, (_, _, between) in zip(x.shape, config, strict=True)]
    whole = [n + max(low, 0) + max(high, 0) for n, (low, high, _) in zip(spread, config, strict=True)]
    strides = row_strides(whole)
    offset = sum(max(low, 0) * stride for (low, _, _), stride in zip(config, strides, strict=True))
    placed = [(between + 1) * stride for (_, _, between), stride in zip(config, strides, strict=True)]
    fill: Any = value_of if math.isfinite(value_of) else str(value_of)  # JSON has no infinity
    padded = b.step("place", [x], whole, parts=[{"strides": placed, "offset": offset}], fill=fill)
    if all(low >= 0 and high >= 0 for low, high, _ in config):
        return padded
    first = [max(-low, 0) for low, _, _ in config]
    shape = [n + low + high for n, (low, high, _) in zip(spread, config, strict=True)]
    return cut(b, padded, first, (1,) * len(shape), shape)


def pad_by(b: Builder, equation: Any, x: Operand, value: Operand) -> Operand:
    """`pad` with a known value."""
    if not isinstance(value, np.ndarray):
        raise UnknownOperationError("with a value that depends on the example")
    return pad(b, x, value.item(), equation.params["padding_config"])
