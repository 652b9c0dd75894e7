"""Multiply-adds by the call of a module that asks for them, whoever wrote it: read off the names in a traced program.

A call is traced under a name of its own. Names of modules would not do: a module may be called within another one than
holds it, several times, or inside a transformation that traces it under no name.
"""

import math
import re
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from jax.extend import core

from jaxd2l.cost.flops import convolution_macs, dot_macs
from jaxd2l.cost.traced import Operation, Operations, body, branches, rounds

_NUMBERED = re.compile(r"\bcounted_call_(\d+)\b")


class Products(NamedTuple):
    """Multiply-adds, those with the zeros of paddings included, and these alone."""

    macs: int
    padding_macs: int


def scope_of(number: int) -> str:
    """The name to trace a call under (`jax.named_scope`)."""
    return f"counted_call_{number}"


def calls_within(jaxpr: core.Jaxpr) -> set[int]:
    """The numbers of the calls that any equation belongs to, those inside of loops and branches among them."""
    found = set[int]()
    for equation in jaxpr.eqns:
        found.update(map(int, _NUMBERED.findall(str(equation.source_info.name_stack))))
        for inner in _programs(equation.params.values()):
            found |= calls_within(inner)
    return found


def products_by_call(program: Operations, known: Collection[int]) -> dict[int, Products]:
    """Count matrix products and convolutions for the innermost call that they belong to.

    Args:
        program: a flattened network, for a platform where convolutions are plain.
        known: numbers of calls.

    Returns:
        The counts of each call that has any; loops count as often as they run, of branches the costliest.
    """
    found: dict[int, Products] = {}
    for scope, one in _products(program):
        number = innermost(scope, known)
        before = found.get(number, Products(0, 0))
        found[number] = Products(before.macs + one.macs, before.padding_macs + one.padding_macs)
    return found


def innermost(scope: str, known: Collection[int]) -> int:
    """The innermost call of `known` that an operation of this scope belongs to; -1 where it belongs to none."""
    numbers = map(int, reversed(_NUMBERED.findall(scope)))
    return next((number for number in numbers if number in known), -1)


def _programs(values: Iterable[Any]) -> Iterable[core.Jaxpr]:
    for value in values:
        for one in value if isinstance(value, tuple | list) else (value,):
            inner = getattr(one, "jaxpr", one)
            if isinstance(inner, core.Jaxpr):
                yield inner


def _products(program: Operations, times: int = 1, scope: str = "") -> Iterable[tuple[str, Products]]:
    for operation in program.operations:
        inside = scope + operation.scope
        if operation.name in ("scan", "while"):
            yield from _products(body(operation, "gpu"), times * rounds(operation), inside)
        elif operation.name == "cond":
            found = [list(_products(branch, times, inside)) for branch in branches(operation, "gpu")]
            yield from max(found, key=lambda one: sum(products.macs for _, products in one))
        elif operation.name == "dot_general":
            yield inside, Products(times * dot_macs(operation), 0)
        elif operation.name == "conv_general_dilated":
            on_pixels = convolution_macs(operation)
            yield (
                inside,
                Products(times * _with_padding(operation, on_pixels), 0)._replace(
                    padding_macs=times * (_with_padding(operation, on_pixels) - on_pixels)
                ),
            )


def _with_padding(operation: Operation, on_pixels: int) -> int:
    params, kernel = operation.params, operation.inputs[1]
    assert kernel is not None
    if any(size != 1 for size in params["lhs_dilation"]):
        return on_pixels  # a transposed convolution: the zeros between its pixels are nobody's work
    shape = [kernel.shape[axis] for axis in params["dimension_numbers"].rhs_spec[1:]]
    return operation.outputs[0].size * math.prod(shape)
