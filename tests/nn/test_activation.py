import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_arrays import normal

from jaxd2l import nn

ELEMENTWISE = [nn.relu, nn.leaky_relu, nn.sigmoid, nn.tanh, nn.gelu]
LINE = jnp.asarray([-1e4, -3.0, -1e-3, 0.0, 1e-3, 3.0, 1e4])


@pytest.mark.slow
def test_derivatives_at_zero_are_those_of_the_book():
    assert jax.grad(nn.relu)(0.0) == 0
    assert jax.grad(nn.sigmoid)(0.0) == 0.25
    assert jax.grad(nn.tanh)(0.0) == 1
    np.testing.assert_allclose(jax.grad(nn.leaky_relu)(0.0), 0.01)


@pytest.mark.slow
def test_sigmoid_and_tanh_are_steepest_at_zero():
    x = jnp.linspace(-5, 5, 101)
    for function, most in ((nn.sigmoid, 0.25), (nn.tanh, 1.0)):
        slope = jax.vmap(jax.grad(function))(x)
        np.testing.assert_allclose(jnp.max(slope), most, rtol=1e-6)
        assert jnp.argmax(slope) == 50


@pytest.mark.slow
@pytest.mark.parametrize("function", ELEMENTWISE)
def test_activations_and_derivatives_stay_finite_far_out_and_keep_dtype(function):
    chex.assert_tree_all_finite((function(LINE), jax.vmap(jax.grad(function))(LINE)))
    assert function(LINE.astype(jnp.bfloat16)).dtype == jnp.bfloat16


@pytest.mark.slow
@pytest.mark.parametrize("function", [*ELEMENTWISE, nn.softmax, nn.log_softmax])
def test_nan_passes_through(function):
    assert np.any(np.isnan(function(jnp.asarray([jnp.nan, 1.0]))))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "reference"),
    [
        (nn.relu, jax.nn.relu),
        (nn.leaky_relu, jax.nn.leaky_relu),
        (nn.sigmoid, jax.nn.sigmoid),
        (nn.tanh, jnp.tanh),
        (nn.gelu, lambda x: jax.nn.gelu(x, approximate=False)),
        (nn.softmax, jax.nn.softmax),
        (nn.log_softmax, jax.nn.log_softmax),
    ],
)
def test_from_scratch_equals_jax_in_value_and_gradient(function, reference):
    x = normal(0, (5, 7)) * 3
    weight = normal(1, (5, 7))
    ours, theirs = (jax.value_and_grad(lambda x, f=f: jnp.sum(f(x) * weight))(x) for f in (function, reference))
    chex.assert_trees_all_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_softmax_keeps_the_order_sums_to_one_and_survives_huge_logits():
    logits = jnp.asarray([[1.0, 3.0, 2.0], [1e30, -1e30, 0.0]])
    p = nn.softmax(logits)
    np.testing.assert_allclose(jnp.sum(p, axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(jnp.argsort(p[0]), jnp.argsort(logits[0]))
    np.testing.assert_array_equal(p[1], [1, 0, 0])
