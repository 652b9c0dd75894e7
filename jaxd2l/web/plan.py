"""A network as a list of operations on arrays: what the page's interpreter runs.

Every array has a number. Constants lie in one run of float32; the others are results of steps, in order. The batch
axis stays, of size 1. `assets/interpreter.js` says what each operation does.
"""

import math
from typing import Any, NamedTuple

import numpy as np


class Value(NamedTuple):
    """An array of the plan by its number."""

    number: int
    shape: tuple[int, ...]


class Step(NamedTuple):
    """One operation.

    Attributes:
        operation: its name in the interpreter.
        inputs: numbers of arrays.
        output: likewise.
        settings: what the operation needs besides.
        scope: path of the layer it belongs to, such as "Residual_1/Conv_0"; "" for the network's own code.
    """

    operation: str
    inputs: tuple[int, ...]
    output: int
    settings: dict[str, Any]
    scope: str


class Layer(NamedTuple):
    """A result that is shown while one draws: the array's number, and what it is."""

    number: int
    name: str


class Plan(NamedTuple):
    """A whole network.

    Attributes:
        shapes: of all arrays.
        constants: the arrays that are given, by number.
        input: number of the stored example, (1, h, w, c), values 0 to 255.
        outputs: numbers of what the traced function returned.
        steps: in order.
    """

    shapes: tuple[tuple[int, ...], ...]
    constants: dict[int, np.ndarray]
    input: int
    outputs: tuple[int, ...]
    steps: tuple[Step, ...]

    @property
    def constant_bytes(self) -> int:
        """Of all constants as float32."""
        return 4 * sum(math.prod(self.shapes[number]) for number in self.constants)

    @property
    def multiplications(self) -> int:
        """Multiply-adds of convolutions and products in one forward pass."""
        total = 0
        for step in self.steps:
            if step.operation == "convolve":
                kernel = self.shapes[step.inputs[1]]
                total += math.prod(self.shapes[step.output]) * math.prod(kernel[:3])
            elif step.operation == "multiply":
                total += math.prod(self.shapes[step.output]) * self.shapes[step.inputs[0]][-1]
        return total

    def packed(self) -> tuple[dict[str, Any], bytes]:
        """The plan as plain values for JSON, and the constants as little-endian float32, one after another."""
        offsets, parts, place = {}, [], 0
        for number, constant in self.constants.items():
            part = np.ascontiguousarray(constant, "<f4")
            offsets[number] = place
            place += part.size
            parts.append(part.tobytes())
        arrays = [
            {"shape": shape} | ({"offset": offsets[number]} if number in offsets else {})
            for number, shape in enumerate(self.shapes)
        ]
        steps = [{"operation": s.operation, "inputs": s.inputs, "output": s.output, **s.settings} for s in self.steps]
        return {"arrays": arrays, "input": self.input, "steps": steps}, b"".join(parts)
