"""Operations that move elements and compute nothing."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxd2l.export.onnx.elementwise import cast
from jaxd2l.export.onnx.graph import Graph, Operand, Tensor
from jaxd2l.nn.kernels.reading import UnknownOperationError, taken

_END = np.iinfo(np.int64).max


def reshape(graph: Graph, equation: Any, x: Operand) -> Operand:
    """`reshape`, `squeeze` and `expand_dims`."""
    if equation.primitive.name == "reshape" and equation.params["dimensions"] is not None:
        x = graph.transpose(x, equation.params["dimensions"])
    return graph.reshape(x, equation.outvars[0].aval.shape)


def size_of(graph: Graph, equation: Any) -> Operand:
    """`dim_as_value`: the size of the batch as a number."""
    aval, size = equation.outvars[0].aval, graph.sizes([equation.params["dim"]])
    whole = Tensor(graph.node("Squeeze", [size]), (), np.dtype(np.int64), ())
    return cast(graph, whole, aval.dtype)


def transpose(graph: Graph, equation: Any, x: Operand) -> Operand:
    """`transpose`."""
    return graph.transpose(x, equation.params["permutation"])


def broadcast(graph: Graph, equation: Any, x: Operand) -> Operand:
    """`broadcast_in_dim`."""
    shape = equation.outvars[0].aval.shape
    expanded = [1] * len(shape)
    for axis, size in zip(equation.params["broadcast_dimensions"], x.shape, strict=True):
        expanded[axis] = size
    return graph.widen(graph.reshape(x, expanded), shape)


def slice_(graph: Graph, equation: Any, x: Tensor) -> Operand:
    """`slice`."""
    p = equation.params
    steps = p["strides"] or (1,) * len(x.shape)
    return cut(graph, equation.outvars[0].aval, x, p["start_indices"], p["limit_indices"], steps)


def dynamic_slice(graph: Graph, equation: Any, x: Operand, *starts: Operand) -> Operand:
    """`dynamic_slice` at a known place."""
    sizes = equation.params["slice_sizes"]
    if not isinstance(x, Tensor) or not all(isinstance(start, np.ndarray) for start in starts):
        raise UnknownOperationError("at a place that depends on the example")
    first, last = [], []
    for start, whole, size in zip(starts, x.shape, sizes, strict=True):
        at = 0 if whole == size else min(max(int(start), 0), whole - size)  # type: ignore[arg-type]
        first.append(at)
        last.append(at + size)
    return cut(graph, equation.outvars[0].aval, x, first, last, (1,) * len(first))


def gather(graph: Graph, equation: Any, x: Operand, places: Operand) -> Operand:
    """`gather` at known places, as which JAX cuts a batch of any size."""
    found = taken(equation, x, places)
    assert isinstance(x, Tensor)
    last = [at + size for at, size in zip(found.first, found.sizes, strict=True)]
    part = cut(graph, x._replace(shape=found.sizes), x, found.first, last, (1,) * len(last))
    if found.rows is None:
        return graph.reshape(part, equation.outvars[0].aval.shape)
    axis, rows = found.axis, found.rows
    name = graph.node("Gather", [graph.stored(part), graph.constant(rows.astype(np.int64), "numbers")], axis=axis)
    shape = (*found.sizes[:axis], *rows.shape, *found.sizes[axis + 1 :])
    whole = Tensor(name, shape, x.dtype, tuple(range(len(shape))))
    return graph.transpose(graph.reshape(whole, found.kept), found.order)


def cut(graph: Graph, out: Any, x: Tensor, first: Sequence[Any], last: Sequence[Any], steps: Sequence[int]) -> Tensor:
    """Every `steps`-th element from `first` to before `last` along each axis, of the shape and type of `out`."""
    axes = [a for a, size in enumerate(x.shape) if (first[a], steps[a]) != (0, 1) or last[a] != size]
    if not axes:
        return x
    if any(not isinstance(n, int) for a in axes for n in (first[a], last[a])):
        raise UnknownOperationError("along the batch")
    places = [x.order.index(axis) for axis in axes]
    bounds = [[own[axis] for axis in axes] for own in (first, last)]
    return _sliced(graph, out, x, *bounds, places, [steps[axis] for axis in axes])


def _sliced(graph: Graph, aval: Any, x: Tensor, *lists: Sequence[int]) -> Tensor:
    first, last, places, steps = map(graph.integers, lists)
    return graph.result("Slice", [x.name, first, last, places, steps], aval, x.order)


def rev(graph: Graph, equation: Any, x: Tensor) -> Tensor:
    """`rev`."""
    places = [x.order.index(axis) for axis in equation.params["dimensions"]]
    count = len(places)
    return _sliced(graph, equation.outvars[0].aval, x, [-1] * count, [-_END] * count, places, [-1] * count)


def tile(graph: Graph, equation: Any, x: Tensor) -> Tensor:
    """`tile`: along each axis the same elements again."""
    times = [equation.params["reps"][axis] for axis in x.order]
    return graph.result("Tile", [x.name, graph.integers(times)], equation.outvars[0].aval, x.order)


def split(graph: Graph, equation: Any, x: Tensor) -> list[Operand]:
    """`split`."""
    sizes, axis = equation.params["sizes"], x.order.index(equation.params["axis"])
    names = graph.several("Split", [x.name, graph.integers(sizes)], len(sizes), axis=axis)
    return [
        Tensor(name, tuple(v.aval.shape), x.dtype, x.order) for name, v in zip(names, equation.outvars, strict=True)
    ]


def concatenate(graph: Graph, equation: Any, *operands: Operand) -> Tensor:
    """`concatenate`."""
    return _beside(graph, equation.outvars[0].aval, operands, equation.params["dimension"])


def stack(graph: Graph, equation: Any, *operands: Operand) -> Tensor:
    """`stack`."""
    out, axis = equation.outvars[0].aval, equation.params["axis"]
    one = (*out.shape[:axis], 1, *out.shape[axis + 1 :])
    return _beside(graph, out, [graph.reshape(operand, one) for operand in operands], axis)


def _beside(graph: Graph, out: Any, operands: Sequence[Operand], axis: int) -> Tensor:
    order = next(operand.order for operand in operands if isinstance(operand, Tensor))
    names = [graph.stored(operand, order) for operand in operands]
    return graph.result("Concat", names, out, order, axis=order.index(axis))


def pad(graph: Graph, equation: Any, x: Operand, value: Operand) -> Tensor:
    """`pad`; where a border is negative, elements are cut off."""
    config = [tuple(map(int, one)) for one in equation.params["padding_config"]]
    if not isinstance(value, np.ndarray):
        raise UnknownOperationError("with a value that depends on the example")
    order = x.order if isinstance(x, Tensor) else tuple(range(len(x.shape)))
    name, fill = graph.stored(x, order), graph.constant(value.reshape(()))
    for place, axis in enumerate(order):
        name = _spread(graph, name, place, len(order), config[axis][2], fill)
    low, high = ([config[axis][end] for axis in order] for end in (0, 1))
    if any(low) or any(high):
        name = graph.node("Pad", [name, graph.integers([*low, *high]), fill])
    aval = equation.outvars[0].aval
    return Tensor(name, tuple(aval.shape), np.dtype(aval.dtype), order)


def _spread(graph: Graph, name: str, place: int, rank: int, between: int, fill: str) -> str:
    """Values put between the elements along one axis: after each of them, and the last ones cut off."""
    if not between:
        return name
    name = graph.node("Unsqueeze", [name, graph.integers([place + 1])])
    after = [0] * (2 * (rank + 1))
    after[rank + 1 + place + 1] = between
    name = graph.node("Pad", [name, graph.integers(after), fill])
    shape = graph.node("Shape", [name])
    sizes = [graph.node("Gather", [shape, graph.integers(range(place))])] if place else []
    rest = range(place + 2, rank + 1)
    sizes += [graph.integers([-1]), *([graph.node("Gather", [shape, graph.integers(rest)])] if rest else [])]
    name = graph.node("Reshape", [name, graph.node("Concat", sizes, axis=0)])
    end = [0] * (2 * rank)
    end[rank + place] = -between
    return graph.node("Pad", [name, graph.integers(end)])
