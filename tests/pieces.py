"""Networks of ReLUs and maxima on one of their pieces.

Between the edges of its units such a network is smooth, so there float32 differs from float64 by rounding. Across an
edge the gradient jumps, and which unit sits close to one is luck, of the inputs and of the processor. So the pieces are
written down while one network runs, and another is made to take the same; how far it had to be bent is measured.
"""

import itertools
import sys

import jax.numpy as jnp
import pytest
from jax import lax

from jaxd2l.nn import max_pool, relu
from jaxd2l.nn.kernels.window import output_size, pads, sizes


def with_units(run, network, rectify, largest):
    """`run(network)` where every ReLU is `rectify(x)` and every max_pool `largest(x, window, stride, padding)`."""

    def pool(x, window, *, stride=None, padding=0):
        return largest(x, window, window if stride is None else stride, padding)

    with pytest.MonkeyPatch.context() as patch:
        for name, module in list(sys.modules.items()):
            if name.startswith("jaxd2l.nn.") and not name.startswith("jaxd2l.nn.activation"):
                for attribute, unit, ours in (("relu", relu, rectify), ("max_pool", max_pool, pool)):
                    if getattr(module, attribute, None) is unit and name != "jaxd2l.nn.pool":
                        patch.setattr(module, attribute, ours)
        fields = {key: rectify for key in network.__dataclass_fields__ if getattr(network, key) is relu}
        return run(network.clone(**fields))


def record(run, network):
    """`run(network)`, and the pieces: which units of each ReLU are on, and which place each maximum is at."""
    pieces = []

    def rectify(x):
        pieces.append(x > 0)
        return relu(x)

    def largest(x, window, stride, padding):
        pieces.append(jnp.argmax(_slices(x, window, stride, padding), 0).astype(jnp.int16))
        return max_pool(x, window, stride=stride, padding=padding)

    return with_units(run, network, rectify, largest), pieces


def impose(run, network, pieces):
    """`run(network)` on the given pieces, and how far units were from their edges on the side they had to leave.

    The distances are on the scale of the largest number in the array: one for each ReLU and max_pool.
    """
    rest, distances = iter(pieces), []

    def rectify(x):
        on = next(rest)
        distances.append(jnp.max(jnp.where(on == (x > 0), 0, jnp.abs(x))) / jnp.max(jnp.abs(x)))
        return jnp.where(on, x, 0)

    def largest(x, window, stride, padding):
        parts = _slices(x, window, stride, padding)
        y = jnp.take_along_axis(parts, next(rest)[None].astype(jnp.int32), 0)[0]
        distances.append(jnp.max(jnp.max(parts, 0) - y) / jnp.max(jnp.abs(x)))
        return y

    return with_units(run, network, rectify, largest), distances


def _slices(x, window, stride, padding):
    """The pixel at each place of the window: (places, n, *output, channels)."""
    rank = x.ndim - 2
    window, strides, borders = sizes("window", window, rank), sizes("stride", stride, rank), pads(padding, rank)
    output = output_size(x.shape[1:-1], window, strides, borders, (1,) * rank)
    x = jnp.pad(x, ((0, 0), *borders, (0, 0)), constant_values=-jnp.inf)
    found = []
    for place in itertools.product(*map(range, window)):
        last = [p + s * (o - 1) + 1 for p, s, o in zip(place, strides, output, strict=True)]
        found.append(lax.slice(x, (0, *place, 0), (len(x), *last, x.shape[-1]), (1, *strides, 1)))
    return jnp.stack(found)
