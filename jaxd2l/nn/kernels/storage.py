"""What is computed once and stored, and when: the hints that XLA on CPU needs so as not to keep more than a step must.

XLA computes a cheap array again for each reader, from what it was made of, and makes whatever it can as soon as it can.
Both keep more alive from the forward to the backward pass than the arithmetic asks for.
"""

from typing import Any

from jax import lax

from jaxd2l.nn.kernels.tracing import by_platform

__all__ = ["stored"]

PyTree = Any


def stored(tree: PyTree) -> PyTree:
    """The same arrays, computed once and together on CPU, whoever reads them; nothing elsewhere."""
    return by_platform(tree, cpu=lax.optimization_barrier, default=lambda tree: tree)
