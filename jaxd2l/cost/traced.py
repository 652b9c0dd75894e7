"""A traced program as one flat list of operations: what counting FLOPs, memory and receptive fields walk over.

Calls are replaced by what they call, `lax.platform_dependent` by the branch of one platform. Nothing is compiled
and nothing is allocated.
"""

import math
from typing import Any, NamedTuple

from jax.extend import core

PLATFORM_CHOICE = "platform_index"  # the primitive by which lax.platform_dependent picks its branch


class Value:
    """One array of a traced program; two values are equal only if they are the same one.

    Attributes:
        shape: its sizes.
        dtype: its element type, possibly that of random keys.
    """

    __slots__ = ("dtype", "shape")

    def __init__(self, aval: Any) -> None:
        self.shape: tuple[int, ...] = tuple(aval.shape)
        self.dtype = aval.dtype

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Bytes it takes where it is stored."""
        return self.size * getattr(self.dtype, "itemsize", 8)


class Operation(NamedTuple):
    """One primitive applied to values.

    Attributes:
        name: of the JAX primitive.
        params: of the primitive, as JAX gives them.
        inputs: in order; None for a literal.
        outputs: in order.
        literals: the values of the literals, in order.
        scope: the names of the modules that it belongs to, outermost first, each before a "/".
    """

    name: str
    params: dict[str, Any]
    inputs: tuple[Value | None, ...]
    outputs: tuple[Value, ...]
    literals: tuple[str, ...] = ()
    scope: str = ""


class Operations(NamedTuple):
    """A program: its arguments, what it does in order, and its results (None for a literal)."""

    inputs: tuple[Value, ...]
    operations: tuple[Operation, ...]
    outputs: tuple[Value | None, ...]


def operations_of(closed: core.ClosedJaxpr, platform: str = "cpu") -> Operations:
    """The operations of a traced program, each once and only if its result is read, as a compiler leaves them.

    Args:
        closed: from `jax.make_jaxpr`, or the body of a loop.
        platform: "cpu", "gpu" or "tpu": decides the branches of `lax.platform_dependent`.

    Returns:
        Loops stay one operation each (`scan`, `while`), and so does a `cond` whose data choose; `body` and `branches`
        look inside.
    """
    values: dict[Any, Value | None] = {v: Value(v.aval) for v in (*closed.jaxpr.constvars, *closed.jaxpr.invars)}
    inputs = tuple(v for v in values.values() if v is not None)
    found: list[Operation] = []
    outputs = _walk(closed.jaxpr, values, {}, found, platform, "")
    return _without_repeats(Operations(inputs, _without_dead(found, outputs), tuple(outputs)))


def body(operation: Operation, platform: str = "cpu") -> Operations:
    """What one round of a loop does."""
    return operations_of(operation.params["jaxpr" if operation.name == "scan" else "body_jaxpr"], platform)


def branches(operation: Operation, platform: str = "cpu") -> list[Operations]:
    """What a `cond` may do, of which its data choose one."""
    return [operations_of(branch, platform) for branch in operation.params["branches"]]


def rounds(operation: Operation) -> int:
    """How often a loop runs; a `while` whose end depends on its data counts once."""
    return int(operation.params["length"]) if operation.name == "scan" else 1


def _walk(
    jaxpr: core.Jaxpr,
    values: dict[Any, Value | None],
    chosen: dict[Any, int],
    found: list[Operation],
    platform: str,
    scope: str,
) -> list[Value | None]:
    def read(v: Any) -> Value | None:
        return None if isinstance(v, core.Literal) else values[v]

    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if name == PLATFORM_CHOICE:
            chosen[equation.outvars[0]] = _branch(equation.params["platforms"], platform)
            values[equation.outvars[0]] = Value(equation.outvars[0].aval)
            continue
        sub, arguments = _called(equation, chosen)
        inside = f"{scope}/{equation.source_info.name_stack}"
        if sub is None:
            inputs = tuple(map(read, equation.invars))
            outputs = tuple(Value(v.aval) for v in equation.outvars)
            values |= zip(equation.outvars, outputs, strict=True)
            literals = tuple(repr(v.val) for v in equation.invars if isinstance(v, core.Literal))
            found.append(Operation(name, equation.params, inputs, outputs, literals, inside))
            continue
        inner: dict[Any, Value | None] = {v: Value(v.aval) for v in sub.constvars}
        given = list(map(read, arguments))
        if equation.params.get("differentiated") and equation.params.get("prevent_cse"):
            given = _behind_barrier(given, found)  # as jax.checkpoint is lowered: the recomputation is not shared
        inner |= zip(sub.invars, given, strict=True)
        passed = {
            v: chosen[a]
            for v, a in zip(sub.invars, arguments, strict=True)
            if not isinstance(a, core.Literal) and a in chosen
        }
        results = _walk(sub, inner, passed, found, platform, inside)
        values |= zip(equation.outvars, results, strict=True)
        chosen |= {  # which comes out again where a backward pass keeps it
            outer: passed[v]
            for v, outer in zip(sub.outvars, equation.outvars, strict=True)
            if not isinstance(v, core.Literal) and v in passed
        }
    return [read(v) for v in jaxpr.outvars]


def _behind_barrier(values: list[Value | None], found: list[Operation]) -> list[Value | None]:
    behind = [v and Value(v) for v in values]
    kept = [(v, b) for v, b in zip(values, behind, strict=True) if v is not None and b is not None]
    before, after = zip(*kept, strict=True) if kept else ((), ())
    found.append(Operation("optimization_barrier", {"behind": len(found)}, before, after))
    return behind


def _called(equation: Any, chosen: dict[Any, int]) -> tuple[core.Jaxpr | None, list[Any]]:
    """The program that an equation stands for and its arguments; None if it is an operation of its own."""
    params, name = equation.params, equation.primitive.name
    if name == "cond" and not isinstance(equation.invars[0], core.Literal) and equation.invars[0] in chosen:
        return params["branches"][chosen[equation.invars[0]]].jaxpr, equation.invars[1:]
    if name in ("scan", "while", "cond", "reduce", "reduce_window"):  # within the last two: what joins two elements
        return None, []
    for key in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        sub = getattr(params.get(key), "jaxpr", params.get(key))
        if isinstance(sub, core.Jaxpr) and len(sub.invars) == len(equation.invars):
            return sub, equation.invars
    return None, []


def _branch(platforms: Any, platform: str) -> int:
    """Index of the branch for `platform`: the one that names it, or else the default (None)."""
    aliases = {"gpu": {"gpu", "cuda", "rocm"}}.get(platform, {platform})
    for i, names in enumerate(platforms):
        if names is not None and aliases & set(names):
            return i
    return next(i for i, names in enumerate(platforms) if names is None)


def _without_dead(found: list[Operation], outputs: list[Value | None]) -> tuple[Operation, ...]:
    read, kept = set(outputs), []
    for operation in reversed(found):
        if any(v in read for v in operation.outputs):
            read.update(operation.inputs)
            kept.append(operation)
    return tuple(reversed(kept))


def _without_repeats(program: Operations) -> Operations:
    """The same operation on the same values is done once; not across the barriers that rematerialisation puts up."""
    same: dict[Value | None, Value | None] = {}
    first: dict[tuple[Any, ...], Operation] = {}
    kept = []
    for operation in program.operations:
        inputs = tuple(same.get(v, v) for v in operation.inputs)
        if any(isinstance(p, core.ClosedJaxpr | core.Jaxpr) for p in operation.params.values()):
            kept.append(operation._replace(inputs=inputs))
            continue
        key = (operation.name, inputs, operation.literals, repr(sorted(operation.params.items(), key=lambda p: p[0])))
        twin = first.setdefault(key, operation._replace(inputs=inputs))
        if twin.outputs is operation.outputs:
            kept.append(twin)
        else:
            same |= zip(operation.outputs, twin.outputs, strict=True)
    return Operations(program.inputs, tuple(kept), tuple(same.get(v, v) for v in program.outputs))
