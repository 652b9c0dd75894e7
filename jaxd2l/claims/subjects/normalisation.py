"""Day 21: batch normalisation."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxd2l.claims.claim import Claim
from jaxd2l.claims.comparison import within
from jaxd2l.nn import BatchNorm, RunningStatistics, batch_norm

SHAPES = {"dense": (20, 3), "convolution": (5, 7, 2, 3)}


def _normalised(kind: str, train: bool = True) -> tuple[jax.Array, jax.Array, RunningStatistics]:
    """Input of mean 5 and deviation 3, what batch normalisation makes of it, and the statistics after it."""
    x = 5 + 3 * jax.random.normal(jax.random.key(0), SHAPES[kind])
    y, running = batch_norm(x, jnp.ones(3), jnp.zeros(3), RunningStatistics(jnp.zeros(3), jnp.ones(3)), train=train)
    return x, y, running


def _moments(kind: str) -> list[float]:
    """Largest differences of the channels' means from 0 and deviations from 1, over all axes but the last."""
    y = _normalised(kind)[1].reshape(-1, 3)
    return [jnp.abs(y.mean(axis=0)).max().item(), jnp.abs(y.std(axis=0) - 1).max().item()]


def _scale_and_shift() -> list[float]:
    x = jax.random.normal(jax.random.key(0), (20, 3))
    start = RunningStatistics(jnp.zeros(3), jnp.ones(3))
    y, _ = batch_norm(x, jnp.full(3, 2.0), jnp.full(3, 7.0), start, train=True)
    return [y.mean().item(), y.std(axis=0).mean().item()]


def _moved() -> list[float]:
    """How far mean and variance after one batch are from .9 of the old and .1 of the batch's."""
    x, _, running = _normalised("dense")
    mean, var = 0.1 * x.mean(axis=0), 0.9 + 0.1 * x.var(axis=0, ddof=1)
    return [jnp.abs(running.mean - mean).max().item(), jnp.abs(running.var - var).max().item()]


def _predicted() -> float:
    x, y, _ = _normalised("dense", train=False)
    return jnp.abs(y - x).max().item()  # mean 0 and variance 1 so far: the identity


def _batch_of_one() -> list[float]:
    """Output, and largest gradient with respect to the input, for a single row."""
    start = RunningStatistics(jnp.zeros(3), jnp.ones(3))

    def out(x: jax.Array) -> jax.Array:
        return batch_norm(x, jnp.ones(3), jnp.zeros(3), start, train=True)[0]

    x = jnp.array([[2.0, -3.0, 5.0]])
    return [jnp.abs(out(x)).max().item(), jnp.abs(jax.grad(lambda x: jnp.sum(out(x) ** 2 + out(x)))(x)).max().item()]


def _by_layer() -> float:
    x = _normalised("convolution")[0]
    ours = BatchNorm().init_with_output(jax.random.key(0), x, train=True)[0]
    flax = nn.BatchNorm(use_running_average=False, epsilon=1e-5).init_with_output(jax.random.key(0), x)[0]
    return jnp.abs(ours - flax).max().item()


CLAIMS = (
    Claim(
        "batch_norm",
        21,
        "Dense: each feature gets mean 0 and deviation 1 (largest differences).",
        [0, 0],
        lambda: _moments("dense"),
        within(1e-4),
    ),
    Claim(
        "batch_norm",
        21,
        "Convolution: each channel does, over its m*p*q elements.",
        [0, 0],
        lambda: _moments("convolution"),
        within(1e-4),
    ),
    Claim(
        "batch_norm",
        21,
        "Then scale and shift are learned: with 2 and 7, mean and deviation.",
        [7, 2],
        _scale_and_shift,
        within(1e-3),
    ),
    Claim("batch_norm", 21, "Moving averages follow the batches by a tenth: differences", [0, 0], _moved, within(1e-5)),
    Claim("batch_norm", 21, "Prediction uses these, not the batch's: difference", 0, _predicted, within(1e-4)),
    Claim("batch_norm", 21, "A batch of 1 learns nothing: output and gradient are 0.", [0, 0], _batch_of_one),
    Claim("batch_norm", 21, "The layer does as Flax's own: difference", 0, _by_layer, within(1e-4)),
)
