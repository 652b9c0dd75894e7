"""Steps put together: operands are results of steps or constants, whose shapes are known."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxd2l.nn.kernels.reading import known_broadcast
from jaxd2l.web.plan import Plan, Step, Value

type Operand = Value | np.ndarray


def row_strides(shape: Sequence[int]) -> list[int]:
    """Elements from one index to the next, along each axis of an array whose last axis is contiguous."""
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


class Builder:
    """Collects the arrays and steps of a plan.

    Attributes:
        scope: path of the layer that the next steps belong to.
        who: a page, as errors name what the steps are for.
    """

    def __init__(self) -> None:
        self.scope, self.who = "", "a page"
        self._shapes: list[tuple[int, ...]] = []
        self._constants: dict[int, np.ndarray] = {}
        self._same: dict[int, tuple[np.ndarray, Value]] = {}
        self._steps: dict[int, Step] = {}

    def new(self, shape: Sequence[int]) -> Value:
        """An array that is not yet made."""
        self._shapes.append(tuple(int(size) for size in shape))
        return Value(len(self._shapes) - 1, self._shapes[-1])

    def use(self, operand: Operand) -> Value:
        """The operand as an array of the plan; a constant is kept once."""
        if isinstance(operand, Value):
            return operand
        if id(operand) not in self._same:
            value = self.new(operand.shape)
            self._constants[value.number] = operand
            self._same[id(operand)] = operand, value  # kept alive, or its id would be another's
        return self._same[id(operand)][1]

    def step(self, operation: str, inputs: Sequence[Operand], shape: Sequence[int], **settings: Any) -> Value:
        """One more operation; its result."""
        numbers = tuple(self.use(operand).number for operand in inputs)
        output = self.new(shape)
        self._steps[output.number] = Step(operation, numbers, output.number, settings, self.scope)
        return output

    def made_by(self, value: Operand) -> Step | None:
        """The step whose result an operand is."""
        return self._steps.get(value.number) if isinstance(value, Value) else None

    def constant(self, number: int) -> np.ndarray | None:
        """The constant of this number."""
        return self._constants.get(number)

    def reshape(self, operand: Operand, shape: Sequence[int]) -> Operand:
        """The same elements in another shape."""
        if operand.shape == tuple(shape):
            return operand
        return operand.reshape(shape) if isinstance(operand, np.ndarray) else self.step("reshape", [operand], shape)

    def view(self, operand: Value, shape: Sequence[int], strides: Sequence[int], offset: int = 0) -> Value:
        """Elements picked by index: that at (i, j, ...) is `offset + i strides[0] + j strides[1] + ...`."""
        return self.step("view", [operand], shape, strides=[int(s) for s in strides], offset=int(offset))

    def transpose(self, operand: Operand, axes: Sequence[int]) -> Operand:
        """Axes in another order."""
        if list(axes) == list(range(len(axes))):
            return operand
        if isinstance(operand, np.ndarray):
            return operand.transpose(axes)
        strides = row_strides(operand.shape)
        return self.view(operand, [operand.shape[axis] for axis in axes], [strides[axis] for axis in axes])

    def broadcast(self, operand: Operand, shape: Sequence[int], axes: Sequence[int]) -> Operand:
        """An array along more axes: its axis i becomes `axes[i]`, repeated where it has size 1."""
        if isinstance(operand, np.ndarray):
            return known_broadcast(operand, shape, axes)
        expanded = [1] * len(shape)
        strides = [0] * len(shape)
        for axis, size, stride in zip(axes, operand.shape, row_strides(operand.shape), strict=True):
            expanded[axis], strides[axis] = size, stride if size > 1 else 0
        if tuple(expanded) == tuple(shape):
            return self.reshape(operand, shape)
        return self.view(operand, shape, strides)

    def aligned(self, operand: Operand, shape: tuple[int, ...]) -> Operand:
        """An operand of an elementwise operation, so that its elements repeat in order over those of `shape`."""
        if isinstance(operand, np.ndarray):
            repeated = tuple(slice(0, 1) if step == 0 else slice(None) for step in operand.strides)
            operand = operand[repeated]
        small = list(operand.shape)
        while small and small[0] == 1:
            small.pop(0)
        if tuple(small) == shape[len(shape) - len(small) :]:
            return operand
        first = len(shape) - len(operand.shape)
        whole = self.broadcast(operand, shape, range(first, len(shape)))
        return np.ascontiguousarray(whole) if isinstance(whole, np.ndarray) else whole

    def plan(self, given: Value, outputs: Sequence[Operand]) -> Plan:
        """The steps that the outputs need, and the constants that these read."""
        results = [self.use(output).number for output in outputs]
        needed, kept = {given.number, *results}, []
        for number in sorted(self._steps, reverse=True):
            if number in needed:
                kept.append(self._steps[number])
                needed.update(self._steps[number].inputs)
        new = {number: place for place, number in enumerate(sorted(needed))}
        steps = [
            step._replace(inputs=tuple(new[n] for n in step.inputs), output=new[step.output]) for step in reversed(kept)
        ]
        constants = {new[number]: array for number, array in self._constants.items() if number in needed}
        shapes = tuple(self._shapes[number] for number in sorted(needed))
        return Plan(shapes, constants, new[given.number], tuple(new[n] for n in results), tuple(steps))
