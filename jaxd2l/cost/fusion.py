"""The kernels of a traced program: what a compiler writes to memory, what each finds there, and in which order.

The rules model what XLA does on CPU; `docs/understand/cost.md` compares the two for every network.

- A library routine (matrix product, convolution, reduction, concatenation, loop) reads and writes memory.
- What is elementwise or only moves elements is computed on the fly by whoever reads it and takes no memory, unless
  a routine reads it, it is a result, it is costly and read twice, or it is read `MANY` times.
- A stored array that was cheap to make from one other is, for some of its readers, made again from that other one
  (that saves XLA a read, and costs the memory of both). Not by who reads it behind a barrier.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from jaxd2l.cost.traced import Operation, Operations, Value

__all__ = ["LOOPS", "ROUTINES", "Kernel", "kernels"]

LOOPS = {"scan", "while"}
BARRIER = "optimization_barrier"
ROUTINES = {
    *("dot_general", "conv_general_dilated", "concatenate", "sort", "random_bits", "gather", "cond"),
    *("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"),
    *("scatter", "scatter-add", "scatter-sub", "scatter-mul", "scatter-min", "scatter-max"),
    *("reduce_window", "reduce_window_max", "reduce_window_min", "reduce_window_sum"),
    *("select_and_scatter", "select_and_scatter_add", "select_and_gather_add"),
    *("reduce_sum", "reduce_max", "reduce_min", "reduce_or", "reduce_and", "reduce_xor", "reduce_prod", "reduce"),
    *("argmax", "argmin"),
    *LOOPS,
}
COSTLY = {"exp", "log", "log1p", "logistic", "tanh", "rsqrt", "sqrt", "erf", "pow", "sin", "cos", "div"}
PRODUCTS = {"dot_general", "conv_general_dilated"}
VIEWS = {"reshape", "squeeze", "expand_dims", "stop_gradient", "copy", "bitcast_convert_type"}
MANY = 4  # readers from which on XLA stores a value rather than compute it for each: the four places of a 2x2 pool


class Kernel(NamedTuple):
    """A routine or a fused elementwise computation: what it writes to memory, finds there, and waits for besides."""

    operation: Operation
    writes: tuple[Value, ...]
    reads: tuple[Value, ...]
    waits: tuple[Value, ...]


class _Passed(NamedTuple):
    """What a value behind a barrier is: the stored array before it, and all arrays that pass the barrier with it."""

    array: Value
    together: tuple[Value, ...]


def _through_views(program: Operations) -> tuple[Operations, dict[Value, _Passed]]:
    """The program without what moves nothing: a reshaped array is the array itself, a product is written transposed.

    Nor does a barrier move anything; but what passes through one is stored, and who reads it behind the barrier cannot
    see what it was made of and comes after all that passes with it. The second result is what stands behind barriers.
    """
    same: dict[Value | None, Value | None] = {}
    products: set[Value] = set()
    behind: dict[Value, _Passed] = {}
    kept = []
    for operation in program.operations:
        inputs = tuple(same.get(v, v) for v in operation.inputs)
        if operation.name == BARRIER:
            arrays = [v and _array(v, behind) for v in inputs]
            together = tuple(v for v in arrays if v is not None)
            passed = zip(operation.outputs, arrays, strict=True)
            behind |= {after: _Passed(v, together) for after, v in passed if v is not None}
            continue
        view = operation.name in VIEWS or (operation.name == "transpose" and inputs[0] in products)
        if view and inputs[0] is not None and inputs[0].bytes == operation.outputs[0].bytes:
            same[operation.outputs[0]] = inputs[0]
            continue
        if operation.name == "dot_general":
            products.update(operation.outputs)
        kept.append(operation._replace(inputs=inputs))
    outputs = (same.get(v, v) for v in program.outputs)
    return Operations(program.inputs, tuple(kept), tuple(v and _array(v, behind) for v in outputs)), behind


def _array(v: Value, behind: dict[Value, _Passed]) -> Value:
    return behind[v].array if v in behind else v


def kernels(program: Operations) -> tuple[Operations, list[Kernel]]:
    """What is written to memory, in the order in which it is.

    Args:
        program: flattened.

    Returns:
        The program without views and barriers, so that its results are arrays in memory; and its kernels.
    """
    program, behind = _through_views(program)
    pinned = {passed.array for passed in behind.values()}
    maker = {v: operation for operation in program.operations for v in operation.outputs}
    operands = {v: _operands(operation, maker) for v, operation in maker.items()}
    readers: dict[Value, list[Operation]] = {}
    for operation in program.operations:
        for v in set(operands[operation.outputs[0]]):
            readers.setdefault(v, []).append(operation)
    results = set(program.outputs)

    def stored(v: Value) -> bool:
        name, by = maker[v].name, readers.get(v, [])
        many = len(by) >= MANY and not _constant(v, maker)
        wanted = v in results or v in pinned or many or (name in COSTLY and len(by) > 1)
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
        cheap = not (routine or operation.name in COSTLY)
        again = cheap and sum(2 * u.bytes > v.bytes for u in roots[v]) <= 1
        roots[v] = roots[v] if again else frozenset({v})
        sources[v] = roots[v] | {v}
    found: dict[Value, Kernel] = {}
    for operation in program.operations:
        writes = tuple(v for v in operation.outputs if v in in_memory)
        if writes:
            read = operands[operation.outputs[0]]
            routine = operation.name in ROUTINES
            seen = frozenset(read) if routine else _union(read, lambda u: sources.get(u, frozenset({u})))
            reads = {_array(u, behind) for u in seen}
            waits = {w for u in seen if u in behind for w in behind[u].together} - reads
            in_order = (tuple(sorted(values, key=lambda u: place.get(u, -1))) for values in (reads, waits))
            found |= dict.fromkeys(writes, Kernel(operation, writes, *in_order))
    return program, _scheduled(found)


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
    """Whether it is a number written in the program, spread over an array."""
    if v not in maker or maker[v].name not in ("square", "broadcast_in_dim"):
        return False
    return all(u is None or _constant(u, maker) for u in maker[v].inputs)


def _scheduled(made_by: dict[Value, Kernel]) -> list[Kernel]:
    """Routines in the order of the program, everything else just before its first reader.

    Of the two products of a cotangent, the one that leads to a parameter alone comes after the one that leads further
    back, as XLA has them: what it reads waits for both.
    """
    order: dict[int, Kernel] = {}

    def add(kernel: Kernel) -> None:
        waiting = [kernel]
        while waiting:
            needed = (*waiting[-1].reads, *waiting[-1].waits)
            missing = [made_by[v] for v in needed if v in made_by and id(made_by[v]) not in order]
            if missing:
                waiting.append(missing[0])
            else:
                done = waiting.pop()
                order[id(done)] = done

    leading = _leading(made_by)
    put_off: list[Kernel] = []
    for kernel in made_by.values():
        if kernel.operation.name in PRODUCTS and leading.isdisjoint(kernel.writes):
            put_off.append(kernel)
        elif kernel.operation.name in ROUTINES:
            add(kernel)
            if kernel.operation.name in PRODUCTS and put_off:
                add(put_off.pop(0))
    for kernel in made_by.values():
        add(kernel)
    return list(order.values())


def _leading(made_by: dict[Value, Kernel]) -> set[Value]:
    """The values that some product is computed from, directly or through others."""
    leading: set[Value] = set()
    waiting = [v for k in made_by.values() if k.operation.name in PRODUCTS for v in k.reads]
    while waiting:
        v = waiting.pop()
        if v not in leading:
            leading.add(v)
            waiting.extend(made_by[v].reads if v in made_by else ())
    return leading
