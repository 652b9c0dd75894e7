"""A network's parameters drawn by a few kernels: the bits that JAX gives one array at a time.

`model.init` folds a key and hashes counters for every parameter, and each time XLA compiles the hash again: GoogLeNet's
232 of them were four fifths of what its initialisation took to compile. What JAX draws is one function of a key and a
position, so all folds become one, and all bits come out of one loop over blocks of positions, each with its parameter's
key.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var, jaxpr_as_fun
from jax.extend.random import threefry2x32_p

_BLOCKS = 1024  # about so many, of at least as many positions
_LARGEST = 2**20  # positions of a block
# Of every run, whatever `jax_default_prng_impl` says: another one draws another run.
GENERATOR = "threefry2x32"

type _Given = Any  # an array, or `(node, i)`: result i of a node


@dataclasses.dataclass(eq=False)
class _Node:
    """An operation of a traced program: what it takes, and its results once they are there."""

    eqn: JaxprEqn
    within: Jaxpr
    taken: Sequence[_Given]
    results: Sequence[Any] | None = None


def drawn_together[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """The same function: where it is traced, its draws of JAX's Threefry are done together, equal to the last bit.

    What it computes beside its results, such as a forward pass that tells parameters their shapes, is left out. Called
    with arrays alone it runs as it is, for JAX compiles each draw to the bits that it has inside a program.

    Args:
        function: of arrays, pure.
    """

    def together(*args: P.args, **kwargs: P.kwargs) -> R:
        if not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((args, kwargs))):
            return function(*args, **kwargs)
        closed, shapes = jax.make_jaxpr(function, return_shape=True)(*args, **kwargs)
        if closed.effects or not jax.config.jax_threefry_partitionable:
            return function(*args, **kwargs)
        nodes: list[_Node] = []
        given = _graph(closed, jax.tree.leaves((args, kwargs)), nodes)
        _evaluate(_needed(given, nodes))
        result: R = jax.tree.unflatten(jax.tree.structure(shapes), [_value(one) for one in given])
        return result

    return together


def _graph(closed: ClosedJaxpr, arguments: Sequence[_Given], nodes: list[_Node]) -> list[_Given]:
    """Append the operations of a program, those of functions that it calls among them; what it gives."""
    jaxpr = closed.jaxpr
    known: dict[Any, _Given] = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    known |= zip(jaxpr.invars, arguments, strict=True)

    def read(atom: Any) -> _Given:
        return atom.val if isinstance(atom, Literal) else known[atom]

    for eqn in jaxpr.eqns:
        taken = [read(atom) for atom in eqn.invars]
        if eqn.primitive.name == "jit":
            given = _graph(eqn.params["jaxpr"], taken, nodes)
        else:
            node = _Node(eqn, jaxpr, taken)
            nodes.append(node)
            given = [(node, i) for i in range(len(eqn.outvars))]
        known |= zip(eqn.outvars, given, strict=True)
    return [read(atom) for atom in jaxpr.outvars]


def _is_result(given: _Given) -> bool:
    return isinstance(given, tuple) and isinstance(given[0], _Node)


def _value(given: _Given) -> Any:
    return given[0].results[given[1]] if _is_result(given) else given


def _needed(given: Sequence[_Given], nodes: Sequence[_Node]) -> list[_Node]:
    found: set[_Node] = set()
    stack = [one[0] for one in given if _is_result(one)]
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack += [one[0] for one in node.taken if _is_result(one)]
    return [node for node in nodes if node in found]


def _evaluate(nodes: list[_Node]) -> None:
    """Give each node its results: folds and draws wait for all others that can be had without them."""
    while nodes:
        waiting: dict[str, list[_Node]] = {"random_fold_in": [], "random_bits": []}
        later = []
        for node in nodes:
            if any(_is_result(one) and one[0].results is None for one in node.taken):
                later.append(node)
            elif _is_draw(node):
                waiting[node.eqn.primitive.name].append(node)
            else:
                node.results = _bound(node)
        if folds := waiting["random_fold_in"]:
            _fold(folds)
            later += waiting["random_bits"]
        else:
            _draw(waiting["random_bits"])
        nodes = later


def _is_draw(node: _Node) -> bool:
    """Whether it folds into one key of Threefry, or draws words of 32 bits by it."""
    eqn = node.eqn
    if eqn.primitive.name not in ("random_fold_in", "random_bits"):
        return False
    key = _value(node.taken[0])
    if key.shape != () or jax.random.key_impl(key) != GENERATOR:
        return False
    if eqn.primitive.name == "random_fold_in":
        return np.shape(_value(node.taken[1])) == ()
    return eqn.params["bit_width"] == 32 and math.prod(eqn.params["shape"]) < 2**32


def _bound(node: _Node) -> Sequence[Any]:
    given = {atom: _value(one) for atom, one in zip(node.eqn.invars, node.taken, strict=True) if isinstance(atom, Var)}
    unnamed = node.within.debug_info._replace(arg_names=None, result_paths=None)
    alone = node.within.replace(
        constvars=[], invars=[*given], outvars=node.eqn.outvars, eqns=[node.eqn], debug_info=unnamed
    )
    results: Sequence[Any] = jaxpr_as_fun(ClosedJaxpr(alone, ()))(*given.values())
    return results


def _fold(nodes: Sequence[_Node]) -> None:
    keys = jax.random.wrap_key_data(_words_of_keys(nodes), impl=GENERATOR)
    folded = jax.vmap(jax.random.fold_in)(keys, jnp.stack([_value(node.taken[1]) for node in nodes]))
    for node, key in zip(nodes, folded, strict=True):
        node.results = [key]


def _words_of_keys(nodes: Sequence[_Node]) -> jax.Array:
    return jnp.stack([jax.random.key_data(_value(node.taken[0])) for node in nodes])


def _draw(nodes: Sequence[_Node]) -> None:
    """The words at positions 0, 1, ... of each key, as `jax.random.bits` has them, a block of positions at a time."""
    if not nodes:
        return
    sizes = np.array([math.prod(node.eqn.params["shape"]) for node in nodes], np.int64)
    block = min(max(_BLOCKS, 2 ** math.ceil(math.log2(max(sizes.sum() / _BLOCKS, 1)))), _LARGEST)
    blocks = -(-sizes // block)
    whose = np.repeat(np.arange(len(nodes)), blocks)
    first = np.concatenate([np.arange(number, dtype=np.uint32) * np.uint32(block) for number in blocks])
    keys = _words_of_keys(nodes)

    def words(i: jax.Array) -> jax.Array:
        key, positions = keys[jnp.asarray(whose)[i]], jnp.asarray(first)[i] + lax.iota(np.uint32, block)
        high, low = threefry2x32_p.bind(key[0], key[1], jnp.zeros_like(positions), positions)
        return high ^ low

    drawn = lax.map(words, jnp.arange(len(whose))).ravel()
    for node, begin, size in zip(nodes, (np.cumsum(blocks) - blocks) * block, sizes, strict=True):
        node.results = [lax.slice(drawn, (begin,), (begin + size,)).reshape(node.eqn.params["shape"])]
