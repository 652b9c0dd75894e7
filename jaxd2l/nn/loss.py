"""Losses per example, shape (n,): the caller takes the mean (D2L sec_linear_regression, sec_softmax, sec_kaggle_house).

They are computed in at least float32, whatever the network computes in. Shapes must agree: nothing is broadcast.
Arrays of NumPy in any type of real numbers and layout, and lists, are taken as well (`jaxd2l.nn.numbers`).
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.nn.activation import log_softmax
from jaxd2l.nn.numbers import class_labels, numbers
from jaxd2l.wording import counted


def squared_error(prediction: jax.Array, target: jax.Array) -> jax.Array:
    """(prediction - target)^2 / 2, summed over the outputs of one example; its derivative is the difference.

    Args:
        prediction: (n,) or (n, k).
        target: the same shape.

    Returns:
        (n,), in squared units of the target; half the variance of the target for a constant guess at its mean.

    Raises:
        ValueError: the shapes differ.
    """
    return _per_example(0.5 * jnp.square(_difference("squared_error", prediction, target)))


def absolute_error(prediction: jax.Array, target: jax.Array) -> jax.Array:
    """|prediction - target|, summed over outputs: (n,), in units of the target; derivative 0 at equality."""
    difference = _difference("absolute_error", prediction, target)
    return _per_example(jnp.sign(difference) * difference)  # jnp.abs has derivative 1 at 0 from one side


def huber(prediction: jax.Array, target: jax.Array, delta: float = 1.0) -> jax.Array:
    """Squared near 0, linear beyond `delta`: e^2 / 2 for |e| <= delta, else delta (|e| - delta / 2) (Huber 1964).

    Args:
        prediction: (n,) or (n, k).
        target: the same shape.
        delta: where the square ends, in units of the target, above 0; the derivative never exceeds it.

    Returns:
        (n,), summed over outputs.

    Raises:
        ValueError: the shapes differ or `delta` is not above 0.
    """
    if not delta > 0:
        raise ValueError(f"huber: delta is a distance above 0, got {delta}")
    difference = _difference("huber", prediction, target)
    inside = jnp.clip(difference, -delta, delta)
    return _per_example(inside * (difference - 0.5 * inside))


def log_squared_error(prediction: jax.Array, target: jax.Array) -> jax.Array:
    """(log prediction - log target)^2, with both clamped to at least 1: (n,). Prices of houses (D2L sec_kaggle_house).

    The square root of its mean is the log-RMSE of the Kaggle contest (use `metric.log_rmse`); a prediction that is
    wrong by 10% costs the same for a cheap and a dear house. Below 1 the loss is flat.

    Raises:
        ValueError: the shapes differ.
    """
    prediction, target = _same_shape("log_squared_error", prediction, target)
    return _per_example(jnp.square(jnp.log(jnp.maximum(prediction, 1)) - jnp.log(jnp.maximum(target, 1))))


def cross_entropy(
    logits: jax.Array,
    labels: jax.Array,
    *,
    label_smoothing: float = 0.0,
    class_weights: jax.Array | Sequence[float] | None = None,
) -> jax.Array:
    """-log softmax(logits)[label], the surprise at the label; its derivative is softmax(logits) - one_hot(label).

    With smoothing and weights it is `torch.nn.CrossEntropyLoss(class_weights, label_smoothing=E, reduction="none")`:
    (1 - E) w[label] (-log p[label]) + E / k sum_c w[c] (-log p[c]).

    Args:
        logits: (n, k) floating point, any size (no overflow).
        labels: (n,) integers in [0, k).
        label_smoothing: E in [0, 1], the share of the target that all classes have alike (arXiv:1512.00567).
        class_weights: (k,) w, at least 0; all 1 where None. PyTorch's mean divides by the sum of w[label].

    Returns:
        (n,) nats; log(k) for a uniform guess without weights. A label outside [0, k) gives NaN, under jit too, where
        nothing can be raised; it is never clamped or wrapped. Check labels once on the host.

    Raises:
        ValueError: the shapes do not fit, the labels are not integers, or E is no share.
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing is a share of the target, in [0, 1], got {label_smoothing}")
    logits, labels = logits_and_labels("cross_entropy", logits, labels)
    log_p = log_softmax(logits)
    num_classes = logits.shape[-1]
    # A comparison and a sum, not a gather: its gradient contains no scatter, so it is deterministic on GPU.
    chosen = labels[:, None] == jnp.arange(num_classes, dtype=labels.dtype)[None, :]
    if class_weights is not None:
        weights = at_least_float32(jnp.asarray(class_weights), "cross_entropy: class weights")
        if weights.shape != (num_classes,):
            raise ValueError(
                f"cross_entropy: expected {counted(num_classes, 'class weight')}, got shape {weights.shape}"
            )
        log_p = _weighted(log_p, weights)
    picked = jnp.sum(jnp.where(chosen, log_p, jnp.zeros_like(log_p)), axis=-1)
    if label_smoothing:
        picked = (1 - label_smoothing) * picked + label_smoothing * jnp.mean(log_p, axis=-1)
    return jnp.where((labels >= 0) & (labels < num_classes), -picked, jnp.nan)


