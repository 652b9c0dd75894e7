"""Mean and standard deviation that can be divided by, of numbers of any size."""

import numpy as np


def mean_and_deviation(values: np.ndarray) -> tuple[float, float]:
    """Return the mean and the root of the mean squared deviation.

    Both are computed on values scaled by a power of two, which changes no digit and neither overflows nor vanishes:
    the square of 1e200, or of 1e-200, is no float64.

    Args:
        values: finite float64 (n,), n at least 1.

    Returns:
        (mean, deviation). The deviation is 0 where it says nothing: at the level of the rounding of the mean, as in
        0.1 + 0.2 beside 0.3 (scikit-learn's bound, n * eps * |mean|), or below the smallest normal float64.
    """
    exponent = int(np.frexp(np.abs(values).max())[1])
    scaled = np.ldexp(values, -exponent)
    mean = scaled.mean()
    away = scaled - mean
    reach = int(np.frexp(np.abs(away).max())[1])
    deviation = np.sqrt(np.mean(np.square(np.ldexp(away, -reach))))
    centre, spread = float(np.ldexp(mean, exponent)), float(np.ldexp(deviation, reach + exponent))
    rounding = len(values) * np.finfo(np.float64).eps * abs(centre)
    return centre, spread if spread > max(rounding, np.finfo(np.float64).smallest_normal) else 0.0


def standard(values: np.ndarray, mean: float, deviation: float) -> np.ndarray:
    """(values - mean) / deviation, scaled so that no difference of finite values overflows; NaN stays NaN.

    A quotient beyond float64 is infinite.
    """
    exponent = int(np.frexp(deviation)[1])
    with np.errstate(over="ignore"):
        return (np.ldexp(values, -exponent) - np.ldexp(mean, -exponent)) / np.ldexp(deviation, -exponent)
