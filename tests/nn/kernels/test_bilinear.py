"""The convolution that training uses against XLA's own, under every transformation of JAX."""

import functools

import chex
import jax
import jax.flatten_util
import jax.numpy as jnp
import pytest
from jax import lax
from model_table import UNOPTIMISED
from random_arrays import normal
from small_networks import drawn

from jaxd2l.nn import conv2d, conv3d
from jaxd2l.nn.models import LeNet

X = normal(0, (2, 7, 6, 3))
KERNEL = normal(1, (3, 2, 3, 5))


def _ours(x, kernel):
    return jnp.sum(jnp.sin(conv2d(x, kernel, stride=2, padding=1)))


def _plain(x, kernel):
    y = lax.conv_general_dilated(x, kernel, (2, 2), [(1, 1), (1, 1)], dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return jnp.sum(jnp.sin(y))


TRANSFORMATIONS = {
    "value": lambda f, x, k: f(x, k),
    "grad": lambda f, x, k: jax.grad(f, (0, 1))(x, k),
    "jvp": lambda f, x, k: jax.jvp(f, (x, k), (2 * x, -k)),
    "jacfwd": lambda f, x, k: jax.jacfwd(f, 1)(x, k),
    "Hessian-vector product, forward over reverse": lambda f, x, k: jax.jvp(jax.grad(f, (0, 1)), (x, k), (2 * x, -k)),
    "Hessian-vector product, reverse over reverse": lambda f, x, k: jax.grad(
        lambda x, k: jnp.sum(jnp.square(jax.grad(f, 1)(x, k))), (0, 1)
    )(x, k),
    "vmap of grad over kernels": lambda f, x, k: jax.vmap(jax.grad(f, 1), (None, 0))(x, jnp.stack([k, -k])),
    "grad of vmap over kernels": lambda f, x, k: jax.grad(lambda ks: jnp.sum(jax.vmap(lambda k: f(x, k))(ks)))(
        jnp.stack([k, -k])
    ),
    "grad of vmap over images": lambda f, x, k: jax.grad(
        lambda k: jnp.sum(jax.vmap(f, (-1, None))(jnp.stack([x, -x], -1), k)), 0
    )(k),
    "vmap over both": lambda f, x, k: jax.vmap(jax.grad(f, (0, 1)))(jnp.stack([x, 2 * x]), jnp.stack([k, -k])),
    "checkpoint": lambda f, x, k: jax.grad(jax.checkpoint(f), 1)(x, k),
    "jit": lambda f, x, k: jax.jit(jax.grad(f, (0, 1)))(x, k),
}
EAGER = {"value", "grad"}  # an operation at a time; the others as one program


@pytest.mark.slow
@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_a_convolution_transforms_as_xlas_own(name):
    def transform(f):
        transformed = functools.partial(TRANSFORMATIONS[name], f)
        return (transformed if name in EAGER else jax.jit(transformed, compiler_options=UNOPTIMISED))(X, KERNEL)

    # another order of summation in float32; second derivatives add a few hundred terms
    chex.assert_trees_all_close(transform(_ours), transform(_plain), rtol=2e-4, atol=2e-4)


@pytest.mark.slow
def test_a_convolution_in_three_dimensions_has_both_modes():
    x, kernel = jnp.ones((1, 4, 5, 6, 2)), jnp.full((2, 3, 2, 2, 3), 0.1)
    f = lambda k: jnp.sum(jnp.sin(conv3d(x, k, stride=(1, 2, 1))))  # noqa: E731
    chex.assert_trees_all_close(jax.jacfwd(f)(kernel), jax.grad(f)(kernel), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_a_network_has_hessian_vector_products():
    x = normal(2, (2, 28, 28, 1))
    params = drawn(LeNet(), x.shape[1:], train=False)["params"]
    f = lambda p: jnp.sum(jnp.square(LeNet().apply({"params": p}, x, train=False)))  # noqa: E731
    compiled = functools.partial(jax.jit, compiler_options=UNOPTIMISED)
    _, forward = compiled(lambda p: jax.jvp(jax.grad(f), (p,), (p,)))(params)
    flat, _ = jax.flatten_util.ravel_pytree(params)
    along = lambda p: jnp.vdot(jax.flatten_util.ravel_pytree(jax.grad(f)(p))[0], flat)  # noqa: E731
    reverse = compiled(jax.grad(along))(params)
    chex.assert_trees_all_close(forward, reverse, rtol=1e-3, atol=1e-4)  # two orders of summation
    assert jnp.max(jnp.abs(jax.flatten_util.ravel_pytree(forward)[0])) > 0
