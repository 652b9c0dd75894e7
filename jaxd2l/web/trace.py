"""From a network to its plan: `jaxd2l.nn.kernels.reading` reads it, `OPERATIONS` says what a page makes of it."""

from collections.abc import Callable
from typing import Any

import jax

from jaxd2l.nn.kernels.reading import read_network
from jaxd2l.web.builder import Builder
from jaxd2l.web.operations import OPERATIONS
from jaxd2l.web.plan import Plan

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
    builder = Builder()
    given = builder.new(x.shape)
    return builder.plan(given, read_network(function, variables, x, given, builder, OPERATIONS))
