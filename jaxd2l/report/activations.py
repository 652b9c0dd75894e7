"""What the units inside a network put out, seen by walking through its traced program.

Activations here are functions, not layers, so Flax's `capture_intermediates` does not see them. The traced program
shows them for any network, our own layers or Flax's: a maximum with 0 is a ReLU, a logistic a sigmoid.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, jaxpr_as_fun

from jaxd2l.train.compiler import compiled

PyTree = Any
Apply = Callable[[Any, jax.Array], jax.Array]
FLAT = 0.01  # of a sigmoid: nearer to 0 or 1 than this its derivative is below 0.01


class Layer(NamedTuple):
    """The units of one activation over many examples; a channel of feature maps is one unit.

    Attributes:
        name: the layer that feeds it, such as "Conv_0" or "Residual_1/BatchNorm_0".
        kind: "relu" or "sigmoid".
        shape: of one example's output.
        active: share of values, over examples and places, that are above 0 (ReLU) or not flat (sigmoid), (units,).
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    active: np.ndarray

    @property
    def silent(self) -> int:
        """Units without one active value in any example: dead (ReLU) or saturated (sigmoid)."""
        return int((self.active == 0).sum())


class _Place(NamedTuple):
    name: str
    kind: str
    shape: tuple[int, ...]


def units(apply: Apply, variables: PyTree, x: np.ndarray, batch_size: int) -> list[Layer]:
    """Find every ReLU and sigmoid of a network and how active its units are.

    Args:
        apply: `(variables, stored examples) -> outputs`, in prediction mode.
        variables: the network's, as arguments: a compiler would fold constants for minutes.
        x: examples, at least one; each counts once.
        batch_size: examples at a time; the last ones that fill no batch are looked at with some before them.

    Returns:
        A layer for each activation, in order; [] where the network has none that is known.
    """
    size = min(batch_size, len(x))
    like = jax.ShapeDtypeStruct((size, *x.shape[1:]), x.dtype)
    places, values = _activations(apply, variables, like)
    if not places:
        return []

    def active(variables: PyTree, x: jax.Array) -> list[jax.Array]:
        return [_active(place.kind, value, size) for place, value in zip(places, values(variables, x), strict=True)]

    run = compiled(active, (variables, like))
    sums = [np.zeros(place.shape[-1:]) for place in places]
    for first in range(0, len(x), size):
        start = min(first, len(x) - size)
        for total, each in zip(sums, run(variables, x[start : start + size]), strict=True):
            total += np.asarray(each, np.float64)[first - start :].sum(axis=0)
    return [
        Layer(place.name, place.kind, place.shape, total / len(x)) for place, total in zip(places, sums, strict=True)
    ]


def maps(apply: Apply, variables: PyTree, example: np.ndarray, count: int = 3) -> list[tuple[str, np.ndarray]]:
    """The feature maps of one example after each activation: `(name, (height, width, channels))`, in order.

    Args:
        apply: as in `units`.
        variables: likewise.
        example: one stored example, without the batch axis.
        count: how many, from the input on; what comes after them is not computed.
    """
    like = jax.ShapeDtypeStruct((1, *example.shape), example.dtype)
    places, values = _activations(apply, variables, like)
    chosen = [i for i, place in enumerate(places) if len(place.shape) == 3][:count]
    if not chosen:
        return []

    def images(variables: PyTree, x: jax.Array) -> list[jax.Array]:
        found = values(variables, x)
        return [found[i][0].astype(jnp.float32) for i in chosen]

    found = jax.jit(images)(variables, example[None])
    return [(places[i].name, np.asarray(value)) for i, value in zip(chosen, found, strict=True)]


def _active(kind: str, value: jax.Array, examples: int) -> jax.Array:
    """The share of each example's values that are active (examples, units)."""
    value = value.astype(jnp.float32)
    on = value > 0 if kind == "relu" else (value > FLAT) & (value < 1 - FLAT)
    return jnp.mean(on.reshape(examples, -1, on.shape[-1]).astype(jnp.float32), axis=1)


