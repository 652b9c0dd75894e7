import numpy as np
import pytest

from jaxd2l.data.synthetic import linear_regression, polynomial


def test_linear_regression_is_the_stated_linear_function_when_there_is_no_noise():
    x, y = linear_regression(3, n=7, weights=(2.0, -3.4, 0.5), bias=4.2, noise=0.0)
    assert x.shape == (7, 3)
    assert y.shape == (7, 1)
    assert x.dtype == y.dtype == np.float32
    # float32 rounding of numbers near 10
    np.testing.assert_allclose(y[:, 0], x.astype(np.float64) @ [2.0, -3.4, 0.5] + 4.2, atol=5e-6)


def test_least_squares_recovers_the_weights_and_the_noise():
    x, y = linear_regression(0, n=1000, noise=0.01)
    design = np.column_stack([x, np.ones(len(x))]).astype(np.float64)
    solution, residual, *_ = np.linalg.lstsq(design, y[:, 0].astype(np.float64))
    np.testing.assert_allclose(solution, [2.0, -3.4, 4.2], atol=5 * 0.01 / np.sqrt(1000))  # five standard errors
    np.testing.assert_allclose(np.sqrt(residual[0] / 997), 0.01, rtol=5 / np.sqrt(2 * 997))


def test_noise_is_uncorrelated_with_the_features():
    x, y = linear_regression(1, n=5000, weights=(1.0, 1.0), bias=0.0, noise=1.0)
    errors = y[:, 0] - x.sum(1)
    for column in x.T:
        assert abs(np.corrcoef(column, errors)[0, 1]) < 5 / np.sqrt(5000)


def test_noise_changes_the_targets_and_never_the_features():
    quiet, loud = linear_regression(5, n=11, noise=0.0), linear_regression(5, n=11, noise=1.0)
    np.testing.assert_array_equal(quiet.x, loud.x)
    assert np.abs(quiet.y - loud.y).min() > 0


def test_a_seed_gives_the_same_examples_and_another_seed_others():
    np.testing.assert_array_equal(linear_regression(7, n=5).x, linear_regression(7, n=5).x)
    assert np.abs(linear_regression(7, n=5).x - linear_regression(8, n=5).x).min() > 0


def test_polynomial_features_are_powers_over_factorials():
    x, y = polynomial(2, n=5, coefficients=(5.0, 1.2, -3.4, 5.6), num_features=7, noise=0.0)
    assert x.shape == (5, 7)
    u = x[:, 1].astype(np.float64)
    np.testing.assert_allclose(x[:, 3], u**3 / 6, rtol=1e-5)
    np.testing.assert_allclose(x[:, 6], u**6 / 720, rtol=1e-5)
    np.testing.assert_allclose(y[:, 0], 5 + 1.2 * u - 3.4 * u**2 / 2 + 5.6 * u**3 / 6, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"n": 0}, "n must"),
        ({"weights": ()}, "weights"),
        ({"weights": (1.0, np.nan)}, "weights"),
        ({"bias": np.nan}, "bias"),
        ({"bias": -np.inf}, "bias"),
        ({"noise": -0.1}, "noise"),
        ({"noise": np.inf}, "noise"),
    ],
)
def test_wrong_settings_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        linear_regression(**({"seed": 0, "n": 3} | wrong))


def test_a_polynomial_needs_a_feature_for_every_coefficient():
    with pytest.raises(ValueError, match="num_features=2"):
        polynomial(0, coefficients=(1.0, 2.0, 3.0), num_features=2)


def test_coefficients_of_a_polynomial_are_finite():
    with pytest.raises(ValueError, match="coefficients must be finite"):
        polynomial(0, coefficients=(1.0, np.nan))
