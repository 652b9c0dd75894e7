"""Blocks: modules made of modules, with the control flow between them (D2L 6.1)."""

from collections.abc import Callable

import flax.linen as nn
import jax


class Identity(nn.Module):
    """Return the input: the normalisation of a network that has none."""

    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Any shape in, the same array out."""
        return x


type Normalisation = Callable[[], nn.Module]
