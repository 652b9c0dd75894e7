"""A bilinear function with gradients written by hand, differentiable in both modes and to any order.

`jax.custom_vjp` would do for training, but it refuses forward mode: no `jvp`, no `jacfwd`, no Hessian-vector product of
a network with a convolution. A product of two arguments needs no such limit: its forward derivative is the function
itself, f(dx, y) + f(x, dy), and only the two transposes are anybody's choice. JAX keeps its own products this way
(`defbilinear`), and so a primitive is made here.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core
from jax.interpreters import ad, batching, mlir

from jaxd2l.nn.kernels.tracing import is_plain

__all__ = ["bilinear"]

type Product = Callable[[jax.Array, jax.Array], jax.Array]

_bilinear = core.Primitive("bilinear")


def bilinear(f: Product, left: Product, right: Product) -> Product:
    """`f` with transposes of its own.

    Args:
        f: (x, y) -> z, linear in x and in y.
        left: (y, dz) -> cotangent of x, the transpose of x -> f(x, y).
        right: (x, dz) -> cotangent of y, the transpose of y -> f(x, y).

    Returns:
        A function of (x, y) with the value of `f`. A second derivative differentiates `left` and `right` themselves.
        In a plain program (`tracing`) it is `f` alone, with the derivatives that JAX has.
    """

    def call(x: jax.Array, y: jax.Array) -> jax.Array:
        if is_plain():
            return f(x, y)
        return _bilinear.bind(x, y, call_jaxpr=jax.make_jaxpr(f)(x, y), left=left, right=right)

    return call


def _evaluate(x: jax.Array, y: jax.Array, *, call_jaxpr: core.ClosedJaxpr, **_: Product) -> jax.Array:
    return core.jaxpr_as_fun(call_jaxpr)(x, y)[0]


def _transpose_left(dz: jax.Array, _: Any, y: jax.Array, *, left: Product, **__: Any) -> jax.Array:
    return left(y, dz)


def _transpose_right(dz: jax.Array, x: jax.Array, _: Any, *, right: Product, **__: Any) -> jax.Array:
    return right(x, dz)


def _batch(
    arguments: tuple[jax.Array, jax.Array],
    axes: tuple[int | None, int | None],
    *,
    call_jaxpr: core.ClosedJaxpr,
    left: Product,
    right: Product,
) -> tuple[jax.Array, int]:
    """The batched function is bilinear again; the cotangent of an argument that is not batched is summed."""
    x, y = (a if axis is None else jnp.moveaxis(a, axis, 0) for a, axis in zip(arguments, axes, strict=True))
    x_axis, y_axis = (None if axis is None else 0 for axis in axes)

    def f(x: jax.Array, y: jax.Array) -> jax.Array:
        return jax.vmap(lambda x, y: core.jaxpr_as_fun(call_jaxpr)(x, y)[0], (x_axis, y_axis))(x, y)

    def batched_left(y: jax.Array, dz: jax.Array) -> jax.Array:
        dx = jax.vmap(left, (y_axis, 0))(y, dz)
        return jnp.sum(dx, axis=0) if x_axis is None else dx

    def batched_right(x: jax.Array, dz: jax.Array) -> jax.Array:
        dy = jax.vmap(right, (x_axis, 0))(x, dz)
        return jnp.sum(dy, axis=0) if y_axis is None else dy

    return bilinear(f, batched_left, batched_right)(x, y), 0


_bilinear.def_impl(_evaluate)
_bilinear.def_abstract_eval(lambda x, y, *, call_jaxpr, **_: call_jaxpr.out_avals[0])
ad.defbilinear(_bilinear, _transpose_left, _transpose_right)
batching.primitive_batchers[_bilinear] = _batch
mlir.register_lowering(_bilinear, mlir.lower_fun(_evaluate, multiple_results=False))
