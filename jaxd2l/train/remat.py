"""Rematerialisation: keep a few activations and compute the others again (Chen et al. 2016, arXiv:1604.06174).

Backpropagation reads every activation of the forward pass once more, so all of them wait in memory. Here the
forward pass is cut into parts; only what crosses a cut waits, and each part is computed a second time
when the backward pass gets to it. The gradient stays what it was; at most one more forward pass is paid.
"""

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import jax
from jax.extend import core

MAX_PARTS = 32  # more cuts than this hardly save and cost time to try


def rematerialised[**P, R](f: Callable[P, R]) -> Callable[P, R]:
    """`f` with the same values and gradients, whose backward pass computes most activations again.

    Works on any traceable function of arrays, whatever layers it is made of: `f` is traced to its equations,
    these are cut where little crosses, and each part but the last becomes a `jax.checkpoint`.

    Args:
        f: pytrees of arrays in, a pytree of arrays out. Arrays it merely closes over are kept, not recomputed.

    Returns:
        A function of the same arguments.
    """

    def in_parts(*args: P.args, **kwargs: P.kwargs) -> R:
        if kwargs:
            raise ValueError(f"a rematerialised function takes positional arguments only, got {', '.join(kwargs)}")
        closed, shape = jax.make_jaxpr(f, return_shape=True)(*args)
        jaxpr = closed.jaxpr
        values = dict(zip(jaxpr.constvars, closed.consts, strict=True))
        values |= zip(jaxpr.invars, jax.tree.leaves(args), strict=True)
        borders = [0, *cuts(jaxpr), len(jaxpr.eqns)]
        for first, last in pairwise(borders):
            part = jaxpr.eqns[first:last]
            made = {v for equation in part for v in equation.outvars}
            needed = [v for v in _variables(equation.invars for equation in part) if v not in made]
            later = _variables((*(equation.invars for equation in jaxpr.eqns[last:]), jaxpr.outvars))
            kept = [v for v in later if v in made]
            names = jaxpr.debug_info._replace(arg_names=None, result_paths=None)
            sub = jaxpr.replace(constvars=(), invars=needed, outvars=kept, eqns=part, debug_info=names)
            call = core.jaxpr_as_fun(core.ClosedJaxpr(sub, ()))
            if last < len(jaxpr.eqns):  # the backward pass starts with the last part: nothing to win there
                call = jax.checkpoint(call)
            values |= zip(kept, call(*(values[v] for v in needed)), strict=True)
        outputs = [v.val if isinstance(v, core.Literal) else values[v] for v in jaxpr.outvars]
        result: R = jax.tree.unflatten(jax.tree.structure(shape), outputs)
        return result

    return in_parts


def cuts(jaxpr: core.Jaxpr) -> list[int]:
    """Where to cut: the indices of the equations that start a new part.

    Tries parts of equal size for every number of them up to `MAX_PARTS`, moves each cut back to where the
    fewest bytes cross it, and takes the cuts that minimise (bytes over all cuts) + (bytes made in the largest part):
    what the backward pass holds at its worst moment.
    """
    made = [_bytes(equation.outvars) for equation in jaxpr.eqns]
    crossing = _crossing(jaxpr)
    tried = [_cut(made, crossing, sum(made) / parts) for parts in range(1, MAX_PARTS + 1)]

    def worst(chosen: list[int]) -> int:
        parts = pairwise([0, *chosen, len(made)])
        return sum(crossing[c - 1] for c in chosen) + max((sum(made[a:b]) for a, b in parts), default=0)

    return min(tried, key=worst)


def _cut(made: list[int], crossing: list[int], limit: float) -> list[int]:
    """Cuts that leave about `limit` bytes to each part."""
    chosen: list[int] = []
    first, size = 0, 0
    for i, one in enumerate(made):
        size += one
        if size > limit and i > first:
            best = min(range((first + i) // 2, i), key=crossing.__getitem__)
            chosen.append(best + 1)
            first, size = best + 1, sum(made[best + 1 : i + 1])
    return chosen


def _crossing(jaxpr: core.Jaxpr) -> list[int]:
    """Bytes that are made up to equation i and read after it, for each i; arguments do not count."""
    last = {v: i for i, equation in enumerate(jaxpr.eqns) for v in _variables([equation.invars])}
    last |= dict.fromkeys(_variables([jaxpr.outvars]), len(jaxpr.eqns))
    change = [0] * (len(jaxpr.eqns) + 1)
    for i, equation in enumerate(jaxpr.eqns):
        for v in equation.outvars:
            if v in last:
                change[i] += _bytes([v])
                change[last[v]] -= _bytes([v])
    total, totals = 0, []
    for one in change[:-1]:
        total += one
        totals.append(total)
    return totals


def _variables(groups: Iterable[Iterable[Any]]) -> list[Any]:
    """The variables among equations' operands, each once, in order; literals are none."""
    return list(dict.fromkeys(v for group in groups for v in group if not isinstance(v, core.Literal)))


def _bytes(variables: Iterable[Any]) -> int:
    return sum(v.aval.size * getattr(v.aval.dtype, "itemsize", 8) for v in variables)
