"""Which operations of a program make a NaN, also one that is not chosen: the whole program is compiled once.

`jax.debug_nans` looks at every operation too, but outside jit, where each one is compiled by itself.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax.extend import core
from model_table import UNOPTIMISED

from jaxd2l.cost.traced import PLATFORM_CHOICE, _branch, _called

# what moves numbers or picks among them makes none
MOVES = {"broadcast_in_dim", "concatenate", "copy", "gather", "max", "min", "optimization_barrier", "pad", "reduce_max"}
MOVES |= {"reshape", "rev", "select_n", "slice", "split", "squeeze", "stop_gradient", "transpose"}


def nans_made(function, *arguments):
    """What `function` returns, and the names of the operations whose result held a NaN."""
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(*arguments)
    names = []

    @partial(jax.jit, compiler_options=UNOPTIMISED)
    def run(*leaves):
        found = []
        out = _values(closed.jaxpr, closed.consts, leaves, {}, found)
        names[:] = [name for name, _ in found]
        return out, jnp.stack([made for _, made in found])

    out, made = run(*jax.tree.leaves(arguments))
    result = jax.tree.unflatten(jax.tree.structure(shapes), out)
    return result, [name for name, bad in zip(names, made, strict=True) if bad]


def _values(jaxpr, consts, arguments, chosen, found):
    known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *arguments], strict=True))

    def read(v):
        return v.val if isinstance(v, core.Literal) else known[v]

    for equation in jaxpr.eqns:
        if equation.primitive.name == PLATFORM_CHOICE:
            chosen[equation.outvars[0]] = _branch(equation.params["platforms"], "cpu")
            known[equation.outvars[0]] = None
            continue
        sub, given = _called(equation, chosen)
        if sub is not None:
            branches = equation.params.get("branches")
            closed = branches[chosen[equation.invars[0]]] if branches else None
            for key in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
                closed = closed or equation.params.get(key)
            passed = {
                v: chosen[a]
                for v, a in zip(sub.invars, given, strict=True)
                if not isinstance(a, core.Literal) and a in chosen
            }
            out = _values(sub, getattr(closed, "consts", ()), [read(v) for v in given], passed, found)
            for inner, outer in zip(sub.outvars, equation.outvars, strict=True):
                if not isinstance(inner, core.Literal) and inner in passed:
                    chosen[outer] = passed[inner]
        else:
            out = equation.primitive.bind(*map(read, equation.invars), **equation.params)
            out = list(out) if equation.primitive.multiple_results else [out]
            if equation.primitive.name not in MOVES:
                found += [
                    (equation.primitive.name, jnp.any(jnp.isnan(a)))
                    for a in out
                    if jnp.issubdtype(a.dtype, jnp.floating)
                ]
        known |= zip(equation.outvars, out, strict=True)
    return [read(v) for v in jaxpr.outvars]
