"""Peak memory of a traced program, by following which arrays are alive (liveness analysis), without compiling it.

What is written to memory, and in which order, is that of `jaxd2l.cost.fusion`. A buffer is free after its last reader.
An elementwise result takes the place of an operand that ends there, and the new state that of the donated old one.
"""

from typing import NamedTuple

from jaxd2l.cost.fusion import LOOPS, ROUTINES, Kernel, kernels
from jaxd2l.cost.traced import Operation, Operations, Value, body


class Peak(NamedTuple):
    """The arrays alive at the moment when they take the most memory, in bytes; arguments do not count.

    Attributes:
        gradients: of the parameters, waiting for the update.
        activations: made before the loss was known and still waiting for the backward pass.
        workspace: everything else.
        boundary: activations alive at the moment when the loss is known, which need not be the peak.
    """

    gradients: int
    activations: int
    workspace: int
    boundary: int

    @property
    def total(self) -> int:
        """Bytes at the peak."""
        return self.gradients + self.activations + self.workspace


def peak(program: Operations, donated: int = 0, loss: int | None = None, platform: str = "cpu") -> Peak:
    """Follow the arrays of `program` from its first operation to its last.

    Args:
        program: flattened.
        donated: its first so many results are written in place of arguments, so they take no memory.
        loss: which result is the loss, the end of the forward pass; None where there is no backward pass.
        platform: decides the branches inside loops.

    Returns:
        The peak, arguments excluded.
    """
    program, written = kernels(program)
    in_place = {v for v in program.outputs[:donated] if v is not None}
    last = {v: t for t, kernel in enumerate(written) for v in kernel.reads}
    last |= {v: len(written) for v in program.outputs if v is not None}
    gradients = {v for k in written if not in_place.isdisjoint(k.writes) for v in k.reads} - set(program.inputs)
    boundary = -1 if loss is None else _known_at(program.outputs[loss], written)

    alive: dict[Value, int] = {}
    forward: set[Value] = set()
    worst, waiting = Peak(0, 0, 0, 0), 0
    for t, kernel in enumerate(written):
        inner = _round(kernel.operation, program, loss, platform)
        ending = [v for v in kernel.reads if v in alive and last[v] <= t]
        for v in kernel.writes:
            size = 0 if v in in_place else v.bytes
            twin = next((d for d in ending if alive[d] == size), None)
            if twin is not None and (kernel.operation.name not in ROUTINES or kernel.operation.name in LOOPS):
                ending.remove(twin)
                del alive[twin]
            alive[v] = size
        total = sum(alive.values()) + inner.total
        if total > worst.total:
            held = inner.gradients + sum(b for v, b in alive.items() if v in gradients and v not in forward)
            kept = inner.activations + sum(b for v, b in alive.items() if v in forward and last[v] > boundary)
            worst = Peak(held, kept, total - held - kept, 0)
        for v in (*ending, *(v for v in kernel.writes if last.get(v, -1) <= t)):
            alive.pop(v, None)
        if t <= boundary:
            forward.update(kernel.writes)
            waiting = sum(alive.values())
        waiting = inner.boundary or waiting
    return worst._replace(boundary=waiting)


def _known_at(value: Value | None, written: list[Kernel]) -> int:
    """When a value is known: where the routine that makes it, or the last one it is computed from, stands."""
    at = {v: t for t, kernel in enumerate(written) for v in kernel.writes}
    if value not in at:
        return -1
    kernel = written[at[value]]
    if kernel.operation.name in ROUTINES:
        return at[value]
    return max((at[v] for v in kernel.reads if v in at), default=-1)


def _round(operation: Operation, program: Operations, loss: int | None, platform: str) -> Peak:
    """What one round of a loop adds to the arrays around it; nothing for any other operation."""
    if operation.name not in LOOPS:
        return Peak(0, 0, 0, 0)
    inner = body(operation, platform)
    carried = 0  # the results that go into the next round keep their shape; those that are stacked gain an axis
    for outer, one in zip(operation.outputs, inner.outputs, strict=True):
        if one is not None and one.shape != outer.shape:
            break
        carried += 1
    marker = None if loss is None else program.outputs[loss]
    at = next((i for i, v in enumerate(operation.outputs[:carried]) if v is marker), None)
    return peak(inner, carried, at, platform)
