import numpy as np
import pytest

from jaxd2l.experiments.polynomial import fit_degrees


@pytest.fixture(scope="module")
def fits():
    return {fit.degree: fit for fit in fit_degrees(seed=0)}


@pytest.mark.slow
def test_the_right_degree_reaches_the_noise_on_both_sets(fits):
    # published .0108 / .0106; the noise has variance .01, and 100 examples know it to 14%
    assert fits[3].train_loss[-1] == pytest.approx(0.01, rel=0.5)
    assert fits[3].test_loss[-1] == pytest.approx(0.01, rel=0.5)
    np.testing.assert_allclose(fits[3].weights[:4], [5, 1.2, -3.4, 5.6], atol=0.1)
    np.testing.assert_array_equal(fits[3].weights[4:], 0)


@pytest.mark.slow
def test_a_line_underfits(fits):
    # published 8.43 / 15.6, hundreds of times the noise; the exact value hangs on the largest |u| drawn
    assert fits[1].train_loss[-1] > 1
    assert fits[1].test_loss[-1] > 1


@pytest.mark.slow
def test_degree_19_overfits(fits):
    # published .0121 / .0178
    assert fits[19].train_loss[-1] < 0.02
    assert fits[19].test_loss[-1] > 1.5 * fits[19].train_loss[-1]
    assert fits[19].test_loss[-1] > fits[3].test_loss[-1]


@pytest.mark.slow
def test_a_degree_trains_the_same_alone_as_beside_others(fits):
    (alone,) = fit_degrees((3,), seed=0)
    np.testing.assert_allclose(alone.test_loss, fits[3].test_loss, rtol=1e-3)


@pytest.mark.parametrize("degrees", [(), (20,), (-1,)])
def test_degrees_outside_the_features_are_refused(degrees):
    with pytest.raises(ValueError, match="degrees"):
        fit_degrees(degrees)
