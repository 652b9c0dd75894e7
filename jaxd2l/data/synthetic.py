"""Data with a known truth: linear and polynomial functions plus Gaussian noise, and clips in which only the motion
tells the class.

Source: D2L sec_linear_scratch, sec_model_selection, sec_weight_decay; founding notes, day 17.

Features and noise come from two independent streams spawned from one seed. Drawn from one stream they would be
correlated, and the estimate of the weights would be biased in silence.
"""

import math
from collections.abc import Sequence

import numpy as np

from jaxd2l.data.examples import LARGEST_SEED, Examples

DIRECTIONS = ("left", "right", "up", "down")
_STEPS = np.array([(0, -2), (0, 2), (-2, 0), (2, 0)])  # rows and columns a frame


def linear_regression(
    seed: int,
    n: int = 1000,
    weights: Sequence[float] | np.ndarray = (2.0, -3.4),
    bias: float = 4.2,
    noise: float = 0.01,
) -> Examples:
    """Draw x ~ N(0, 1) and y = x @ weights + bias + noise * N(0, 1) (D2L sec_linear_scratch).

    Args:
        seed: in [0, 2**32 - 1]; one seed always gives the same examples.
        n: number of examples, at least 1.
        weights: one finite number per feature, (d,).
        bias: added to every target, finite.
        noise: standard deviation of the noise, in the unit of y; 0 gives exact targets.

    Returns:
        x float32 (n, d) and y float32 (n, 1).

    Raises:
        ValueError: a seed out of range, no example, no weight, a negative or non-finite value.
    """
    if not math.isfinite(bias):
        raise ValueError(f"bias must be a finite number, got {bias}")
    w = np.asarray(weights, np.float64)
    if w.ndim != 1 or w.size == 0 or not np.isfinite(w).all():
        raise ValueError(f"weights must be a non-empty sequence of finite numbers, got shape {w.shape}: {weights}")
    features, errors = _streams(seed, n, noise)
    x = features.standard_normal((n, w.size))
    y = x @ w + bias + noise * errors.standard_normal(n)
    return Examples(x.astype(np.float32), y.astype(np.float32)[:, None])


def polynomial(
    seed: int,
    n: int = 200,
    coefficients: Sequence[float] = (5.0, 1.2, -3.4, 5.6),
    num_features: int = 20,
    noise: float = 0.1,
) -> Examples:
    """Draw u ~ N(0, 1), features u**i / i! and y = sum(coefficients[i] * u**i / i!) + noise * N(0, 1).

    Source: D2L sec_model_selection.

    Dividing by i! keeps the high powers small enough for gradient descent. A model of degree d uses the columns 0..d.

    Args:
        seed: in [0, 2**32 - 1].
        n: number of examples, at least 1.
        coefficients: of u**i / i!, lowest degree first, finite.
        num_features: columns of x, the degrees 0 .. num_features - 1; at least one for every coefficient.
        noise: standard deviation of the noise, in the unit of y.

    Returns:
        x float32 (n, num_features), whose first column is 1, and y float32 (n, 1).

    Raises:
        ValueError: fewer features than coefficients, or what `linear_regression` refuses.
    """
    if not 1 <= len(coefficients) <= num_features:
        raise ValueError(f"{len(coefficients)} coefficients need as many features, got num_features={num_features}")
    if not np.isfinite(coefficients).all():
        raise ValueError(f"coefficients must be finite numbers, got {coefficients}")
    features, errors = _streams(seed, n, noise)
    u = features.standard_normal((n, 1))
    degrees = np.arange(num_features)
    x = u**degrees / np.array([math.factorial(i) for i in degrees.tolist()], np.float64)
    y = x[:, : len(coefficients)] @ np.asarray(coefficients, np.float64) + noise * errors.standard_normal(n)
    return Examples(x.astype(np.float32), y.astype(np.float32)[:, None])


def moving_squares(seed: int, n: int, frames: int = 8, size: int = 28) -> Examples:
    """A bright square on a noisy ground moves two pixels a frame in one of four directions, around the edges.

    Start, brightness and noise are independent of the direction, so no single frame tells the class.

    Args:
        seed: in [0, 2**32); one seed always gives the same clips.
        n: number of clips, at least 1.
        frames: images in a clip, at least 2.
        size: pixels a side, at least 8.

    Returns:
        uint8 clips (n, frames, size, size, 1) and int32 labels (n,), indices of `DIRECTIONS`.

    Raises:
        ValueError: a seed or a size out of range.
    """
    if not 0 <= seed < 2**32 or n < 1 or frames < 2 or size < 8:
        raise ValueError(
            f"expected a seed in [0, 2**32), n >= 1, frames >= 2 and size >= 8, got {seed}, {n}, {frames}, {size}"
        )
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(DIRECTIONS), n)
    starts = rng.integers(0, size, (n, 2))
    clips = rng.integers(0, 64, (n, frames, size, size), dtype=np.uint8)
    brightness = rng.integers(128, 256, n)
    side = size // 4
    time, patch = np.arange(frames), np.arange(side)
    corner = starts[:, None, :] + _STEPS[labels][:, None, :] * time[None, :, None]  # (n, frames, 2)
    rows = (corner[..., 0, None] + patch) % size
    columns = (corner[..., 1, None] + patch) % size
    clip, frame = np.arange(n)[:, None, None, None], time[None, :, None, None]
    clips[clip, frame, rows[..., :, None], columns[..., None, :]] = brightness[:, None, None, None]
    return Examples(clips[..., None], labels.astype(np.int32))


def _streams(seed: int, n: int, noise: float) -> tuple[np.random.Generator, np.random.Generator]:
    """Return independent generators for the features and for the noise."""
    if not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"seed must be in [0, {LARGEST_SEED}], got {seed}")
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    if not (noise >= 0.0 and math.isfinite(noise)):
        raise ValueError(f"noise is a standard deviation, finite and at least 0, got {noise}")
    features, errors = np.random.SeedSequence(seed).spawn(2)
    return np.random.default_rng(features), np.random.default_rng(errors)
