"""JAX's operations as steps of a plan: a table from the name of a primitive to a function that adds its steps."""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxd2l.nn.kernels.reading import UnknownOperationError
from jaxd2l.web import shaping
from jaxd2l.web.builder import Builder, Operand, Value
from jaxd2l.web.windows import convolve, reduce_window, window

type Translation = Callable[..., Operand | list[Operand]]

_ONE = (
    *("exp", "exp2", "log", "log1p", "expm1", "tanh", "logistic", "erf", "erfc", "sqrt", "rsqrt", "cbrt", "neg"),
    *("abs", "sign", "floor", "ceil", "square", "sin", "cos", "tan", "sinh", "cosh", "asin", "acos", "atan"),
    *("asinh", "acosh", "atanh", "is_finite"),
)
_TWO = ("add", "sub", "mul", "div", "max", "min", "pow", "atan2", "eq", "ne", "lt", "le", "gt", "ge")


def _one(name: str) -> Translation:
    return lambda b, equation, x: b.step(name, [x], x.shape)


def _two(name: str) -> Translation:
    def translate(b: Builder, equation: Any, x: Operand, y: Operand) -> Operand:
        out = equation.outvars[0].aval
        if name in ("div", "pow") and not jnp.issubdtype(out.dtype, jnp.floating):
            raise UnknownOperationError(f"of {out.dtype}")
        return b.step(name, [b.aligned(x, out.shape), b.aligned(y, out.shape)], out.shape)

    return translate


def _same(b: Builder, equation: Any, *operands: Operand) -> list[Operand]:
    return list(operands)


def _logical(name: str) -> Translation:
    two = _two(name)

    def translate(b: Builder, equation: Any, *operands: Operand) -> Any:
        if equation.outvars[0].aval.dtype != bool:
            raise UnknownOperationError(f"of {equation.outvars[0].aval.dtype}")
        if len(operands) == 1:
            return b.step("sub", [np.ones((), np.float32), operands[0]], operands[0].shape)
        return two(b, equation, *operands)

    return translate


def _convert(b: Builder, equation: Any, x: Operand) -> Operand:
    before, after = equation.invars[0].aval.dtype, equation.outvars[0].aval.dtype
    if after.kind == "b" != before.kind:
        return b.step("ne", [x, np.zeros((), np.float32)], x.shape)
    if jnp.issubdtype(before, jnp.floating) and jnp.issubdtype(after, jnp.integer):
        return b.step("trunc", [x], x.shape)
    return x


def _reduce_precision(b: Builder, equation: Any, x: Operand) -> Operand:
    if equation.params["exponent_bits"] < 8:
        raise UnknownOperationError(f"to {equation.params['exponent_bits']} bits of exponent")
    return b.step("reduce_precision", [x], x.shape, dropped=max(0, 23 - equation.params["mantissa_bits"]))


def _round(b: Builder, equation: Any, x: Operand) -> Operand:
    away = int(equation.params["rounding_method"]) == 0
    return b.step("round_away" if away else "round_even", [x], x.shape)


def _integer_pow(b: Builder, equation: Any, x: Operand) -> Operand:
    return b.step("pow", [x, np.asarray(equation.params["y"], np.float32)], x.shape)


def _select(b: Builder, equation: Any, which: Operand, *cases: Operand) -> Operand:
    shape = equation.outvars[0].aval.shape
    if len(cases) != 2 or equation.invars[0].aval.dtype != bool:
        raise UnknownOperationError(f"among {len(cases)} cases")
    if _is_relu(b, which, *cases):
        return b.step("relu", [cases[0]], shape)
    return b.step("select", [b.aligned(operand, shape) for operand in (which, *cases)], shape)


def _is_relu(b: Builder, which: Operand, otherwise: Operand, chosen: Operand) -> bool:
    """Whether this is 0 where x <= 0, and x elsewhere."""
    test = b.made_by(which)
    if test is None or test.operation != "le" or not isinstance(chosen, np.ndarray) or chosen.any():
        return False
    limit = b.constant(test.inputs[1])
    return isinstance(otherwise, Value) and test.inputs[0] == otherwise.number and limit is not None and not limit.any()


def _clamp(b: Builder, equation: Any, low: Operand, x: Operand, high: Operand) -> Operand:
    above = b.step("max", [x, b.aligned(low, x.shape)], x.shape)
    return b.step("min", [above, b.aligned(high, x.shape)], x.shape)


def _reduce(name: str) -> Translation:
    def translate(b: Builder, equation: Any, x: Operand) -> Operand:
        axes = sorted(equation.params["axes"])
        if not axes:
            return x
        if axes != list(range(axes[0], axes[-1] + 1)):
            kept = [axis for axis in range(len(x.shape)) if axis not in axes]
            x = b.transpose(x, [*kept, *axes])
            axes = list(range(len(kept), len(x.shape)))
        count = math.prod(x.shape[axes[0] : axes[-1] + 1])
        inner = math.prod(x.shape[axes[-1] + 1 :])
        return b.step("reduce", [x], equation.outvars[0].aval.shape, by=name, count=count, inner=inner)

    return translate


def _dot_general(b: Builder, equation: Any, x: Operand, y: Operand) -> Operand:
    (left, right), (left_batch, right_batch) = equation.params["dimension_numbers"]
    rows = [a for a in range(len(x.shape)) if a not in (*left, *left_batch)]
    columns = [a for a in range(len(y.shape)) if a not in (*right, *right_batch)]
    batch = math.prod(x.shape[a] for a in left_batch)
    k = math.prod(x.shape[a] for a in left)
    m, n = math.prod(x.shape[a] for a in rows), math.prod(y.shape[a] for a in columns)
    first = b.reshape(b.transpose(x, [*left_batch, *rows, *left]), (batch, m, k))
    second = b.reshape(b.transpose(y, [*right_batch, *right, *columns]), (batch, k, n))
    return b.reshape(b.step("multiply", [first, second], (batch, m, n)), equation.outvars[0].aval.shape)


OPERATIONS: dict[str, Translation] = {
    **{name: _one(name) for name in _ONE},
    **{name: _two(name) for name in _TWO},
    **{name: _logical(name) for name in ("and", "or", "not")},
    **{f"reduce_{name}": _reduce(name) for name in ("sum", "max", "min", "prod")},
    **{f"reduce_window_{name}": window(name) for name in ("sum", "max", "min")},
    **dict.fromkeys(("copy", "copy_p", "stop_gradient", "optimization_barrier"), _same),
    **dict.fromkeys(("squeeze", "expand_dims"), shaping.reshape),
    "add_any": _two("add"),
    "broadcast_in_dim": shaping.broadcast,
    "clamp": _clamp,
    "concatenate": shaping.concatenate,
    "conv_general_dilated": convolve,
    "convert_element_type": _convert,
    "dot_general": _dot_general,
    "dynamic_slice": shaping.dynamic_slice,
    "gather": shaping.gather,
    "integer_pow": _integer_pow,
    "pad": shaping.pad_by,
    "reduce_precision": _reduce_precision,
    "reduce_window": reduce_window,
    "reshape": shaping.reshape,
    "rev": shaping.rev,
    "round": _round,
    "select_n": _select,
    "slice": shaping.slice_,
    "split": shaping.split,
    "stack": shaping.stack,
    "tile": shaping.tile,
    "transpose": lambda b, equation, x: b.transpose(x, equation.params["permutation"]),
}
