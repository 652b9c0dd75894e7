"""Receptive fields: how much of the input an element of a layer's output sees (D2L sec_conv_layer).

Followed forwards through a traced network. Each value carries, for each axis of space, the interval of input pixels
that its element i sees: from `sum(steps * i) + low` to `sum(steps * i) + high`. A convolution widens it, a stride
multiplies the steps, an addition takes the union.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from jaxd2l.cost.fusion import ROUTINES
from jaxd2l.cost.traced import Operation, Operations, Value

PASSED_ON = {"squeeze", "expand_dims", "reshape"}
MIXED = {*ROUTINES, "rev", "fft", "triangular_solve", "dynamic_update_slice"} - {"concatenate"}


class View(NamedTuple):
    """What element i of a value sees along one axis of the input.

    Attributes:
        steps: input pixels from one element to the next, for each axis of the value.
        low: first pixel that element 0 sees; negative inside the padding.
        high: last pixel that element 0 sees.
    """

    steps: tuple[float, ...]
    low: float
    high: float


Views = tuple[View, ...]


def receptive_fields(program: Operations, x: Value, space: Sequence[int]) -> list[tuple[str, tuple[int, ...]]]:
    """The scope and the receptive field of each convolution of `program`, in order.

    Args:
        program: a flattened network, for a platform where convolutions are plain.
        x: its input, an argument of the program.
        space: the axes of `x` that are space.

    Returns:
        For each convolution pixels along each axis of space; the padding counts, as it does in the literature.
        Where an axis is seen as a whole, its size.
    """
    views: dict[Value, Views] = {
        x: tuple(View(tuple(float(axis == d) for axis in range(len(x.shape))), 0.0, 0.0) for d in space)
    }
    found = []
    for operation in program.operations:
        seen = [v for v in operation.inputs if v in views]
        if not seen:
            continue
        for i, output in enumerate(operation.outputs):
            views[output] = tuple(_through(operation, i, [views[v][d] for v in seen], seen) for d in range(len(space)))
        if operation.name == "conv_general_dilated":
            sizes = (view.high - view.low + 1 for view in views[operation.outputs[0]])
            field = tuple(x.shape[d] if math.isinf(size) else int(size) for d, size in zip(space, sizes, strict=True))
            found.append((operation.scope, field))
    return found


def _through(operation: Operation, output: int, seen: list[View], values: Sequence[Value | None]) -> View:
    """The view of one result, from those of the operands that see the input."""
    name, params, result = operation.name, operation.params, operation.outputs[output]
    view, value = seen[0], values[0]
    assert value is not None
    if name == "conv_general_dilated":
        return _convolution(operation, view)
    if name == "transpose":
        return view._replace(steps=tuple(view.steps[axis] for axis in params["permutation"]))
    if name == "broadcast_in_dim":
        steps = [0.0] * len(result.shape)
        for axis, target in enumerate(params["broadcast_dimensions"]):
            steps[target] = view.steps[axis] if value.shape[axis] == result.shape[target] else 0.0
        return view._replace(steps=tuple(steps))
    if name == "slice":
        strides = params["strides"] or (1,) * len(value.shape)
        return _moved(view, params["start_indices"], strides)
    if name == "pad":
        config = params["padding_config"]
        if all(between == 0 for _, _, between in config):
            return _moved(view, [-low for low, _, _ in config], (1,) * len(config))
    if name in PASSED_ON and value.size == result.size:
        return _reshaped(view, value.shape, result.shape)
    if name.startswith("reduce_window"):
        return _windowed(view, params)
    if name.startswith("reduce_") and name in ROUTINES:
        return _reduced(view, value.shape, params["axes"])
    if name == "dot_general" and len(seen) == 1:
        return _product(operation, view, value)
    if name in ("concatenate", "split"):
        axis = params["dimension" if name == "concatenate" else "axis"]
        if any(v.steps[axis] for v in seen):  # pieces side by side in space: their places are not followed
            return _whole(result.shape)
    if name in MIXED and not _beside_space(operation, seen):
        return _whole(result.shape)
    alike = all(v.steps == view.steps for v in seen) and len(view.steps) == len(result.shape)
    if alike and (name in ("concatenate", "split") or value.shape == result.shape):
        return View(view.steps, min(v.low for v in seen), max(v.high for v in seen))
    return _whole(result.shape)


def _beside_space(operation: Operation, seen: Sequence[View]) -> bool:
    """Whether what mixes the elements along some axes does so along axes of no space, such as channels."""
    params, name = operation.params, operation.name
    if name == "rev":
        axes = params["dimensions"]
    elif name == "sort" or name.startswith("cum"):
        axes = (params["dimension" if name == "sort" else "axis"],)
    else:
        return False
    return not any(view.steps[axis] for view in seen for axis in axes)


def _whole(shape: Sequence[int]) -> View:
    return View((0.0,) * len(shape), -math.inf, math.inf)


def _moved(view: View, starts: Sequence[int], strides: Sequence[int]) -> View:
    shift = sum(step * start for step, start in zip(view.steps, starts, strict=True))
    steps = tuple(step * stride for step, stride in zip(view.steps, strides, strict=True))
    return View(steps, view.low + shift, view.high + shift)


def _windowed(view: View, params: dict[str, Any]) -> View:
    """A pool of windows."""
    low, high = view.low, view.high
    for axis, step in enumerate(view.steps):
        before = params["padding"][axis][0]
        low -= step * before
        high += step * (params["window_dilation"][axis] * (params["window_dimensions"][axis] - 1) - before)
    steps = tuple(step * stride for step, stride in zip(view.steps, params["window_strides"], strict=True))
    return View(steps, low, high)


def _reduced(view: View, shape: Sequence[int], axes: Sequence[int]) -> View:
    reach = [view.steps[axis] * (shape[axis] - 1) for axis in axes]
    steps = tuple(step for axis, step in enumerate(view.steps) if axis not in axes)
    low, high = (sum(f(r, 0.0) for r in reach) for f in (min, max))
    return View(steps, view.low + low, view.high + high)


def _product(operation: Operation, view: View, value: Value) -> View:
    """A matrix product sums over its contracted axes; its other axes are those of one operand, then the other."""
    contracted, batch = operation.params["dimension_numbers"]
    side = 0 if operation.inputs[0] is value else 1
    free = [axis for axis in range(len(value.shape)) if axis not in (*contracted[side], *batch[side])]
    others = len(operation.outputs[0].shape) - len(batch[side]) - len(free)
    kept = _reduced(view, value.shape, contracted[side])
    of_batch, of_free = [view.steps[axis] for axis in batch[side]], [view.steps[axis] for axis in free]
    zeros = [0.0] * others
    return kept._replace(steps=tuple(of_batch + (of_free + zeros if side == 0 else zeros + of_free)))


def _reshaped(view: View, old: Sequence[int], new: Sequence[int]) -> View:
    """Axes split or merged in reading order; an axis merged with one of other steps sees everything."""
    if 0 in new:
        return _whole(new)
    flat: list[tuple[int, float]] = [(n, s) for n, s in zip(old, view.steps, strict=True) if n > 1]
    steps = []
    for size in new:
        if size == 1:
            steps.append(0.0)
            continue
        n, step = flat.pop(0)
        while n < size and flat:
            m, inner = flat.pop(0)
            if step != inner * m:
                return _whole(new)
            n, step = n * m, inner
        if n % size:
            return _whole(new)
        if n > size:
            flat.insert(0, (n // size, step))
            step *= n // size
        steps.append(step)
    return view._replace(steps=tuple(steps))


def _convolution(operation: Operation, view: View) -> View:
    params, numbers = operation.params, operation.params["dimension_numbers"]
    kernel = operation.inputs[1]
    assert kernel is not None
    if any(between > 1 for between in params["lhs_dilation"]):  # outputs see pixels by their place between them
        return _whole(operation.outputs[0].shape)
    steps, low, high = [0.0] * len(view.steps), view.low, view.high
    steps[numbers.out_spec[0]] = view.steps[numbers.lhs_spec[0]]
    for i, (of_x, of_kernel, of_y) in enumerate(
        zip(numbers.lhs_spec[2:], numbers.rhs_spec[2:], numbers.out_spec[2:], strict=True)
    ):
        step = view.steps[of_x]
        steps[of_y] = step * params["window_strides"][i]
        low -= step * params["padding"][i][0]
        high += step * (params["rhs_dilation"][i] * (kernel.shape[of_kernel] - 1) - params["padding"][i][0])
    return View(tuple(steps), low, high)
