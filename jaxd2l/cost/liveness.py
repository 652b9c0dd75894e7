"""Peak memory of a traced program, by following which arrays are alive (liveness analysis), without compiling it.

The rules below model what XLA does on CPU; `docs/understand/cost.md` compares the two for every network.

- A library routine (matrix product, convolution, reduction, concatenation, loop) reads and writes memory.
- What is elementwise or only moves elements is computed on the fly by whoever reads it and takes no memory, unless
  a routine reads it, it is a result, it is costly and read twice, or it is read `MANY` times.
- A stored array that was cheap to make from one other is, for some of its readers, made again from that other one
  (that saves XLA a read, and costs the memory of both).
- A buffer is free after its last reader. An elementwise result takes the place of an operand that ends there, and the
  new state that of the donated old one.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from jaxd2l.cost.traced import Operation, Operations, Value, body

LOOPS = {"scan", "while"}
BARRIER = "optimization_barrier"
ROUTINES = {
    *("dot_general", "conv_general_dilated", "concatenate", "sort", "random_bits", "cumsum", "gather", "cond"),
    *("scatter", "scatter_add", "reduce_window", "reduce_window_max", "select_and_scatter_add"),
    *("reduce_sum", "reduce_max", "reduce_min", "reduce_or", "reduce_and", "reduce_prod", "argmax", "argmin"),
    *LOOPS,
}
COSTLY = {"exp", "log", "log1p", "logistic", "tanh", "rsqrt", "sqrt", "erf", "pow", "sin", "cos", "div"}
VIEWS = {"reshape", "squeeze", "expand_dims", "stop_gradient", "copy", "bitcast_convert_type"}
MANY = 4  # readers from which on XLA stores a value rather than compute it for each: the four places of a 2x2 pool


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


class _Kernel(NamedTuple):
    """A routine or a fused elementwise computation: what it writes to memory and what it finds there."""

    operation: Operation
    writes: tuple[Value, ...]
    reads: tuple[Value, ...]


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
    program, pinned = _through_views(program)
    kernels = _kernels(program, pinned)
    in_place = {v for v in program.outputs[:donated] if v is not None}
    last = {v: t for t, kernel in enumerate(kernels) for v in kernel.reads}
    last |= {v: len(kernels) for v in program.outputs if v is not None}
    gradients = {v for k in kernels if not in_place.isdisjoint(k.writes) for v in k.reads} - set(program.inputs)
    boundary = -1 if loss is None else _known_at(program.outputs[loss], kernels)

    alive: dict[Value, int] = {}
    forward: set[Value] = set()
    worst, waiting = Peak(0, 0, 0, 0), 0
    for t, kernel in enumerate(kernels):
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
        waiting = max(waiting, inner.boundary)
    return worst._replace(boundary=waiting)


def _known_at(value: Value | None, kernels: list[_Kernel]) -> int:
    """When a value is known: where the routine that makes it, or the last one it is computed from, stands."""
    at = {v: t for t, kernel in enumerate(kernels) for v in kernel.writes}
    if value not in at:
        return -1
    kernel = kernels[at[value]]
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


def _through_views(program: Operations) -> tuple[Operations, set[Value]]:
    """The program without what moves nothing: a reshaped array is the array itself, a product is written transposed.

    Nor does a barrier move anything; but what passes through one is stored, and comes back as the second result.
    """
    same: dict[Value | None, Value | None] = {}
    products: set[Value] = set()
    pinned: set[Value] = set()
    kept = []
    for operation in program.operations:
        inputs = tuple(same.get(v, v) for v in operation.inputs)
        if operation.name == BARRIER:
            same |= zip(operation.outputs, inputs, strict=True)
            pinned.update(v for v in inputs if v is not None)
            continue
        view = operation.name in VIEWS or (operation.name == "transpose" and inputs[0] in products)
        if view and inputs[0] is not None and inputs[0].bytes == operation.outputs[0].bytes:
            same[operation.outputs[0]] = inputs[0]
            continue
        if operation.name == "dot_general":
            products.update(operation.outputs)
        kept.append(operation._replace(inputs=inputs))
    return Operations(program.inputs, tuple(kept), tuple(same.get(v, v) for v in program.outputs)), pinned


def _kernels(program: Operations, pinned: set[Value]) -> list[_Kernel]:
    """What is written to memory, in the order in which it is."""
    maker = {v: operation for operation in program.operations for v in operation.outputs}
    operands = {v: _operands(operation, maker) for v, operation in maker.items()}
    readers: dict[Value, list[Operation]] = {}
    for operation in program.operations:
        for v in set(operands[operation.outputs[0]]):
            readers.setdefault(v, []).append(operation)
    results = set(program.outputs)

    def stored(v: Value) -> bool:
        name, by = maker[v].name, readers.get(v, [])
        wanted = v in results or v in pinned or len(by) >= MANY or (name in COSTLY and len(by) > 1)
        return wanted or name in ROUTINES or any(reader.name in ROUTINES for reader in by)

    in_memory = {v for v in maker if stored(v)}
    place = {v: i for i, v in enumerate((*program.inputs, *maker))}  # a set of values has no order of its own
    sources: dict[Value, frozenset[Value]] = {}  # what a fused reader of a value finds in memory
    roots: dict[Value, frozenset[Value]] = {}  # what it takes to make the value again
    for v, operation in maker.items():  # in order, so the operands of each are known
        routine = operation.name in ROUTINES
        roots[v] = frozenset({v}) if routine else _union(operands[v], lambda u: roots.get(u, frozenset({u})))
        if v not in in_memory:
            sources[v] = _union(operands[v], lambda u: sources.get(u, frozenset({u})))
            continue
        narrowed = v in pinned and any(_itemsize(u) > _itemsize(v) for u in roots[v])  # the wide one is let go
        cheap = not (routine or narrowed or operation.name in COSTLY)
        again = cheap and sum(2 * u.bytes > v.bytes for u in roots[v]) <= 1
        roots[v] = roots[v] if again else frozenset({v})
        sources[v] = roots[v] | {v}
    kernels: dict[Value, _Kernel] = {}
    for operation in program.operations:
        writes = tuple(v for v in operation.outputs if v in in_memory)
        if writes:
            found = operands[operation.outputs[0]]
            routine = operation.name in ROUTINES
            reads = frozenset(found) if routine else _union(found, lambda u: sources.get(u, frozenset({u})))
            in_order = tuple(sorted(reads, key=lambda u: place.get(u, -1)))
            kernels |= dict.fromkeys(writes, _Kernel(operation, writes, in_order))
    return _scheduled(kernels)


def _itemsize(v: Value) -> int:
    return getattr(v.dtype, "itemsize", 8)


def _union(values: Iterable[Value], of: Callable[[Value], frozenset[Value]]) -> frozenset[Value]:
    return frozenset[Value]().union(*map(of, values))


def _operands(operation: Operation, maker: dict[Value, Operation]) -> tuple[Value, ...]:
    """The values it reads; a sum squares what it reads on the way (`optax.tree.norm` writes that as x^2 + 0^2)."""
    values = tuple(v for v in operation.inputs if v is not None)
    if operation.name != "reduce_sum":
        return values
    (v,) = values
    while v in maker and maker[v].name in ("square", "add"):
        varying = [u for u in maker[v].inputs if u is not None and not _constant(u, maker)]
        if len(varying) != 1:
            break
        v = varying[0]
    return (v,)


def _constant(v: Value, maker: dict[Value, Operation]) -> bool:
    if v not in maker or maker[v].name not in ("square", "broadcast_in_dim"):
        return False
    return all(u is None or _constant(u, maker) for u in maker[v].inputs)


def _scheduled(kernels: dict[Value, _Kernel]) -> list[_Kernel]:
    """Routines in the order of the program, everything else just before its first reader."""
    order: dict[int, _Kernel] = {}

    def add(kernel: _Kernel) -> None:
        waiting = [kernel]
        while waiting:
            missing = [kernels[v] for v in waiting[-1].reads if v in kernels and id(kernels[v]) not in order]
            if missing:
                waiting.append(missing[0])
            else:
                done = waiting.pop()
                order[id(done)] = done

    for kernel in kernels.values():
        if kernel.operation.name in ROUTINES:
            add(kernel)
    for kernel in kernels.values():
        add(kernel)
    return list(order.values())