def _weighted(log_p: jax.Array, weights: jax.Array) -> jax.Array:
    """Log-probabilities (n, k) times the weight of their class; 0 where that is 0, however small the probability."""
    by_class = jnp.broadcast_to(weights, log_p.shape).astype(log_p.dtype)
    return jnp.where(by_class == 0, jnp.zeros_like(log_p), by_class * log_p)


def cross_entropy_with_probabilities(logits: jax.Array, target: jax.Array) -> jax.Array:
    """-sum(target * log softmax(logits)): cross-entropy against a distribution (soft labels).

    Args:
        logits: (n, k) floating point.
        target: (n, k) shares of each class; rows that sum to 1. A share of 0 contributes 0 whatever the logit.

    Returns:
        (n,) nats; at least the entropy of `target`.

    Raises:
        ValueError: the shapes differ.
    """
    name = "cross_entropy_with_probabilities"
    logits, target = at_least_float32(logits, f"{name}: logits"), at_least_float32(target, f"{name}: target")
    if logits.shape != target.shape or logits.ndim != 2:
        raise ValueError(f"logits {logits.shape} and target {target.shape} have to be the same (n, k)")
    log_p = log_softmax(logits)
    terms = jnp.where(target == 0, jnp.zeros_like(log_p), target * log_p)
    return -jnp.sum(terms, axis=-1)


def entropy(p: jax.Array) -> jax.Array:
    """-sum(p log p) along the last axis, with 0 log 0 = 0 and no NaN gradient there: (..., k) to (...) nats.

    At most log(k), for the uniform distribution; NaN where a share is NaN or negative.

    Raises:
        ValueError: `p` holds no real numbers.
    """
    p = at_least_float32(p, "entropy: p")
    zero = p == 0
    safe = jnp.where(zero, jnp.ones_like(p), p)  # log(1) = 0: value and gradient stay finite
    return -jnp.sum(jnp.where(zero, jnp.zeros_like(p), p * jnp.log(safe)), axis=-1)


def one_hot(labels: jax.Array, num_classes: int) -> jax.Array:
    """Indicator rows: (n,) integer labels to (n, num_classes) float32.

    Raises:
        ValueError: the labels are not integers, or, outside jit, one lies outside [0, num_classes). Under jit values
            are unknown: a label out of range gives a row of NaN, never a row of zeros.
    """
    given, labels = labels, class_labels(labels, "one_hot: labels")
    inside = (labels >= 0) & (labels < num_classes)
    if not isinstance(labels, jax.core.Tracer) and not bool(jnp.all(inside)):
        raise ValueError(
            f"one_hot: labels lie in [{np.min(given)}, {np.max(given)}], expected [0, {num_classes - 1}]; "
            "count the classes again or subtract the first label"
        )
    classes = jnp.arange(num_classes, dtype=labels.dtype).reshape((1,) * labels.ndim + (-1,))
    rows = (labels[..., None] == classes).astype(jnp.float32)
    return jnp.where(inside[..., None], rows, jnp.nan)


def at_least_float32(x: jax.Array, what: str) -> jax.Array:
    """The same numbers in float32, or in float64 where they are that already."""
    x = numbers(x, what)
    return x if x.dtype == jnp.float64 else x.astype(jnp.float32)


def logits_and_labels(name: str, logits: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Logits (n, k) in at least float32 and labels (n,) in at least 32 bits.

    Raises:
        ValueError: other shapes, or labels that are not integers.
    """
    logits, labels = at_least_float32(logits, f"{name}: logits"), class_labels(labels, f"{name}: labels")
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(f"{name}: expected logits (n, k) and labels (n,), got {logits.shape} and {labels.shape}")
    return logits, labels


def _same_shape(name: str, prediction: jax.Array, target: jax.Array) -> tuple[jax.Array, jax.Array]:
    prediction, target = (
        at_least_float32(a, f"{name}: {what}") for what, a in (("prediction", prediction), ("target", target))
    )
    if prediction.shape != target.shape or prediction.ndim not in (1, 2):
        raise ValueError(
            f"{name}: prediction {prediction.shape} and target {target.shape} have to be the same (n,) or (n, k); "
            "(n, 1) against (n,) would broadcast to (n, n): reshape one of them"
        )
    return prediction, target


def _difference(name: str, prediction: jax.Array, target: jax.Array) -> jax.Array:
    prediction, target = _same_shape(name, prediction, target)
    return prediction - target


def _per_example(values: jax.Array) -> jax.Array:
    return values if values.ndim == 1 else jnp.sum(values, axis=-1)
