"""JAX's operations as nodes of ONNX: a table from the name of a primitive to a function that adds its nodes."""

import math
from typing import Any

import numpy as np

from jaxd2l.export.onnx import elementwise, shaping, windows
from jaxd2l.export.onnx.elementwise import Translation, cast
from jaxd2l.export.onnx.graph import Graph, Operand, Tensor
from jaxd2l.nn.kernels.reading import UnknownOperationError


def _same(graph: Graph, equation: Any, *operands: Operand) -> list[Operand]:
    return list(operands)


def _reduce_precision(graph: Graph, equation: Any, x: Operand) -> Operand:
    """Fewer bits of fraction, by Veltkamp's splitting: c - (c - x) with c = (2^dropped + 1) x rounds to nearest."""
    exponent, fraction = equation.params["exponent_bits"], equation.params["mantissa_bits"]
    if exponent < 8:
        raise UnknownOperationError(f"to {exponent} bits of exponent")
    if fraction >= 23:
        return x
    factor = np.asarray(2 ** (23 - fraction) + 1, np.float32)
    scaled = elementwise.elementwise(graph, equation, "Mul", x, factor)
    rest = elementwise.elementwise(graph, equation, "Sub", scaled, x)
    return elementwise.elementwise(graph, equation, "Sub", scaled, rest)


def _reduce(operation: str) -> Translation:
    def translate(graph: Graph, equation: Any, x: Tensor) -> Operand:
        axes = equation.params["axes"]
        if not axes:
            return x
        out, kept = equation.outvars[0].aval, [axis for axis in x.order if axis not in axes]
        places = graph.integers(sorted(x.order.index(axis) for axis in axes))
        order = tuple(sorted(kept).index(axis) for axis in kept)
        return graph.result(operation, [x.name, places], out, order, keepdims=0)

    return translate


def _largest(operation: str) -> Translation:
    def translate(graph: Graph, equation: Any, x: Tensor) -> Operand:
        axis, out = equation.params["axes"][0], equation.outvars[0].aval
        name = graph.node(operation, [graph.stored(x)], axis=axis, keepdims=0)
        return cast(graph, Tensor(name, tuple(out.shape), np.dtype(np.int64), tuple(range(len(out.shape)))), out.dtype)

    return translate


def _dot_general(graph: Graph, equation: Any, x: Operand, y: Operand) -> Operand:
    (left, right), (left_batch, right_batch) = equation.params["dimension_numbers"]
    rows = [a for a in range(len(x.shape)) if a not in (*left, *left_batch)]
    columns = [a for a in range(len(y.shape)) if a not in (*right, *right_batch)]
    aval, batch = equation.outvars[0].aval, len(left_batch)
    if not batch and isinstance(x, np.ndarray):  # the product of what is turned round: weights stand at the right
        product = _product(graph, y, x, (), (), columns, rows, right, left, aval.dtype)
        return graph.transpose(product, [*range(len(columns), len(aval.shape)), *range(len(columns))])
    return _product(graph, x, y, left_batch, right_batch, rows, columns, left, right, aval.dtype)


def _product(
    graph: Graph,
    x: Operand,
    y: Operand,
    x_batch: Any,
    y_batch: Any,
    rows: Any,
    columns: Any,
    left: Any,
    right: Any,
    dtype: Any,
) -> Operand:
    """(batch, rows, columns), summed over `left` and `right`."""
    batch = tuple(x.shape[a] for a in x_batch)
    above, beside = tuple(x.shape[a] for a in rows), tuple(y.shape[a] for a in columns)
    k = math.prod(x.shape[a] for a in left)
    first = graph.transpose(x, [*x_batch, *rows, *left])
    second = graph.transpose(y, [*y_batch, *right, *columns])
    apart = not batch and len(rows) > 0  # a matrix multiplies along the last axis, whatever is before it
    first = graph.reshape(first, (*(above if apart else (*batch, math.prod(above))), k))
    second = graph.reshape(second, (*batch, k, math.prod(beside)))
    name = graph.node("MatMul", [graph.stored(first), graph.stored(second, role="weight")])
    shape = (*first.shape[:-1], second.shape[-1])
    product = Tensor(name, shape, np.dtype(dtype), tuple(range(len(shape))))
    return graph.reshape(product, (*batch, *above, *beside))


OPERATIONS: dict[str, Translation] = {
    **{name: elementwise.one(operation) for name, operation in elementwise.ONE.items()},
    **{name: elementwise.two(operation) for name, operation in elementwise.TWO.items()},
    **elementwise.COMPOSED,
    **{f"reduce_{name}": _reduce(f"Reduce{name.capitalize()}") for name in ("sum", "max", "min", "prod")},
    **{f"reduce_window_{name}": windows.window(name) for name in ("sum", "max", "min")},
    **dict.fromkeys(("copy", "copy_p", "stop_gradient", "optimization_barrier"), _same),
    **dict.fromkeys(("reshape", "squeeze", "expand_dims"), shaping.reshape),
    "add": elementwise.add,
    "argmax": _largest("ArgMax"),
    "argmin": _largest("ArgMin"),
    "broadcast_in_dim": shaping.broadcast,
    "cbrt": elementwise.cube_root,
    "clamp": elementwise.clamp,
    "concatenate": shaping.concatenate,
    "conv_general_dilated": windows.convolve,
    "convert_element_type": elementwise.convert,
    "dim_as_value": shaping.size_of,
    "div": elementwise.div,
    "dot_general": _dot_general,
    "dynamic_slice": shaping.dynamic_slice,
    "gather": shaping.gather,
    "integer_pow": elementwise.integer_pow,
    "is_finite": elementwise.is_finite,
    "ne": elementwise.not_equal,
    "not": elementwise.logical_not,
    "pad": shaping.pad,
    "reduce_window": windows.reduce_window,
    "reduce_precision": _reduce_precision,
    "rev": shaping.rev,
    "round": elementwise.round_,
    "select_n": elementwise.select,
    "slice": shaping.slice_,
    "split": shaping.split,
    "square": elementwise.square,
    "stack": shaping.stack,
    "sub": elementwise.sub,
    "tile": shaping.tile,
    "transpose": shaping.transpose,
}
