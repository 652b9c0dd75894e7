"""Floating-point operations of a traced program: what is done, whatever computes it.

A multiply-add is two operations, an elementwise operation one per element, a reduction of n elements to one n - 1,
moving elements none. Products with the zeros of a padding are not done, so not counted (XLA counts likewise).
"""

import math
from typing import NamedTuple

import numpy as np

from jaxd2l.cost.traced import Operation, Operations, body, branches, rounds

MOVES = {
    *("reshape", "broadcast_in_dim", "transpose", "slice", "pad", "concatenate", "squeeze", "expand_dims", "rev"),
    *("gather", "dynamic_slice", "dynamic_update_slice", "copy", "iota", "split", "bitcast_convert_type", "scatter"),
    *("optimization_barrier", "stop_gradient", "random_bits", "random_seed", "random_wrap", "random_unwrap"),
    *("random_fold_in", "random_split", "random_clone"),
}


class Flops(NamedTuple):
    """Operations of a program.

    Attributes:
        products: in matrix products and convolutions, twice their multiply-adds.
        elementwise: in everything else.
    """

    products: int
    elementwise: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.products + self.elementwise


def count(program: Operations, platform: str = "gpu") -> Flops:
    """Operations of a program; loops count as often as they run, of branches the costliest.

    Args:
        program: flattened; for "gpu" convolutions are plain, where the CPU's ways may do more or less.
        platform: decides the branches of `lax.platform_dependent` inside loops and branches.
    """
    products = elementwise = 0
    for operation in program.operations:
        name = operation.name
        if name in ("scan", "while"):
            inner = count(body(operation, platform), platform)
            products += rounds(operation) * inner.products
            elementwise += rounds(operation) * inner.elementwise
        elif name == "cond":
            inner = max(
                (count(branch, platform) for branch in branches(operation, platform)), key=lambda one: one.total
            )
            products, elementwise = products + inner.products, elementwise + inner.elementwise
        elif name == "dot_general":
            products += 2 * dot_macs(operation)
        elif name == "conv_general_dilated":
            products += 2 * convolution_macs(operation)
        elif name.startswith("reduce_window"):
            elementwise += operation.outputs[0].size * (math.prod(operation.params["window_dimensions"]) - 1)
        elif name.startswith("cum"):
            of_each = operation.outputs[0].shape[operation.params["axis"]]
            elementwise += operation.outputs[0].size // max(1, of_each) * max(0, of_each - 1)
        elif name == "reduce" or name.startswith(("reduce_", "arg")):
            elementwise += next(v.size for v in operation.inputs if v is not None) - operation.outputs[0].size
        elif name.startswith("scatter-"):
            updates = operation.inputs[2]  # after what they go into and where to
            elementwise += 1 if updates is None else updates.size
        elif name not in MOVES:
            elementwise += sum(v.size for v in operation.outputs)
    return Flops(products, elementwise)


def taps(image: int, outputs: int, window: int, stride: int, low: int, dilation: int = 1, between: int = 1) -> int:
    """Pairs of an output and a tap of its window that fall on a pixel rather than on padding, along one axis.

    Args:
        image: pixels.
        outputs: places of the window.
        window: taps.
        stride: pixels from one place to the next.
        low: zeros before the first pixel.
        dilation: distance between neighbouring taps.
        between: distance between neighbouring pixels, where zeros are put between them.
    """
    at = np.arange(outputs)[:, None] * stride + np.arange(window)[None, :] * dilation - low
    return int(((at >= 0) & (at <= (image - 1) * between) & (at % between == 0)).sum())


def dot_macs(operation: Operation) -> int:
    """Multiply-adds of a matrix product."""
    (contracted, _), _ = operation.params["dimension_numbers"]
    left = operation.inputs[0] or operation.inputs[1]
    assert left is not None  # a product of two literals has been folded by tracing
    return operation.outputs[0].size * math.prod(left.shape[axis] for axis in contracted)


def convolution_macs(operation: Operation) -> int:
    """Multiply-adds of a convolution, without those with the zeros of its padding."""
    params, (x, kernel), y = operation.params, operation.inputs, operation.outputs[0]
    assert x is not None
    assert kernel is not None
    numbers = params["dimension_numbers"]
    axes = zip(numbers.lhs_spec[2:], numbers.rhs_spec[2:], numbers.out_spec[2:], strict=True)
    total = y.shape[numbers.out_spec[0]] * y.shape[numbers.out_spec[1]] * kernel.shape[numbers.rhs_spec[1]]
    for i, (of_x, of_kernel, of_y) in enumerate(axes):
        total *= taps(
            x.shape[of_x],
            y.shape[of_y],
            kernel.shape[of_kernel],
            params["window_strides"][i],
            params["padding"][i][0],
            params["rhs_dilation"][i],
            params["lhs_dilation"][i],
        )
    return total
