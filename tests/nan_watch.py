"""Which operations of a program make a NaN, also one that is not chosen: the whole program is compiled once.

`jax.debug_nans` looks at every operation too, but outside jit, where each one is compiled by itself.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax.extend import core
from model_table import UNOPTIMISED

from jaxd2l.cost.traced import PLATFORM_CHOICE, _branch, _called

# of a NaN in what they read there is one in what they give; any other operation may drop it, as a choice does
CARRY = {"add", "add_any", "broadcast_in_dim", "concatenate", "convert_element_type", "copy", "div", "dot_general"}
CARRY |= {"mul", "neg", "optimization_barrier", "reduce_sum", "reshape", "rev", "square", "squeeze", "stack", "sub"}
CARRY |= {"tile", "transpose"}
# what moves numbers or picks among them makes none
MOVES = {"broadcast_in_dim", "concatenate", "convert_element_type", "copy", "gather", "max", "min"}
MOVES |= {"optimization_barrier", "pad", "reduce_max", "reshape", "rev", "select_n", "slice", "split", "squeeze"}
MOVES |= {"stack", "stop_gradient", "tile", "transpose"}


class Watch:
    """Looks at the numbers where a NaN is seen last: before an operation that may drop it, and at ends."""

    def __init__(self):
        self.arrays = {}  # name of the operation and its result by the identity of that, which stays referenced
        self.carried, self.seen = set(), {}

    def read(self, name, operands, results):
        """An operation with what it reads and gives, all of them in floating point."""
        watched = {id(a) for a in operands} & self.arrays.keys()
        carried = name in CARRY and results  # not where it becomes integers
        if carried:
            self.carried |= watched
        else:
            self.seen |= {key: self.arrays[key] for key in watched}
        if name not in MOVES or (carried and watched):
            self.arrays |= {id(a): (name, a) for a in results}

    def found(self):
        """The names of operations, and whether a NaN is in what each gave."""
        ends = {key: value for key, value in self.arrays.items() if key not in self.carried}
        return [(name, jnp.any(jnp.isnan(a))) for name, a in (self.seen | ends).values()]


def nans_made(function, *arguments):
    """What `function` returns, and the names of the operations whose result held a NaN that might be dropped next."""
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(*arguments)
    names = []

    @partial(jax.jit, compiler_options=UNOPTIMISED)
    def run(*leaves):
        watch = Watch()
        out = _values(closed.jaxpr, closed.consts, leaves, {}, watch)
        found = watch.found()
        names[:] = [name for name, _ in found]
        return out, [made for _, made in found]

    out, made = run(*jax.tree.leaves(arguments))
    result = jax.tree.unflatten(jax.tree.structure(shapes), out)
    return result, [name for name, bad in zip(names, made, strict=True) if bad]


def _values(jaxpr, consts, arguments, chosen, watch):
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
            out = _values(sub, getattr(closed, "consts", ()), [read(v) for v in given], passed, watch)
            for inner, outer in zip(sub.outvars, equation.outvars, strict=True):
                if not isinstance(inner, core.Literal) and inner in passed:
                    chosen[outer] = passed[inner]
        else:
            operands = list(map(read, equation.invars))
            out = equation.primitive.bind(*operands, **equation.params)
            out = list(out) if equation.primitive.multiple_results else [out]
            watch.read(equation.primitive.name, *map(_floating, (operands, out)))
        known |= zip(equation.outvars, out, strict=True)
    return [read(v) for v in jaxpr.outvars]


def _floating(arrays):
    return [a for a in arrays if jnp.issubdtype(getattr(a, "dtype", int), jnp.floating)]