def _activations(
    apply: Apply, variables: PyTree, like: jax.ShapeDtypeStruct
) -> tuple[list[_Place], Callable[[PyTree, jax.Array], list[jax.Array]]]:
    """Where the activations of a network are, and the network that puts them out instead of its outputs."""
    closed = jax.make_jaxpr(apply)(variables, like)
    jaxpr, made_by = closed.jaxpr, _makers(closed.jaxpr)
    places, outputs = [], []
    for eqn in jaxpr.eqns:
        found = _kind(eqn, made_by)
        aval: Any = eqn.outvars[0].aval
        if found is not None and aval.shape[0] % like.shape[0] == 0:  # else of weights alone
            kind, x = found
            scope = made_by[x].source_info.name_stack if x in made_by else eqn.source_info.name_stack
            places.append(_Place(_without_network(str(scope)), kind, aval.shape[1:]))
            outputs.append(eqn.outvars[0])
    unnamed = jaxpr.debug_info._replace(result_paths=None)  # the names of the outputs that it had
    function = jaxpr_as_fun(ClosedJaxpr(jaxpr.replace(outvars=outputs, debug_info=unnamed), closed.consts))
    return places, lambda variables, x: function(*jax.tree.leaves((variables, x)))


def _makers(jaxpr: Jaxpr) -> dict[Any, Any]:
    return {v: eqn for eqn in jaxpr.eqns for v in eqn.outvars}


def _without_network(scope: str) -> str:
    """A layer's path without the network's own name."""
    return scope.partition("/")[2] or scope


def _kind(eqn: Any, made_by: Mapping[Any, Any]) -> tuple[str, Any] | None:
    """Which activation an operation is, and of which variable; None for every other operation."""
    name = eqn.primitive.name
    out = eqn.outvars[0].aval
    if not hasattr(out, "dtype") or not jnp.issubdtype(out.dtype, jnp.floating) or not out.ndim:
        return None
    given = [v for v in eqn.invars if not isinstance(v, Literal)]
    if name == "logistic":
        return "sigmoid", eqn.invars[0]
    if name == "max" and len(given) == 1 and any(map(_is_zero, eqn.invars)):
        return "relu", given[0]
    if name == "select_n" or eqn.params.get("name") == "_where":
        test = made_by.get(eqn.invars[0]) if eqn.invars[0] in given else None
        if test is None or test.primitive.name not in ("le", "lt", "gt", "ge") or not _is_zero(test.invars[1]):
            return None
        x = test.invars[0]
        if isinstance(x, Literal):
            return None
        return ("relu", x) if _keeps(x, eqn, made_by) else None
    if name in ("custom_jvp_call", "jit", "pjit") and len(given) == 1 and given[0].aval.shape == out.shape:
        inner = _kind_of_program(eqn.params["call_jaxpr" if name == "custom_jvp_call" else "jaxpr"].jaxpr)
        return None if inner is None else (inner, given[0])
    return None


def _kind_of_program(jaxpr: Jaxpr) -> str | None:
    """The kind of a function that is one activation, such as `jax.nn.relu` or our sigmoid with its own derivative."""
    inside = _primitives(jaxpr)
    if "logistic" in inside and "mul" not in inside:  # swish multiplies
        return "sigmoid"
    made_by = _makers(jaxpr)
    last = None if isinstance(jaxpr.outvars[0], Literal) else made_by.get(jaxpr.outvars[0])
    found = None if last is None else _kind(last, made_by)
    return None if found is None else found[0]


def _keeps(x: Any, eqn: Any, made_by: Mapping[Any, Any]) -> bool:
    """Whether a choice is between x itself and 0: a leaky ReLU has another branch."""
    others = [v for v in eqn.invars[1:] if v is not x]
    made = [None if isinstance(v, Literal) else made_by.get(v) for v in others]
    zero = [v for v, by in zip(others, made, strict=True) if _is_zero(v) or (by and any(map(_is_zero, by.invars)))]
    return len(others) == 1 == len(zero)


def _is_zero(v: Any) -> bool:
    return isinstance(v, Literal) and np.ndim(v.val) == 0 and not v.val


def _primitives(jaxpr: Jaxpr) -> set[str]:
    found = set()
    for eqn in jaxpr.eqns:
        found.add(eqn.primitive.name)
        for value in eqn.params.values():
            for inner in value if isinstance(value, tuple | list) else (value,):
                if isinstance(inner, ClosedJaxpr):
                    found |= _primitives(inner.jaxpr)
                elif isinstance(inner, Jaxpr):
                    found |= _primitives(inner)
    return found
