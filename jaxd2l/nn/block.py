"""Blocks: modules made of modules, with their own control flow and parameters (D2L sec_model_construction)."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxd2l.nn.activation import relu
from jaxd2l.nn.init import uniform, zero_bias
from jaxd2l.nn.kernels.precision import rounded, widened
from jaxd2l.nn.linear import Dense, dense

type Normalisation = Callable[[], nn.Module]


class Identity(nn.Module):
    """Return the input: the normalisation of a network that has none."""

    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Any shape in, the same array out."""
        return x


class Sequential(nn.Module):
    """Call the layers one after another (D2L sec_model_construction): modules or plain functions of one array."""

    layers: tuple[Callable[[jax.Array], jax.Array], ...]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """What the last layer returns."""
        for layer in self.layers:
            x = layer(x)
        return x


class Centred(nn.Module):
    """Subtract the mean of all elements: a layer without parameters. [1,2,3,4,5] to [-2,-1,0,1,2]."""

    def __call__(self, x: jax.Array) -> jax.Array:
        """Any shape in, the same shape out, with mean 0."""
        wide = widened(x)
        return rounded(wide - jnp.mean(wide), x.dtype) if x.size else x


class DenseReLU(nn.Module):
    """relu(x @ kernel + bias): a layer with parameters."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(..., in) to (..., features), nowhere negative."""
        return relu(Dense(self.features, bias_init=zero_bias)(x))


class Tied(nn.Module):
    """One dense layer used `depth` times: one set of parameters, whose gradient sums over its uses."""

    depth: int = 2

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(..., features) to the same shape."""
        shared = Dense(x.shape[-1], bias_init=zero_bias)
        for _ in range(self.depth):
            x = relu(shared(x))
        return x


class FixedHidden(nn.Module):
    """Constant weights, a shared layer and a loop that depends on the data, all of it under jit.

    | step | output | parameters |
    |---|---|---|
    | input | (n, features) | |
    | Dense_0 | (n, features) | features^2 + features |
    | relu(x @ constant + 1) | (n, features) | none: `constants` is not trained |
    | Dense_0 again | (n, features) | |
    | halve until sum(abs(x)) <= 1 | (n, features) | |
    | sum | () | |

    The loop counts on values cut off from the gradient and yields a power of 2; so it works in reverse mode, where
    `lax.while_loop` itself has no derivative, and the gradient is that of the halvings that were made.
    """

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(n, features) to a scalar in [-1, 1]."""
        features = x.shape[-1]
        shared = Dense(features, bias_init=zero_bias)
        constant = self.variable(
            "constants", "kernel", lambda: uniform(0.0, 1.0)(self.make_rng("params"), (features, features), x.dtype)
        )
        x = shared(x)
        x = widened(shared(relu(dense(x, constant.value, jnp.ones(features, x.dtype)))))
        total = jax.lax.stop_gradient(jnp.sum(jnp.abs(x)))
        scale = jax.lax.while_loop(lambda s: total * s > 1, lambda s: s / 2, jnp.ones_like(total))
        return jnp.sum(x * scale).astype(constant.value.dtype)


class DenseStack(nn.Module):
    """`DenseReLU` layers one after another: the inner block of `Nested`."""

    hidden: tuple[int, ...]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(n, features) to (n, hidden[-1])."""
        for features in self.hidden:
            x = DenseReLU(features)(x)
        return x


class Nested(nn.Module):
    """Blocks in blocks: `num_blocks` times a DenseStack, then one output."""

    num_blocks: int = 4
    hidden: tuple[int, ...] = (8, 4)

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(n, features) to (n, 1)."""
        for _ in range(self.num_blocks):
            x = DenseStack(self.hidden)(x)
        return Dense(1, bias_init=zero_bias)(x)
