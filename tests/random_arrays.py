"""Random float32 arrays drawn by NumPy: `jax.random` compiles a program for every shape, half a second and more."""

import jax.numpy as jnp
import numpy as np


def normal(seed, shape):
    """From N(0, 1)."""
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def uniform(seed, shape, low=0.0, high=1.0):
    """From U(low, high)."""
    return jnp.asarray(np.random.default_rng(seed).uniform(low, high, shape), jnp.float32)
