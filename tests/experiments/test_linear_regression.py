import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxd2l.data import Examples
from jaxd2l.experiments.descent import descend
from jaxd2l.experiments.linear_regression import Line, closed_form, compare, loss


@pytest.fixture(scope="module")
def comparison():
    return compare(seed=0)


@pytest.mark.slow
def test_from_scratch_and_by_layer_are_the_same_updates(comparison):
    # 300 float32 updates whose sums may run in another order
    np.testing.assert_allclose(comparison.scratch.weights, comparison.layer.weights, atol=2e-5)
    np.testing.assert_allclose(comparison.scratch.bias, comparison.layer.bias, atol=2e-5)
    np.testing.assert_allclose(comparison.scratch_loss, comparison.layer_loss, rtol=1e-2, atol=1e-7)


@pytest.mark.slow
def test_both_descents_take_the_settings_that_are_asked_for():
    found = compare(epochs=2, learning_rate=0.2, batch_size=100)
    assert len(found.layer_loss) == len(found.scratch_loss) == 2
    np.testing.assert_allclose(found.scratch_loss, found.layer_loss, rtol=1e-2, atol=1e-7)
    np.testing.assert_allclose(found.scratch.weights, found.layer.weights, atol=2e-5)


@pytest.mark.slow
def test_descent_reaches_the_closed_form_and_the_truth(comparison):
    for line in (comparison.scratch, comparison.closed_form):
        np.testing.assert_allclose(line.weights[:, 0], [2.0, -3.4], atol=0.002)  # noise .01, 1,000 examples
        np.testing.assert_allclose(line.bias, [4.2], atol=0.002)


@pytest.mark.slow
def test_the_losses_are_the_published_ones_up_to_the_draw_of_the_data(comparison):
    published = np.array([0.042790, 0.000162, 0.000051])
    ratio = comparison.scratch_loss / published
    assert (ratio > 0.5).all()
    assert (ratio < 2).all()
    assert comparison.noise_floor < comparison.scratch_loss[-1] < 1.1 * comparison.noise_floor


def test_closed_form_needs_independent_columns():
    x = np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0], [4.0, 8.0]], np.float32)
    with pytest.raises(ValueError, match="2 of 3 unknowns"):
        closed_form(Examples(x, x[:, :1]))


def test_closed_form_solves_exact_data():
    x = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 5.0], [-1.0, 3.0]], np.float32)
    line = closed_form(Examples(x, x @ np.array([[3.0], [-2.0]], np.float32) + 7))
    np.testing.assert_allclose(line.weights[:, 0], [3, -2], atol=1e-6)
    np.testing.assert_allclose(line.bias, [7], atol=1e-6)


@pytest.mark.slow
def test_a_full_batch_step_by_hand():
    # w = 0, b = 0, x = [1, 3], y = [2, 4]: d/dw = -(2 + 12) / 2 = -7, d/db = -3; a step of 0.1 gives w .7, b .3
    start = Line(jnp.zeros((1, 1)), jnp.zeros(1))
    x, y = jnp.array([[1.0], [3.0]]), jnp.array([[2.0], [4.0]])
    line, _ = descend(loss, start, x, y, jax.random.key(0), learning_rate=0.1, epochs=1, batch_size=2)
    np.testing.assert_allclose(line.weights, [[0.7]], rtol=1e-6)
    np.testing.assert_allclose(line.bias, [0.3], rtol=1e-6)
