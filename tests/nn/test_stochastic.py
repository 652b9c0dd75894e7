import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxd2l.nn import Dropout, dropout


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_mean_and_drops_its_share(rate):
    n = 100_000
    y = dropout(jnp.ones(n), rate, jax.random.key(0))
    five_deviations = 5 * np.sqrt(rate * (1 - rate) / n)
    assert abs(np.mean(y == 0) - rate) < five_deviations
    assert abs(np.mean(y) - 1) < five_deviations / (1 - rate)
    np.testing.assert_allclose(np.unique(y), [0, 1 / (1 - rate)], rtol=1e-6)


@pytest.mark.slow
def test_rate_0_is_the_identity_and_rate_1_is_zero_with_finite_gradient():
    x = jnp.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(dropout(x, 0.0, jax.random.key(0)), x)
    np.testing.assert_array_equal(dropout(x, 1.0, jax.random.key(0)), 0)
    np.testing.assert_array_equal(jax.grad(lambda x: jnp.sum(dropout(x, 1.0, jax.random.key(0))))(x), 0)


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_rate_outside_0_to_1_is_refused(rate):
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        dropout(jnp.ones(3), rate, jax.random.key(0))


@pytest.mark.slow
def test_every_call_and_every_key_draws_another_mask():
    x = jnp.ones((3, 101))
    layer = Dropout(0.5)
    jitted = jax.jit(lambda key: layer.apply({}, x, train=True, rngs={"dropout": key}))
    first, second = jitted(jax.random.key(0)), jitted(jax.random.key(1))
    assert np.any(first != second)  # a mask drawn once would be a constant of the compiled program
    assert np.any(first[0] != first[1])  # and one mask for all examples would tie them


@pytest.mark.slow
def test_gradient_is_masked_as_the_output():
    x = jnp.ones((5, 7))
    y, gradient = (
        f(x)
        for f in (
            lambda x: dropout(x, 0.5, jax.random.key(0)),
            jax.grad(lambda x: jnp.sum(dropout(x, 0.5, jax.random.key(0)))),
        )
    )
    np.testing.assert_array_equal(gradient, y)


def test_prediction_is_the_identity_and_needs_no_key():
    x = jnp.ones((2, 3))
    assert Dropout(0.5).apply({}, x, train=False) is x
