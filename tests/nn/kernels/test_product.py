"""The product of rows with a kernel: equal to the plain one, and turned around on CPU alone."""

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from jaxd2l.nn.kernels.product import multiply


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "features"), [((7, 20), 10), ((7, 20), 40), ((3, 5, 4), 6), ((40,), 3)])
def test_value_and_gradients_are_those_of_the_plain_product(shape, features):
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        x, kernel = jnp.asarray(rng.standard_normal(shape)), jnp.asarray(rng.standard_normal((shape[-1], features)))
        (y, back), (expected, back_plain) = (jax.vjp(f, x, kernel) for f in (multiply, jnp.matmul))
        dy = jnp.asarray(rng.standard_normal(y.shape))
        for found, plain in zip((y, *back(dy)), (expected, *back_plain(dy)), strict=True):
            np.testing.assert_allclose(found, plain, rtol=1e-12, atol=1e-12)


def test_the_gradient_of_few_features_is_kept_turned_around_on_cpu_alone():
    def is_turned(platform, features):
        x, kernel = jnp.zeros((64, 100)), jnp.zeros((100, features))
        step = jax.jit(jax.grad(lambda k: jnp.sum(multiply(x, k) ** 2)))
        return "optimization_barrier" in jax.export.export(step, platforms=[platform])(kernel).mlir_module()

    assert is_turned("cpu", 10)
    assert not is_turned("cpu", 64)
    assert not is_turned("cuda", 10)
