"""Activations: the nonlinearity without which a stack of affine maps is one affine map (D2L sec_mlp).

All are elementwise, keep shape and dtype, and pass NaN through; softmax and log_softmax act along the last axis.
16-bit floats are computed in float32 and rounded once; integers give float32, but for `relu`, which keeps them.
"""

import math

import jax
import jax.numpy as jnp

from jaxd2l.nn.kernels.precision import rounded, widened
from jaxd2l.nn.kernels.tracing import by_platform, materialised


def relu(x: jax.Array) -> jax.Array:
    """max(x, 0), with derivative 0 at 0 (as the book and PyTorch have it; `jnp.maximum` alone gives 1/2).

    The derivative is read off the output, so that the backward pass need not keep x beside it.
    """
    return _positive_part(jnp.asarray(x))


@jax.custom_jvp
def _positive_part(x: jax.Array) -> jax.Array:
    return jnp.where(x <= 0, jnp.zeros_like(x), x)


@_positive_part.defjvp
def _positive_part_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    y = materialised(_positive_part(primals[0]))
    return y, jnp.where(y <= 0, jnp.zeros_like(tangents[0]), tangents[0])


def leaky_relu(x: jax.Array, slope: float = 0.01) -> jax.Array:
    """Keep x above 0, take `slope` * x elsewhere; derivative `slope` at 0 (Maas et al. 2013)."""
    wide = widened(jnp.asarray(x))
    below = jnp.where(wide > 0, jnp.zeros_like(wide), wide)  # 0 * inf would be NaN where slope is 0 and x infinite
    return rounded(jnp.where(wide > 0, wide, slope * below), jnp.result_type(x))


def sigmoid(x: jax.Array) -> jax.Array:
    """1 / (1 + exp(-x)), in (0, 1); derivative at most 1/4, reached at 0. Saturates without overflow.

    The derivative is y (1 - y) of the output y, as in PyTorch: right to the rounding of 1, so 0 where y rounds to 1.
    """
    return rounded(_logistic(widened(jnp.asarray(x))), jnp.result_type(x))


@jax.custom_jvp
def _logistic(x: jax.Array) -> jax.Array:
    return by_platform(x, cpu=_flat_logistic, default=jax.lax.logistic)


@_logistic.defjvp
def _logistic_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    y = _logistic(primals[0])
    return y, y * (1 - y) * tangents[0]


def _flat_logistic(x: jax.Array) -> jax.Array:
    """The same on CPU, where XLA turns exp over four axes into scalar code, 7 times slower than over two."""
    if x.ndim < 3:
        return jax.lax.logistic(x)
    flat = x.reshape(math.prod(x.shape[:-2]), x.shape[-2] * x.shape[-1])
    return jax.lax.optimization_barrier(jax.lax.logistic(flat)).reshape(x.shape)


def tanh(x: jax.Array) -> jax.Array:
    """(1 - exp(-2x)) / (1 + exp(-2x)), in (-1, 1); derivative at most 1, reached at 0."""
    return rounded(jnp.tanh(widened(jnp.asarray(x))), jnp.result_type(x))


def gelu(x: jax.Array) -> jax.Array:
    """Weigh x by the standard normal distribution function at x, exactly (Hendrycks & Gimpel 2016).

    Value and derivative keep their digits far below 0, to where they leave the range of the dtype. The limits hold at
    the infinities: 0 at -inf, where PyTorch gives NaN, and inf at inf.
    """
    wide = widened(jnp.asarray(x))
    beyond = jnp.abs(wide) >= 40  # there, the distribution function is 0 or 1, in float64 too, and squares overflow
    near = _weighed(jnp.where(beyond, jnp.zeros_like(wide), wide))
    return rounded(jnp.where(beyond, relu(wide), near), jnp.result_type(x))


_TAIL = -5.0  # below, 1 + erf has lost its digits and erfc magnifies the rounding of x by x^2


@jax.custom_jvp
def _weighed(x: jax.Array) -> jax.Array:
    tail = jnp.minimum(x, _TAIL)
    return jnp.where(x < _TAIL, _density(x) * (tail * _mills_ratio(-tail)), x * _share(x))


@_weighed.defjvp
def _weighed_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    return _weighed(*primals), _weighed_slope(*primals) * tangents[0]


@jax.custom_jvp
def _weighed_slope(x: jax.Array) -> jax.Array:
    tail = jnp.minimum(x, _TAIL)
    return jnp.where(x < _TAIL, _density(x) * (tail + _mills_ratio(-tail)), _share(x) + x * _density(x))


@_weighed_slope.defjvp
def _weighed_slope_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    (x,) = primals
    return _weighed_slope(x), (2 - x * x) * _density(x) * tangents[0]


def _share(x: jax.Array) -> jax.Array:
    """The standard normal distribution function, from `_TAIL` up."""
    return 0.5 * jax.lax.erfc(jnp.maximum(x, _TAIL) * -(0.5**0.5))


@jax.custom_jvp
def _density(x: jax.Array) -> jax.Array:
    """exp(-x^2 / 2) / sqrt(2 pi). The square of the upper half of the digits is exact, so exp magnifies no rounding."""
    bits = jnp.finfo(x.dtype)
    upper = jax.lax.reduce_precision(x, bits.nexp, (bits.nmant - 1) // 2)
    return (2 * math.pi) ** -0.5 * jnp.exp(-0.5 * upper * upper) * jnp.exp(-0.5 * (x - upper) * (x + upper))


@_density.defjvp
def _density_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    y = _density(*primals)
    return y, -primals[0] * y * tangents[0]


def _mills_ratio(x: jax.Array) -> jax.Array:
    """(1 - distribution function) / density for x >= 5, to 3e-11: continued fraction 26.2.14 of Abramowitz & Stegun."""
    rest = x
    for i in range(12, 0, -1):
        rest = x + i / rest
    return 1 / rest


def softmax(logits: jax.Array) -> jax.Array:
    """exp(logits) / sum(exp(logits)) along the last axis: shares that sum to 1 and keep the order of `logits`.

    The maximum is subtracted first, so huge logits do not overflow.
    """
    exp = jnp.exp(_shifted(logits))
    return rounded(exp / jnp.sum(exp, axis=-1, keepdims=True), jnp.result_type(logits))


def log_softmax(logits: jax.Array) -> jax.Array:
    """Logarithm of `softmax` along the last axis (nats), finite where softmax underflows to 0."""
    shifted = _shifted(logits)
    return rounded(shifted - jnp.log(jnp.sum(jnp.exp(shifted), axis=-1, keepdims=True)), jnp.result_type(logits))


def _shifted(logits: jax.Array) -> jax.Array:
    """Logits below their maximum, which may be of no class at all."""
    wide = widened(jnp.asarray(logits))
    return wide - jax.lax.stop_gradient(jnp.max(wide, axis=-1, keepdims=True, initial=-jnp.inf))
