from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from jaxd2l.experiments import regularisation
from jaxd2l.experiments.linear_regression import Line
from jaxd2l.experiments.regularisation import (
    dropout_effect,
    few_examples,
    l1_against_l2,
    shrink,
    validation_curve,
    weight_decay,
)


@pytest.mark.slow
def test_weight_decay_shrinks_the_norm_and_the_test_error_to_the_published_values():
    # published |w| 12.96 and .356, test loss 98 and .08; |w| starts at sqrt(200) = 14.1 +- .7 and test loss at |w|^2/2
    none, three = weight_decay((0.0, 3.0), seed=0)
    assert none.norm == pytest.approx(13.5, abs=2)
    assert none.train_loss[-1] < 1e-4
    assert none.test_loss[-1] == pytest.approx(none.norm**2 / 2, rel=0.3)
    assert three.norm == pytest.approx(0.37, abs=0.1)
    assert three.test_loss[-1] == pytest.approx(0.09, abs=0.04)
    assert three.train_loss[-1] > none.train_loss[-1]


@pytest.mark.slow
def test_more_decay_means_a_smaller_norm():
    norms = [decay.norm for decay in weight_decay((0.0, 0.3, 1.0, 3.0), epochs=20)]
    assert norms == sorted(norms, reverse=True)


def test_the_few_examples_have_more_inputs_than_rows():
    x, y = few_examples()
    assert x.shape == (120, 200)
    assert y.shape == (120, 1)


def test_shrinking_stops_at_zero():
    line = shrink(Line(jnp.array([[0.3], [-0.5], [0.05]]), jnp.array([0.2])), 0.1)
    np.testing.assert_allclose(line.weights, [[0.2], [-0.4], [0.0]], atol=1e-7)
    np.testing.assert_array_equal(line.bias, jnp.array([0.2]))


@pytest.mark.slow
def test_l1_selects_the_inputs_that_matter_and_l2_none():
    truth, l1, l2 = l1_against_l2()
    matter = truth != 0
    assert (l1[matter] != 0).all()
    assert (l1[~matter] == 0).sum() >= 0.8 * (~matter).sum()
    assert (l2 != 0).all()
    # the price of L1: what it keeps is too small by about lambda
    assert (np.abs(l1[matter]) < np.abs(truth[matter]) + 0.1).all()


@pytest.mark.slow
def test_l1_satisfies_the_optimality_condition_of_the_lasso():
    """At the minimum the gradient of the loss is -lambda sign(w) where w is not 0, and within lambda elsewhere."""
    from jaxd2l.data.synthetic import linear_regression

    truth, l1, _ = l1_against_l2(strength=0.1, seed=0, epochs=3000)
    x, y = linear_regression(0, 60, truth, bias=0.0, noise=0.5)
    residual = x @ l1 - y[:, 0]
    residual -= residual.mean()  # the bias is free
    gradient = x.T @ residual / len(x)
    assert (np.abs(gradient) <= 0.1 + 1e-3).all()
    np.testing.assert_allclose(gradient[l1 != 0], -0.1 * np.sign(l1[l1 != 0]), atol=1e-3)


@pytest.mark.slow
def test_the_validation_curve_has_its_minimum_inside():
    curve = validation_curve()
    mean = curve.validation_loss.mean(axis=1)
    assert curve.strengths[0] < curve.choice < curve.strengths[-1]
    assert mean.min() < 0.8 * mean[0]
    assert mean.min() < 0.8 * mean[-1]
    assert (np.diff(curve.train_loss.mean(axis=1)) > 0).all()  # the training loss alone would pick lambda 0


def test_a_lambda_that_diverged_in_a_fold_is_not_chosen(monkeypatch):
    losses = np.array([[3.0, 3.0], [2.0, 2.0], [np.nan, 0.1], [np.inf, 0.1]])[:, None, :, None]  # (g, s, k, epochs)
    found = SimpleNamespace(train_loss=losses, validation_loss=losses)
    monkeypatch.setattr(regularisation, "kfold", lambda *_, **__: found)
    curve = validation_curve((0.0, 0.1, 10.0, 100.0), k=2)
    assert curve.choice == 0.1
    np.testing.assert_array_equal(curve.validation_loss, losses[:, 0, :, 0])
    found.validation_loss = losses[2:]
    with pytest.raises(ArithmeticError, match="diverged"):
        validation_curve((10.0, 100.0), k=2)


@pytest.mark.slow
def test_dropout_closes_the_gap_between_training_and_held_out_houses():
    none, half = dropout_effect((0.0, 0.5), epochs=20)
    assert half.train_loss > none.train_loss
    assert half.log_rmse.mean() < none.log_rmse.mean()
