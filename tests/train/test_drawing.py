"""Parameters drawn together: JAX's own bits, and no more hashing for more parameters."""

import math
from functools import partial

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from model_table import UNOPTIMISED

from jaxd2l.nn.models import MLP, ResNet
from jaxd2l.train.drawing import drawn_together


def permuted(key, shape, dtype):
    return jax.random.permutation(key, math.prod(shape)).reshape(shape).astype(dtype)


def by_a_loop(key, shape, dtype):
    return jax.lax.fori_loop(
        0, 3, lambda i, x: x + jax.random.normal(jax.random.fold_in(key, i), shape, dtype), jnp.zeros(shape, dtype)
    )


class Everything(nn.Module):
    """Every way of drawing, of sizes around the ends of blocks; some after others."""

    @nn.compact
    def __call__(self, x):
        inits = nn.initializers
        self.param("none", jax.random.uniform, (0, 3), jnp.float32)
        self.param("one", jax.random.uniform, (), jnp.float32)
        self.param("many", jax.random.normal, (1023,), jnp.float32)
        self.param("block", jax.random.normal, (1024,), jnp.float32)
        self.param("more", jax.random.normal, (41, 25), jnp.float32)
        self.param("truncated", inits.truncated_normal(0.1), (3, 4), jnp.float32)
        self.param("orthogonal", inits.orthogonal(), (5, 5), jnp.float32)
        self.param("sixteen", jax.random.normal, (7,), jnp.bfloat16)
        self.param("half", jax.random.uniform, (7,), jnp.float16)
        self.param("whole", lambda key, shape: jax.random.randint(key, shape, 0, 1000), (9,))
        self.param("chosen", lambda key, shape: jax.random.bernoulli(key, 0.3, shape), (9,))
        self.param("permuted", permuted, (4, 3), jnp.float32)
        self.param("loop", by_a_loop, (3,), jnp.float32)
        scale = self.param("scale", nn.initializers.constant(2.0), ())
        self.param("depends", lambda key: scale * jax.random.normal(key, (3,)))
        self.variable("state", "drawn", lambda: jax.random.normal(self.make_rng("params"), (2,)))
        again = jax.random.fold_in(self.make_rng("params"), jax.random.randint(self.make_rng("params"), (), 0, 9))
        self.variable("state", "after", lambda: jax.random.normal(again, (2,)))
        return nn.Dense(3)(x)


jitted = partial(jax.jit, compiler_options=UNOPTIMISED)


def draw(network):
    return partial(network.init, train=False) if not isinstance(network, Everything) else network.init


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "shape"),
    [(Everything(), (2, 5)), (ResNet(stages=(1,), width=2), (1, 8, 8, 1))],
    ids=["everything", "residual"],
)
def test_the_bits_are_those_that_jax_draws_an_array_at_a_time(network, shape):
    x, keys = np.zeros(shape, np.float32), jax.random.split(jax.random.key(3), 2)
    one_by_one, together = draw(network), drawn_together(draw(network))
    alone = jitted(one_by_one)
    alone = [alone(key, x) for key in keys]
    chex.assert_trees_all_equal(jitted(together)(keys[0], x), alone[0])
    many = jitted(jax.vmap(together, (0, None)))(keys, x)
    chex.assert_trees_all_equal(many, jax.tree.map(lambda *each: np.stack(each), *alone))


@pytest.mark.slow
def test_arrays_other_generators_and_settings_are_left_to_jax():
    network, x = MLP(hidden=(3,)), np.zeros((1, 4), np.float32)
    one_by_one, together = draw(network), drawn_together(draw(network))
    chex.assert_trees_all_equal(together(jax.random.key(0), x), one_by_one(jax.random.key(0), x))
    other = jax.random.key(0, impl="rbg")
    chex.assert_trees_all_equal(jitted(together)(other, x), jitted(one_by_one)(other, x))
    with jax.threefry_partitionable(False):
        key = jax.random.key(0)
        chex.assert_trees_all_equal(jitted(together)(key, x), jitted(one_by_one)(key, x))


def test_more_parameters_take_no_more_hashing_and_no_forward_pass():
    def traced(hidden):
        network = MLP(hidden=hidden)
        return str(jax.make_jaxpr(drawn_together(draw(network)))(jax.random.key(0), np.zeros((1, 4), np.float32)))

    def hashes(text):
        return [text.count(f"{name}[") + text.count(f"{name} ") for name in ("threefry2x32", "random_fold_in")]

    few, many = traced((3,)), traced((3, 5, 2, 7))
    assert hashes(few) == hashes(many) == [1, 1]
    assert "random_bits" not in many
    assert "dot_general" not in many
