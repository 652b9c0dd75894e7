"""Convolution and pooling: channels first, as ONNX has them; JAX says which axes are which."""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxd2l.export.onnx.elementwise import elementwise
from jaxd2l.export.onnx.graph import Graph, Operand, Tensor
from jaxd2l.nn.kernels.reading import UnknownOperationError, window_reduction


def convolve(graph: Graph, equation: Any, x: Operand, kernel: Operand) -> Tensor:
    """`conv_general_dilated`."""
    p = equation.params
    numbers, borders = p["dimension_numbers"], list(p["padding"])
    if p["batch_group_count"] != 1:
        raise UnknownOperationError("in groups of the batch")
    given = graph.stored(x, numbers.lhs_spec)
    if any(step != 1 for step in p["lhs_dilation"]):
        return _transposed(graph, equation, given, kernel)
    if any(min(pair) < 0 for pair in borders):
        low, high = zip((0, 0), (0, 0), *borders, strict=True)
        given, borders = graph.node("Pad", [given, graph.integers([*low, *high])]), [(0, 0)] * len(borders)
    weight = graph.stored(kernel, numbers.rhs_spec, "weight")
    settings = _settings(p["window_strides"], p["rhs_dilation"], borders)
    aval = equation.outvars[0].aval
    return graph.result("Conv", [given, weight], aval, numbers.out_spec, group=p["feature_group_count"], **settings)


def _transposed(graph: Graph, equation: Any, given: str, kernel: Operand) -> Tensor:
    """A convolution over an array with zeros between its elements, as gradients of convolutions are."""
    p = equation.params
    groups = p["feature_group_count"]
    if not isinstance(kernel, np.ndarray) or any(step != 1 for step in p["window_strides"]):
        raise UnknownOperationError("over a dilated array")
    weight = kernel.transpose(p["dimension_numbers"].rhs_spec)  # (out, in / groups, ...)
    turned = weight[(slice(None), slice(None), *[slice(None, None, -1)] * (weight.ndim - 2))]
    split = turned.reshape(groups, -1, *turned.shape[1:]).swapaxes(1, 2)
    weight = split.reshape(-1, *split.shape[2:])  # (in, out / groups, ...)
    reach = [(size - 1) * step for size, step in zip(weight.shape[2:], p["rhs_dilation"], strict=True)]
    cut = [(whole - low, whole - high) for whole, (low, high) in zip(reach, p["padding"], strict=True)]
    longer = [max(0, -high) for _, high in cut]
    if any(low < 0 for low, _ in cut) or any(n >= s for n, s in zip(longer, p["lhs_dilation"], strict=True)):
        raise UnknownOperationError("over a dilated array with such borders")
    settings = _settings(p["lhs_dilation"], p["rhs_dilation"], [(low, max(0, high)) for low, high in cut])
    return graph.result(
        "ConvTranspose",
        [given, graph.constant(weight, "weight")],
        equation.outvars[0].aval,
        p["dimension_numbers"].out_spec,
        group=groups,
        output_padding=longer,
        **settings,
    )


def window(name: str) -> Callable[..., Tensor]:
    """`reduce_window_max` and its like."""
    return lambda graph, equation, x: _pooled(graph, equation, x, name)


def reduce_window(graph: Graph, equation: Any, x: Tensor, start: Operand) -> Tensor:
    """The general form."""
    return _pooled(graph, equation, x, window_reduction(equation, start))


def _pooled(graph: Graph, equation: Any, x: Tensor, name: str) -> Tensor:
    p, rank = equation.params, len(x.shape)
    sizes, strides, borders = p["window_dimensions"], p["window_strides"], p["padding"]
    dilation = p.get("window_dilation", (1,) * rank)
    if any(step != 1 for step in p.get("base_dilation", ())):
        raise UnknownOperationError("over a dilated array")
    moved = [a for a in range(rank) if (sizes[a], strides[a], *borders[a]) != (1, 1, 0, 0)]
    still = [a for a in range(rank) if a not in moved]
    if len(still) < 2 or (name == "sum" and any(step != 1 for step in dilation)):
        raise UnknownOperationError("over such windows")
    order = x.order if not set(x.order[:2]) & set(moved) else (*still, *moved)
    inner = order[2:]
    settings = {"kernel_shape": [sizes[a] for a in inner]}
    settings |= _settings(*([own[a] for a in inner] for own in (strides, dilation, borders)))
    out, given = equation.outvars[0].aval, x
    if name == "min":
        given = elementwise(graph, equation, "Neg", x)
    if name != "sum":
        pooled = graph.result("MaxPool", [graph.stored(given, order)], out, order, **settings)
        return elementwise(graph, equation, "Neg", pooled) if name == "min" else pooled
    del settings["dilations"]
    mean = graph.result("AveragePool", [graph.stored(x, order)], out, order, count_include_pad=1, **settings)
    return elementwise(graph, equation, "Mul", mean, np.asarray(np.prod(sizes), x.dtype))


def _settings(strides: Any, dilation: Any, borders: Any) -> dict[str, list[int]]:
    low, high = zip(*borders, strict=True)
    return {"strides": list(strides), "dilations": list(dilation), "pads": [*map(int, low), *map(int, high)]}
