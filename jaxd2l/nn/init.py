"""Initialisers: how large the first weights are (Glorot & Bengio 2010; He et al. 2015, arXiv:1502.01852).

Source: D2L sec_numerical_stability.

A kernel initialiser is JAX's: `init(key, shape, dtype) -> array`, with the input axis second to last, the output
axis last and every axis before them a position of the window: dense (in, out), convolution (kh, kw, in, out).

A bias has no input axis, so its scale cannot be read off its shape: a bias *rule* takes `fan_in` and returns an
initialiser. A layer's field `bias_init` takes either; `Dense` and `Conv` start as the book's networks do, with
`xavier_uniform` kernels and PyTorch's biases.
"""

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp

type Initializer = Callable[..., jax.Array]
type BiasRule = Callable[[int], Initializer]


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """Inputs that one output sums over, and outputs that one input reaches: (fan_in, fan_out).

    Args:
        shape: of a kernel (..., in, out); the leading axes are window positions and count in both.

    Raises:
        ValueError: fewer than two axes.
    """
    if len(shape) < 2:
        raise ValueError(
            f"a kernel has an input and an output axis, got shape {tuple(shape)}; a bias needs a bias rule"
        )
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


@dataclasses.dataclass(frozen=True)
class _With:
    """An initialiser with its numbers: equal where they are, and pickled by them."""

    draw: Callable[..., jax.Array]
    numbers: tuple[float, ...]
    __name__ = "init"  # as a network's repr shows it, which the configurations of runs are compared by

    def __call__(self, key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
        return self.draw(key, shape, dtype, *self.numbers)


@functools.cache
def normal(stddev: float) -> Initializer:
    """Draw from N(0, stddev^2); `stddev` is the standard deviation, not the variance."""
    return _With(_normal, (float(stddev),))  # one of NumPy would draw in its own type


def _normal(key: jax.Array, shape: Sequence[int], dtype: Any, stddev: float) -> jax.Array:
    return stddev * jax.random.normal(key, shape, dtype)


@functools.cache
def uniform(low: float, high: float) -> Initializer:
    """Draw from U(low, high)."""
    return _With(jax.random.uniform, (low, high))


@functools.cache
def uniform_with_gap(limit: float, gap: float) -> Initializer:
    """Draw from U(-limit, limit) and set what is smaller than `gap` in absolute value to 0 (D2L chap_computation)."""
    return _With(_uniform_with_gap, (limit, gap))


def _uniform_with_gap(key: jax.Array, shape: Sequence[int], dtype: Any, limit: float, gap: float) -> jax.Array:
    drawn = jax.random.uniform(key, shape, dtype, -limit, limit)
    return jnp.where(jnp.abs(drawn) >= gap, drawn, jnp.zeros_like(drawn))


@functools.cache
def constant(value: float) -> Initializer:
    """Fill with `value`. Equal weights stay equal under gradient descent: use it to see that, or for biases."""
    return _With(_full, (value,))


def _full(key: jax.Array, shape: Sequence[int], dtype: Any, value: float) -> jax.Array:
    return jnp.full(shape, value, dtype)


def xavier_uniform(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
    """Draw from U(-a, a), a = sqrt(6 / (fan_in + fan_out)): variance 2 / (fan_in + fan_out)."""
    limit = math.sqrt(6 / max(sum(fans(shape)), 1))
    return jax.random.uniform(key, shape, dtype, -limit, limit)


def xavier_normal(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
    """Draw from N(0, 2 / (fan_in + fan_out)), the normal of Xavier's variance."""
    return math.sqrt(2 / max(sum(fans(shape)), 1)) * jax.random.normal(key, shape, dtype)


def he_uniform(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
    """Draw from U(-a, a), a = sqrt(6 / fan_in): keeps the scale of activations through ReLU."""
    limit = math.sqrt(6 / max(fans(shape)[0], 1))
    return jax.random.uniform(key, shape, dtype, -limit, limit)


def he_normal(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
    """Draw from N(0, 2 / fan_in), the normal of He's variance."""
    return math.sqrt(2 / max(fans(shape)[0], 1)) * jax.random.normal(key, shape, dtype)


def torch_kernel(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
    """Draw from U(-a, a), a = 1 / sqrt(fan_in): what PyTorch's Linear and Conv start from."""
    limit = 1 / math.sqrt(max(fans(shape)[0], 1))
    return jax.random.uniform(key, shape, dtype, -limit, limit)


def torch_bias(fan_in: int) -> Initializer:
    """Bias rule of PyTorch's Linear and Conv: U(-a, a), a = 1 / sqrt(fan_in)."""
    limit = 1 / math.sqrt(max(fan_in, 1))
    return uniform(-limit, limit)


def zero_bias(fan_in: int) -> Initializer:
    """Bias rule: zeros, whatever `fan_in` is."""
    return constant(0.0)


@functools.cache
def constant_bias(value: float) -> BiasRule:
    """Bias rule: `value` everywhere, whatever `fan_in` is."""
    return lambda fan_in: constant(value)


def bias_initializer(init: BiasRule | Initializer, fan_in: int) -> Initializer:
    """The initialiser that a layer's `bias_init` stands for: a rule of one argument is asked, any other is one.

    Args:
        init: `rule(fan_in)` or `init(key, shape, dtype)`.
        fan_in: how many inputs one output sums over.
    """
    parameters = inspect.signature(init).parameters.values()
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    is_rule = len([p for p in positional if p.default is p.empty]) == 1
    return cast(BiasRule, init)(fan_in) if is_rule else cast(Initializer, init)
