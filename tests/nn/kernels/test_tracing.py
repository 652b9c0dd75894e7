"""The switches of tracing: programs of JAX's own operations, or for one platform alone, that say the same."""

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend import core
from model_table import MODELS, ONE_OF_EACH, quick_first

from jaxd2l.data import Dataset, Examples
from jaxd2l.nn import avg_pool, conv1d, conv2d, conv3d, max_pool, sigmoid
from jaxd2l.nn.kernels.tracing import plain_tracing, tracing_for
from jaxd2l.recipes import find
from jaxd2l.train import compile_program

OURS = {"bilinear", "platform_index", "optimization_barrier"}


def primitives(jaxpr):
    """The names of all operations of a program and of those that it calls."""
    found = set()
    for equation in jaxpr.eqns:
        found.add(equation.primitive.name)
        for value in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda v: isinstance(v, core.Jaxpr | core.ClosedJaxpr)
        ):
            inner = getattr(value, "jaxpr", value)
            if isinstance(inner, core.Jaxpr):
                found |= primitives(inner)
    return found


def program(function, *arguments):
    return primitives(jax.make_jaxpr(function)(*arguments).jaxpr)


@pytest.mark.parametrize("name", quick_first(ONE_OF_EACH))
def test_a_plain_program_has_no_operation_of_our_own(name):
    network, shape = MODELS[name].network, (1, *MODELS[name].input_shape)
    x = jax.ShapeDtypeStruct(shape, "float32")  # in 16 bits, see the layers below
    variables = jax.eval_shape(lambda x: network.init(jax.random.key(0), x, train=False), x)
    apply = functools.partial(network.apply, train=False)
    before = program(apply, variables, x)
    with plain_tracing():
        plain = program(apply, variables, x)
    assert not plain & OURS
    assert before & OURS
    assert program(apply, variables, x) == before, "what was traced plainly is not taken for the other"


LAYERS = {
    "conv1d": ((2, 9, 3), lambda x: conv1d(x, jnp.full((4, 3, 5), 0.1, x.dtype), stride=2, padding=1)),
    "conv2d": ((2, 7, 9, 3), lambda x: conv2d(x, jnp.full((3, 2, 3, 5), 0.1, x.dtype), stride=(2, 3), padding=1)),
    "conv3d": ((2, 4, 5, 6, 3), lambda x: conv3d(x, jnp.full((2, 3, 2, 3, 5), 0.1, x.dtype), stride=(1, 2, 1))),
    "max_pool": ((2, 9, 8, 5), lambda x: max_pool(x, (3, 2), stride=(2, 3), padding=(1, 0))),
    "avg_pool": ((2, 9, 8, 5), lambda x: avg_pool(x, (3, 2), stride=(2, 3), padding=(1, 0))),
    "sigmoid": ((2, 3, 5, 7), sigmoid),
}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_plain_layer_has_the_same_values_and_derivatives(name, dtype):
    shape, layer = LAYERS[name]
    x = jax.random.permutation(jax.random.key(0), jnp.prod(jnp.array(shape))).reshape(shape).astype(dtype) / 100

    def total(x):
        return jnp.sum(jnp.sin(layer(x).astype("float32")))

    with plain_tracing():
        plain = jax.jit(layer)(x), jax.jit(jax.grad(total))(x)
        assert not program(jax.grad(total), x) & OURS
    # another order of summation; 16 bits round once at the end of both
    tolerance = 1e-5 if dtype == "float32" else 0.02
    chex.assert_trees_all_close(plain, (jax.jit(layer)(x), jax.jit(jax.grad(total))(x)), rtol=tolerance, atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_traced_for_one_platform_is_what_every_platform_has_of_it(name):
    shape, layer = LAYERS[name]
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)

    def both(x):
        y, back = jax.vjp(layer, x)
        return y, back(jnp.cos(y))[0]

    by_platform, here, usual = jax.jit(both)(x), jax.default_backend(), program(both, x)
    with tracing_for(here):
        assert "platform_index" not in program(both, x)
        chex.assert_trees_all_equal(jax.jit(both)(x), by_platform)
    with tracing_for("cuda"):
        # the pools are slices everywhere, and their barriers are for CPUs
        assert not program(both, x) & {"platform_index", "optimization_barrier"}
        with tracing_for(None):
            assert program(both, x) == usual


def test_what_trains_is_traced_for_its_device_alone():
    recipe = dataclasses.replace(find("mlp"), batch_size=4)
    part = Examples(np.zeros((8, 28, 28, 1), np.uint8), np.zeros(8, np.int32))

    def seen(logits, y):
        raise InterruptedError(" ".join(program(sigmoid, logits)))  # nothing has to be compiled

    with pytest.raises(InterruptedError) as told:
        compile_program(dataclasses.replace(recipe, loss=seen), Dataset("zeros", part, part, tuple("0123456789")))
    assert "platform_index" not in str(told.value)
    assert "platform_index" in program(sigmoid, jnp.zeros((4, 10)))


def test_the_switch_is_part_of_what_jit_remembers():
    convolve = jax.jit(lambda x, kernel: conv2d(x, kernel))
    x, kernel = jnp.ones((1, 5, 6, 2)), jnp.ones((3, 2, 2, 3))
    ordinary = convolve.lower(x, kernel).as_text()
    with plain_tracing():
        assert convolve.lower(x, kernel).as_text() != ordinary
        with pytest.raises(ZeroDivisionError), plain_tracing():
            raise ZeroDivisionError
        assert convolve.lower(x, kernel).as_text() != ordinary
    assert convolve.lower(x, kernel).as_text() == ordinary
