"""Multiply-adds by the module that asks for them, whoever wrote it: read off the names in a traced program."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from jaxd2l.cost.flops import convolution_macs, dot_macs
from jaxd2l.cost.traced import Operation, Operations, body, rounds

Path = tuple[str, ...]


class Products(NamedTuple):
    """Multiply-adds, those with the zeros of paddings included, and these alone."""

    macs: int
    padding_macs: int


def products_by_module(program: Operations, paths: Iterable[Path]) -> dict[Path, Products]:
    """Count matrix products and convolutions for the innermost module that they belong to.

    Args:
        program: a flattened network, for a platform where convolutions are plain.
        paths: of the modules, () for the network itself.

    Returns:
        The counts of each module that has any; loops count as often as they run.
    """
    known = deepest_first(paths)
    found: dict[Path, Products] = {}
    for scope, one in _products(program):
        path = innermost(scope, known)
        before = found.get(path, Products(0, 0))
        found[path] = Products(before.macs + one.macs, before.padding_macs + one.padding_macs)
    return found


def deepest_first(paths: Iterable[Path]) -> list[Path]:
    """Modules for `innermost`, the network itself, (), among them."""
    return sorted({(), *paths}, key=len, reverse=True)


def innermost(scope: str, known: Sequence[Path]) -> Path:
    """The innermost module of `known`, from `deepest_first`, that an operation of this scope belongs to."""
    names = [name.partition(".")[0] for name in scope.split("/")]
    return next(path for path in known if _within(path, names))


def _products(program: Operations, times: int = 1, scope: str = "") -> Iterable[tuple[str, Products]]:
    for operation in program.operations:
        inside = scope + operation.scope
        if operation.name in ("scan", "while"):
            yield from _products(body(operation, "gpu"), times * rounds(operation), inside)
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


def _within(path: Path, names: list[str]) -> bool:
    return any(tuple(names[i : i + len(path)]) == path for i in range(len(names) - len(path) + 1))
