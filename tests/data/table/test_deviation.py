"""Means and deviations against exact arithmetic, at sizes where float64's squares and differences fail."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from jaxd2l.data.table.deviation import mean_and_deviation, standard

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def exactly_standard(values):
    """(x - mean) / deviation in fractions, but for one square root."""
    exact = [Fraction(float(value)) for value in values]
    mean = sum(exact) / len(exact)
    away = [value - mean for value in exact]
    reach = max(map(abs, away))
    relative = [float(value / reach) for value in away]
    return np.array(relative) / np.sqrt(np.mean(np.square(relative)))


@pytest.mark.slow
@given(arrays.arrays(np.float64, st.integers(1, 9), elements=FINITE))
def test_any_finite_numbers_are_standardised_as_in_exact_arithmetic_or_said_to_be_constant(values):
    mean, deviation = mean_and_deviation(values)
    assert np.isfinite([mean, deviation]).all()
    assert values.min() <= mean <= values.max() or np.isclose(mean, values.max(), rtol=1e-15, atol=0)
    spread = Fraction(float(values.max())) - Fraction(float(values.min()))
    if deviation == 0:
        # Bounds of what is called constant: rounding of the mean, and numbers below the smallest normal.
        assert spread <= Fraction(4 * len(values) ** 2 * 2.3e-16) * Fraction(float(np.abs(values).max())) + Fraction(
            1e-306
        )
        return
    # The mean's rounding, n * eps * |mean| at most, is the deviation's at most, so the bound is on their ratio.
    rounding = 2 * len(values) * 2.3e-16 * abs(mean) / deviation
    np.testing.assert_allclose(
        standard(values, mean, deviation),
        exactly_standard(values),
        rtol=1e-12 + 4 * rounding,
        atol=1e-12 + 4 * rounding,
    )


@pytest.mark.slow
@given(
    arrays.arrays(np.float64, st.integers(2, 99), elements=st.floats(-1e100, 1e100).filter(lambda x: abs(x) > 1e-100))
)
def test_numbers_of_usual_size_keep_every_bit_that_numpy_gives(values):
    mean, deviation = mean_and_deviation(values)
    assert mean == values.mean()
    if deviation:
        assert deviation == values.std()
        np.testing.assert_array_equal(standard(values, mean, deviation), (values - mean) / deviation)


CONSTANT = {
    "equal": [0.1] * 7,
    "zeros": [0.0, -0.0],
    "rounding": [0.1 + 0.2, 0.3, 0.3],
    "large-rounding": [1e16, 1e16 + 2, 1e16],
    "subnormal": [0.0, 5e-324, 0.0],
    "one": [5.0],
}


@pytest.mark.parametrize("values", CONSTANT.values(), ids=CONSTANT)
def test_numbers_that_differ_by_rounding_have_no_deviation(values):
    assert mean_and_deviation(np.array(values))[1] == 0


@pytest.mark.parametrize(
    ("values", "deviation"),
    [
        ([0, 1e-200, 0], np.sqrt(2) / 3 * 1e-200),
        ([-1.7e308, 1.7e308], 1.7e308),
        ([1e200, -1e200, 0], np.sqrt(2 / 3) * 1e200),
    ],
    ids=["tiny", "huge", "square-overflows"],
)
def test_deviations_whose_squares_are_no_float64_are_found(values, deviation):
    assert mean_and_deviation(np.array(values))[1] == pytest.approx(deviation, rel=1e-15)
