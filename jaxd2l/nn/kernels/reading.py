"""A network read operation by operation, for who writes it down for something else than JAX.

It is traced plainly. What depends on the weights alone is computed here and becomes a constant: the factor of a batch
normalisation, the matrices of a resize. What depends on the example is handed to a function for each primitive.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from jaxd2l.nn.kernels.tracing import plain_tracing

__all__ = ["Reader", "Taken", "UnknownOperationError", "known_broadcast", "read_network", "taken", "window_reduction"]

PyTree = Any


class UnknownOperationError(ValueError):
    """A network holds an operation that the reader cannot compute."""


class Reader(Protocol):
    """What operations are handed to.

    Attributes:
        scope: path of the layer that the next operation belongs to.
        who: the reader, as errors name it: "a page".
    """

    scope: str
    who: str


def read_network(
    function: Callable[..., Any],
    variables: PyTree,
    x: jax.ShapeDtypeStruct,
    given: Any,
    reader: Reader,
    operations: Mapping[str, Callable[..., Any]],
) -> list[Any]:
    """Hand the operations of `function(variables, x)` to a reader, in order.

    Args:
        function: pure.
        variables: known numbers.
        x: shape and dtype of what is not known; the size of an axis may be symbolic (`jax.export`).
        given: stands for `x`; results that are not known are of its type, known ones are arrays of NumPy.
        reader: is handed them.
        operations: by the name of a primitive, `operation(reader, equation, *operands)` to its result or results.

    Returns:
        What stands for the results, in order.

    Raises:
        UnknownOperationError: there is none for a primitive; the message names it and its layer.
    """
    with plain_tracing():
        closed = jax.make_jaxpr(function)(variables, x)
    known: list[Any] = [np.asarray(leaf) for leaf in jax.tree.leaves(variables)]
    walk = _Walk(reader, operations, type(given))
    return walk.results(closed.jaxpr, list(map(np.asarray, closed.consts)), [*known, given], "")


class _Walk:
    def __init__(self, reader: Reader, operations: Mapping[str, Callable[..., Any]], unknown: type) -> None:
        self.reader, self.operations, self.unknown = reader, operations, unknown

    def results(self, jaxpr: core.Jaxpr, constants: list[Any], arguments: list[Any], scope: str) -> list[Any]:
        values: dict[Any, Any] = dict(zip(jaxpr.constvars, constants, strict=True))
        values |= zip(jaxpr.invars, arguments, strict=True)

        def read(variable: Any) -> Any:
            if isinstance(variable, core.Literal):
                kind: Any = variable.aval
                return np.asarray(variable.val, kind.dtype)
            return values[variable]

        for equation in jaxpr.eqns:
            operands = [read(variable) for variable in equation.invars]
            path = _joined(scope, str(equation.source_info.name_stack))
            called = _called(equation, operands)
            if called is not None:
                inner, inner_constants, operands = called
                found = self.results(inner, inner_constants, operands, path)
            elif not any(isinstance(operand, self.unknown) for operand in operands) and _sized(equation):
                found = _computed(equation, operands)
            else:
                self.reader.scope = path
                found = self.translated(equation, operands)
            values |= zip(equation.outvars, found, strict=True)
        return [read(variable) for variable in jaxpr.outvars]

    def translated(self, equation: Any, operands: list[Any]) -> list[Any]:
        reader, name = self.reader, equation.primitive.name
        where = f" in {reader.scope}" if reader.scope else ""
        if name not in self.operations:
            raise UnknownOperationError(f"the network computes {name}{where}, which {reader.who} cannot")
        narrow = [v.aval.dtype for v in (*equation.invars, *equation.outvars) if v.aval.dtype.itemsize == 2]
        if narrow:
            raise UnknownOperationError(
                f"the network computes {name}{where} in {narrow[0]}; {reader.who} computes in float32"
            )
        try:
            found = self.operations[name](reader, equation, *operands)
        except UnknownOperationError as error:
            raise UnknownOperationError(
                f"the network computes {name}{where} {error}, which {reader.who} cannot"
            ) from error
        return found if isinstance(found, list) else [found]


def known_broadcast(operand: np.ndarray, shape: Sequence[int], axes: Sequence[int]) -> np.ndarray:
    """`broadcast_in_dim` as a view: axis i becomes `axes[i]`, repeated where it has size 1."""
    expanded = [1] * len(shape)
    for axis, size in zip(axes, operand.shape, strict=True):
        expanded[axis] = size
    return np.broadcast_to(operand.reshape(expanded), tuple(shape))


def window_reduction(equation: Any, start: Any) -> str:
    """What the general `reduce_window` computes: "sum", "max" or "min", from where that starts.

    Raises:
        UnknownOperationError: something else.
    """
    combined = [inner.primitive.name for inner in equation.params["jaxpr"].eqns]
    name = {"add": "sum", "max": "max", "min": "min"}.get(combined[0]) if len(combined) == 1 else None
    neutral = {"sum": 0.0, "max": -np.inf, "min": np.inf}
    if name is None or not isinstance(start, np.ndarray) or start.item() != neutral[name]:
        raise UnknownOperationError(f"with {' and '.join(combined)}")
    return name


class Taken(NamedTuple):
    """What a `gather` at known places takes: a part of an array, or rows of such a part by their numbers.

    Attributes:
        first, sizes: of the part along each axis.
        rows: the numbers; None where it is the part itself.
        axis: along which they count; their own axes come in its place.
        kept: sizes of the axes that are left of this.
        order: of these in the result.
    """

    first: tuple[int, ...]
    sizes: tuple[Any, ...]
    rows: np.ndarray | None = None
    axis: int = 0
    kept: tuple[Any, ...] = ()
    order: tuple[int, ...] = ()


def taken(equation: Any, x: Any, places: Any) -> Taken:
    """Read the places of a `gather` that are known and, if there are several, differ along one axis.

    Raises:
        UnknownOperationError: they, or the array, are of another kind.
    """
    numbers, sizes = equation.params["dimension_numbers"], list(equation.params["slice_sizes"])
    mapped = numbers.start_index_map
    if isinstance(x, np.ndarray) or not isinstance(places, np.ndarray):
        raise UnknownOperationError("at a place that depends on the example")
    last = [x.shape[axis] - sizes[axis] for axis in mapped]
    if numbers.operand_batching_dims or not all(isinstance(place, int) for place in last):
        raise UnknownOperationError("along the batch")
    if (places < 0).any() or (places > np.asarray(last, int)).any():
        raise UnknownOperationError("beyond the end of an axis")
    by_axis = dict(zip(mapped, places.reshape(-1, len(mapped)).T, strict=True))
    first = [int(by_axis[axis][0]) if axis in by_axis else 0 for axis in range(len(sizes))]
    if places.size == len(mapped):
        return Taken(tuple(first), tuple(sizes))
    differ = [axis for axis, along in by_axis.items() if (along != along[0]).any()] or [mapped[0]]
    if len(differ) > 1 or differ[0] not in numbers.collapsed_slice_dims:
        raise UnknownOperationError("at places that differ along several axes")
    [axis] = differ
    rows = by_axis[axis].reshape(places.shape[:-1])
    first[axis], sizes[axis] = 0, x.shape[axis]
    before, after = (
        [sizes[a] for a in side if a not in numbers.collapsed_slice_dims]
        for side in (range(axis), range(axis + 1, len(sizes)))
    )
    kept, at = (*before, *rows.shape, *after), len(before)
    whole = iter([*range(at), *range(at + rows.ndim, len(kept))])
    of_rows = iter(range(at, at + rows.ndim))
    order = tuple(next(whole if place in numbers.offset_dims else of_rows) for place in range(len(kept)))
    return Taken(tuple(first), tuple(sizes), rows, axis, kept, order)


def _sized(equation: Any) -> bool:
    """Whether all results have known sizes, and none is such a size itself."""
    return equation.primitive.name != "dim_as_value" and all(
        isinstance(size, int) for v in equation.outvars for size in v.aval.shape
    )


def _computed(equation: Any, operands: list[Any]) -> list[Any]:
    if equation.primitive.name == "broadcast_in_dim":  # a view, where JAX would fill memory
        return [known_broadcast(operands[0], equation.params["shape"], equation.params["broadcast_dimensions"])]
    found = equation.primitive.bind(*operands, **equation.params)
    results = found if equation.primitive.multiple_results else [found]
    # a random key is no array of NumPy's, and only other known operations read it
    return [one if jnp.issubdtype(one.dtype, jax.dtypes.prng_key) else np.asarray(one) for one in results]


def _called(equation: Any, operands: list[Any]) -> tuple[core.Jaxpr, list[Any], list[Any]] | None:
    """The program that an equation stands for, its constants and arguments; None for an operation of its own."""
    if equation.primitive.name in ("scan", "while"):
        return None
    if equation.primitive.name == "cond":
        choice, *operands = operands
        if not isinstance(choice, np.ndarray):
            return None
        branches = equation.params["branches"]
        program = branches[min(max(int(choice), 0), len(branches) - 1)]
        return program.jaxpr, list(map(np.asarray, program.consts)), operands
    for key in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        program = equation.params.get(key)
        inner = getattr(program, "jaxpr", program)
        if isinstance(inner, core.Jaxpr) and len(inner.invars) == len(operands) and not _combines(equation):
            return inner, list(map(np.asarray, getattr(program, "consts", ()))), operands
    return None


def _combines(equation: Any) -> bool:
    """Whether the program within is what a reduction does with two elements."""
    return equation.primitive.name in ("reduce", "reduce_window", "scatter", "scatter-add")


def _joined(outer: str, inner: str) -> str:
    """A layer's path without the network's own name and without the names of transformations."""
    parts = [part for part in inner.split("/") if part and "(" not in part]
    return "/".join([outer, *parts] if outer else parts[1:])
