"""From a network to its plan: traced plainly, then read operation by operation.

What depends on the weights alone is computed here and becomes a constant: the factor of a batch normalisation, the
matrices of a resize. What depends on the example becomes steps, by the table in `operations`.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from jaxd2l.nn.kernels.tracing import plain_tracing
from jaxd2l.web.builder import Builder, Operand, UnknownOperationError
from jaxd2l.web.operations import OPERATIONS
from jaxd2l.web.plan import Plan, Value

PyTree = Any


def plan_of(function: Callable[..., Any], variables: PyTree, x: jax.ShapeDtypeStruct) -> Plan:
    """The plan of `function(variables, x)`.

    Args:
        function: pure; its results are the plan's outputs, in order.
        variables: known numbers.
        x: shape and dtype of what is not known.

    Raises:
        ValueError: it holds an operation that a page cannot compute; the message names it and its layer.
    """
    with plain_tracing():
        closed = jax.make_jaxpr(function)(variables, x)
    builder = Builder()
    given = builder.new(x.shape)
    known: list[Operand] = [np.asarray(leaf) for leaf in jax.tree.leaves(variables)]
    constants: list[Operand] = [np.asarray(constant) for constant in closed.consts]
    return builder.plan(given, _walk(builder, closed.jaxpr, constants, [*known, given], ""))


def _walk(
    builder: Builder, jaxpr: core.Jaxpr, constants: list[Operand], arguments: list[Operand], scope: str
) -> list[Operand]:
    values: dict[Any, Operand] = dict(zip(jaxpr.constvars, constants, strict=True))
    values |= zip(jaxpr.invars, arguments, strict=True)

    def read(variable: Any) -> Operand:
        return np.asarray(variable.val) if isinstance(variable, core.Literal) else values[variable]

    for equation in jaxpr.eqns:
        operands = [read(variable) for variable in equation.invars]
        path = _joined(scope, str(equation.source_info.name_stack))
        called = _called(equation, operands)
        if called is not None:
            inner, inner_constants, operands = called
            results = _walk(builder, inner, inner_constants, operands, path)
        elif not any(isinstance(operand, Value) for operand in operands):
            results = _computed(builder, equation, operands)
        else:
            builder.scope = path
            results = _translated(builder, equation, operands)
        values |= zip(equation.outvars, results, strict=True)
    return [read(variable) for variable in jaxpr.outvars]


def _translated(builder: Builder, equation: Any, operands: list[Operand]) -> list[Operand]:
    name = equation.primitive.name
    where = f" in {builder.scope}" if builder.scope else ""
    if name not in OPERATIONS:
        raise UnknownOperationError(f"the network computes {name}{where}, which a page cannot")
    narrow = [v.aval.dtype for v in (*equation.invars, *equation.outvars) if v.aval.dtype.itemsize == 2]
    if narrow:
        raise UnknownOperationError(f"the network computes {name}{where} in {narrow[0]}; a page computes in float32")
    try:
        found = OPERATIONS[name](builder, equation, *operands)
    except UnknownOperationError as error:
        raise UnknownOperationError(f"the network computes {name}{where} {error}, which a page cannot") from error
    return found if isinstance(found, list) else [found]


def _computed(builder: Builder, equation: Any, operands: list[Any]) -> list[Operand]:
    if equation.primitive.name == "broadcast_in_dim":  # a view, where JAX would fill memory
        return [builder.broadcast(operands[0], equation.params["shape"], equation.params["broadcast_dimensions"])]
    found = equation.primitive.bind(*operands, **equation.params)
    results = found if equation.primitive.multiple_results else [found]
    # a random key is no array of NumPy's, and only other known operations read it
    return [one if jnp.issubdtype(one.dtype, jax.dtypes.prng_key) else np.asarray(one) for one in results]


def _called(equation: Any, operands: list[Operand]) -> tuple[core.Jaxpr, list[Operand], list[Operand]] | None:
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
