"""Metrics: what is reported but not differentiated (D2L sec_softmax, sec_kaggle_house)."""

import jax
import jax.numpy as jnp

from jaxd2l.nn.loss import log_squared_error, logits_and_labels


def hits(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Whether the largest logit is the label's: (n, k) and (n,) to (n,) bool.

    A row with NaN is never a hit (argmax alone would call it class 0). Ties go to the lower class.

    Raises:
        ValueError: labels are not (n,) integers; (n, 1) would broadcast to (n, n).
    """
    logits, labels = logits_and_labels("hits", logits, labels)
    return (jnp.argmax(logits, axis=-1) == labels) & ~jnp.any(jnp.isnan(logits), axis=-1)


def accuracy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Share of hits, in [0, 1]: (n, k) and (n,) to a scalar; 1/k for a uniform guess.

    Over several batches sum `hits` and divide by the sum of examples: a mean of batch means weighs the last,
    smaller batch too much. No example gives NaN.
    """
    return jnp.mean(hits(logits, labels).astype(jnp.float32))


def log_rmse(prediction: jax.Array, target: jax.Array) -> jax.Array:
    """Root of the mean of `log_squared_error`: two (n,) or (n, 1) of positive values to a scalar."""
    return jnp.sqrt(jnp.mean(log_squared_error(prediction, target)))
