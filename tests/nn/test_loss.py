import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxd2l import nn

LOGITS = jnp.asarray([[1.435, 2.223, 3.353], [4.345, 5.2231, 6.389], [7.33, 8.21, 9.36]])


@pytest.mark.slow
def test_cross_entropy_of_the_notes():
    losses = nn.cross_entropy(LOGITS, jnp.asarray([0, 1, 1]))
    np.testing.assert_allclose(losses, [2.3032, 1.5313, 1.5202], atol=5e-5)  # given to four places
    np.testing.assert_allclose(jnp.mean(losses), 1.784908, atol=5e-7)


@pytest.mark.slow
def test_cross_entropy_of_a_uniform_guess_is_log_k():
    np.testing.assert_allclose(nn.cross_entropy(jnp.zeros((2, 7)), jnp.asarray([0, 6])), np.log(7), rtol=1e-6)


@pytest.mark.slow
def test_cross_entropy_gradient_is_softmax_minus_one_hot():
    labels = jnp.asarray([0, 1, 1])
    gradient = jax.grad(lambda logits: jnp.sum(nn.cross_entropy(logits, labels)))(LOGITS)
    chex.assert_trees_all_close(gradient, nn.softmax(LOGITS) - nn.one_hot(labels, 3), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("size", [1e4, 1e30])
def test_huge_logits_give_finite_losses_and_gradients(size):
    logits = jnp.asarray([[size, 0.0, -size]])
    loss, gradient = jax.value_and_grad(lambda x: jnp.sum(nn.cross_entropy(x, jnp.asarray([0]))))(logits)
    assert loss == 0
    chex.assert_tree_all_finite(gradient)


@pytest.mark.parametrize("label", [-1, 3, 100])
def test_label_out_of_range_is_nan_under_jit_not_clamped_or_wrapped(label):
    loss = jax.jit(nn.cross_entropy)(LOGITS, jnp.asarray([0, label, 1]))
    np.testing.assert_array_equal(np.isnan(loss), [False, True, False])


@pytest.mark.parametrize("label", [-1, 3])
def test_one_hot_refuses_labels_out_of_range_and_marks_them_under_jit(label):
    labels = jnp.asarray([0, label])
    with pytest.raises(ValueError, match=r"expected \[0, 2\]"):
        nn.one_hot(labels, 3)
    rows = jax.jit(nn.one_hot, static_argnums=1)(labels, 3)
    np.testing.assert_array_equal(rows[0], [1, 0, 0])
    assert np.all(np.isnan(rows[1]))  # a row of zeros would be a loss of 0


@pytest.mark.parametrize("labels", [jnp.asarray([[0], [1], [1]]), jnp.asarray([0, 1]), jnp.asarray([0.0, 1.0, 1.0])])
def test_labels_of_another_shape_or_kind_are_refused_not_broadcast(labels):
    for function in (nn.cross_entropy, nn.hits, nn.accuracy):
        with pytest.raises(ValueError, match="labels"):
            function(LOGITS, labels)


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_smoothing_that_is_no_share_is_refused(share):
    with pytest.raises(ValueError, match=r"label_smoothing is a share of the target, in \[0, 1\], got"):
        nn.cross_entropy(LOGITS, jnp.asarray([0, 1, 1]), label_smoothing=share)


@pytest.mark.parametrize("loss", [nn.squared_error, nn.absolute_error, nn.huber, nn.log_squared_error])
@pytest.mark.parametrize("shapes", [((5, 1), (5,)), ((5,), (5, 1)), ((5, 2), (5, 3)), ((5,), (3,))])
def test_prediction_and_target_of_different_shapes_are_refused_not_broadcast(loss, shapes):
    with pytest.raises(ValueError, match=r"have to be the same.*reshape"):
        loss(jnp.ones(shapes[0]), jnp.ones(shapes[1]))


@pytest.mark.slow
@pytest.mark.parametrize("loss", [nn.squared_error, nn.absolute_error, nn.huber, nn.log_squared_error])
def test_losses_are_per_example_and_sum_over_outputs(loss):
    x, y = 3 * jnp.arange(10.0).reshape(5, 2), jnp.ones((5, 2))
    chex.assert_trees_all_close(loss(x, y), loss(x[:, 0], y[:, 0]) + loss(x[:, 1], y[:, 1]), rtol=1e-6)


@pytest.mark.slow
def test_derivatives_of_squared_absolute_and_huber_loss():
    error = jnp.asarray([-3.0, -0.5, 0.0, 0.5, 3.0])

    def derivative(loss):
        return jax.grad(lambda x: jnp.sum(loss(x, jnp.zeros_like(x))))(error)

    np.testing.assert_array_equal(derivative(nn.squared_error), error)
    np.testing.assert_array_equal(derivative(nn.absolute_error), [-1, -1, 0, 1, 1])
    np.testing.assert_array_equal(derivative(nn.huber), [-1, -0.5, 0, 0.5, 1])


def test_huber_is_squared_inside_and_linear_outside():
    np.testing.assert_allclose(nn.huber(jnp.asarray([0.5, 3.0]), jnp.zeros(2)), [0.125, 2.5])
    with pytest.raises(ValueError, match="delta"):
        nn.huber(jnp.zeros(2), jnp.zeros(2), delta=0.0)


@pytest.mark.slow
def test_soft_labels_that_are_one_hot_give_the_same_loss():
    labels = jnp.asarray([0, 1, 1])
    soft = nn.cross_entropy_with_probabilities(LOGITS, nn.one_hot(labels, 3))
    chex.assert_trees_all_close(soft, nn.cross_entropy(LOGITS, labels), rtol=1e-6)


@pytest.mark.slow
def test_impossible_class_of_share_zero_costs_nothing():
    logits = jnp.asarray([[0.0, -jnp.inf]])
    assert nn.cross_entropy_with_probabilities(logits, jnp.asarray([[1.0, 0.0]]))[0] == 0


@pytest.mark.slow
def test_entropy_is_log_k_when_uniform_and_zero_when_certain_with_finite_gradient():
    np.testing.assert_allclose(nn.entropy(jnp.full((2, 7), 1 / 7)), np.log(7), rtol=1e-6)
    certain = jnp.asarray([0.0, 1.0, 0.0])
    assert nn.entropy(certain) == 0
    chex.assert_tree_all_finite(jax.grad(nn.entropy)(certain))
    assert np.isnan(nn.entropy(jnp.asarray([[np.nan, 0.5], [-0.5, 1.5]]))).all()


@pytest.mark.slow
def test_loss_of_bfloat16_logits_is_computed_in_float32():
    assert nn.cross_entropy(LOGITS.astype(jnp.bfloat16), jnp.asarray([0, 1, 1])).dtype == jnp.float32


def test_log_rmse_sees_ratios_and_clamps_prices_below_one():
    prediction, target = jnp.asarray([[110.0], [-5.0]]), jnp.asarray([[100.0], [1.0]])
    np.testing.assert_allclose(nn.log_rmse(prediction, target), np.log(1.1) / np.sqrt(2), rtol=1e-5)


@pytest.mark.slow
def test_accuracy_counts_hits_and_indexing_picks_the_label_probability():
    p = jnp.asarray([[0.1, 0.3, 0.6], [0.3, 0.2, 0.5]])
    y = jnp.asarray([0, 2])
    np.testing.assert_allclose(p[jnp.arange(2), y], [0.1, 0.5])  # D2L sec_softmax_scratch: y_hat[[0, 1], y]
    np.testing.assert_array_equal(nn.hits(p, y), [False, True])
    assert nn.accuracy(p, y) == 0.5


@pytest.mark.slow
def test_row_of_nan_is_never_a_hit():
    assert not nn.hits(jnp.full((1, 3), jnp.nan), jnp.asarray([0]))[0]
