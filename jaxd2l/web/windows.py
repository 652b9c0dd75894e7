"""Operations that slide a window: convolution and pooling as steps of a plan."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxd2l.nn.kernels.reading import UnknownOperationError, window_reduction
from jaxd2l.web.builder import Builder, Operand
from jaxd2l.web.shaping import pad


def convolve(b: Builder, equation: Any, x: Operand, kernel: Operand) -> Operand:
    """`conv_general_dilated` over one or two axes, with its axes brought to NHWC and HWIO."""
    p = equation.params
    numbers, rank = p["dimension_numbers"], len(x.shape) - 2
    if rank not in (1, 2) or p["batch_group_count"] != 1:
        raise UnknownOperationError(f"over {rank} axes" if rank not in (1, 2) else "in groups of the batch")
    x = b.transpose(x, (numbers.lhs_spec[0], *numbers.lhs_spec[2:], numbers.lhs_spec[1]))
    kernel = b.transpose(kernel, (*numbers.rhs_spec[2:], numbers.rhs_spec[1], numbers.rhs_spec[0]))
    strides, dilation, borders = p["window_strides"], p["rhs_dilation"], p["padding"]
    spread = p["lhs_dilation"]
    if any(step != 1 for step in spread) or any(min(pair) < 0 for pair in borders):
        inside = [(low, high, step - 1) for (low, high), step in zip(borders, spread, strict=True)]
        x, borders = pad(b, x, 0.0, [(0, 0, 0), *inside, (0, 0, 0)]), ((0, 0),) * rank
    out = equation.outvars[0].aval.shape
    order = (p["dimension_numbers"].out_spec[0], *numbers.out_spec[2:], numbers.out_spec[1])
    last = tuple(out[axis] for axis in order)
    if rank == 1:  # a row of an image
        x = b.reshape(x, (x.shape[0], 1, *x.shape[1:]))
        kernel = b.reshape(kernel, (1, *kernel.shape))
        strides, dilation, borders = (1, *strides), (1, *dilation), ((0, 0), *borders)
    shape = (last[0], 1, *last[1:]) if rank == 1 else last
    settings = {"strides": list(strides), "dilation": list(dilation), "low": [low for low, _ in borders]}
    y = b.step("convolve", [x, kernel], shape, groups=p["feature_group_count"], **settings)
    return b.transpose(b.reshape(y, last), np.argsort(order).tolist())


def window(name: str) -> Callable[..., Operand]:
    """`reduce_window_sum` and its like: one axis after another, since each of them is such a reduction itself."""

    def translate(b: Builder, equation: Any, x: Operand) -> Operand:
        return _reduced(b, equation.params, x, name)

    return translate


def reduce_window(b: Builder, equation: Any, x: Operand, start: Operand) -> Operand:
    """The general form: where it adds, or takes the larger or smaller, from where that starts."""
    return _reduced(b, equation.params, x, window_reduction(equation, start))


def _reduced(b: Builder, params: Any, x: Operand, name: str) -> Operand:
    if any(step != 1 for step in params.get("base_dilation", ())):
        raise UnknownOperationError("over a dilated array")
    for axis, size in enumerate(params["window_dimensions"]):
        step, (low, high) = params["window_strides"][axis], params["padding"][axis]
        apart = params["window_dilation"][axis]
        if (size, step, low, high) == (1, 1, 0, 0):
            continue
        shape = list(x.shape)
        shape[axis] = (shape[axis] + low + high - apart * (size - 1) - 1) // step + 1
        inner = math.prod(x.shape[axis + 1 :])
        x = b.step(
            "window", [x], shape, by=name, axis=axis, inner=inner, size=size, stride=step, low=low, dilation=apart
        )
    return x
