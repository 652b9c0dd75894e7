"""Day 5, 6 and 19: softmax regression, the hidden layer, activations, accuracy, cross-entropy by hand."""

import jax
import jax.numpy as jnp

from jaxd2l.claims.claim import Claim
from jaxd2l.claims.comparison import within
from jaxd2l.nn import Dense, accuracy, cross_entropy, entropy, hits, one_hot, relu, sigmoid, softmax, tanh
from jaxd2l.nn.models import MLP
from jaxd2l.nn.parameters import count, flat

LOGITS = ((1.435, 2.223, 3.353), (4.345, 5.2231, 6.389), (7.33, 8.21, 9.36))
LABELS = (0, 1, 1)
PREDICTED = ((0.9, 0.3, 0.6), (0.7, 0.2, 8.0))


def _weights() -> int:
    layer = Dense(3, use_bias=False)
    return count(layer.init(jax.random.key(0), jnp.ones((1, 4)))["params"])


def _order() -> bool:
    logits = jnp.array(LOGITS)
    return bool(jnp.all(jnp.argsort(logits, axis=1) == jnp.argsort(softmax(logits), axis=1)))


def _derivative() -> float:
    """How far the gradient of the cross-entropy is from softmax(o) - one_hot(y)."""
    logits, labels = jnp.array(LOGITS), jnp.array(LABELS)
    gradient = jax.grad(lambda o: jnp.sum(cross_entropy(o, labels)))(logits)
    return jnp.abs(gradient - (softmax(logits) - one_hot(labels, 3))).max().item()


def _mlp() -> list[int]:
    params = jax.eval_shape(
        lambda: MLP(hidden=(5,), num_outputs=3).init(jax.random.key(0), jnp.ones((1, 4)), train=False)
    )["params"]
    return [leaf.shape[i] for name, leaf in flat(params).items() if name.endswith("kernel") for i in (0, 1)]


def _affine_of_affine() -> float:
    """How far two layers without activation are from the one affine map that they come to."""
    model = MLP(hidden=(5,), num_outputs=3, activation=lambda x: x, kernel_init=jax.nn.initializers.normal(1.0))
    x = jax.random.normal(jax.random.key(1), (7, 4))
    params = model.init(jax.random.key(0), x, train=False)
    at_zero = model.apply(params, jnp.zeros((1, 4)), train=False)
    one_map = model.apply(params, jnp.eye(4), train=False) - at_zero
    return jnp.abs(model.apply(params, x, train=False) - (x @ one_map + at_zero)).max().item()


def _steepest_sigmoid() -> list[float]:
    x = jnp.linspace(-8.0, 8.0, 1601)
    slope = jax.vmap(jax.grad(sigmoid))(x)
    return [slope.max().item(), x[slope.argmax()].item()]


CLAIMS = (
    Claim("softmax", 5, "Class 1 of 3 as a one-hot vector.", [[0, 1, 0]], lambda: one_hot(jnp.array([1]), 3)),
    Claim("softmax", 5, "3 classes of 4 features: 12 weights.", 12, _weights),
    Claim(
        "softmax",
        5,
        "Softmax adds up to 1 for each example.",
        [1, 1, 1],
        lambda: softmax(jnp.array(LOGITS)).sum(axis=1),
        within(1e-6),
    ),
    Claim("softmax", 5, "Softmax keeps the order of the logits.", True, _order),
    Claim("softmax", 5, "The loss has derivative softmax(o) - y: difference", 0, _derivative, within(1e-6)),
    Claim(
        "softmax",
        5,
        "Entropy of four equally likely classes, in nats: log 4.",
        None,
        lambda: entropy(jnp.full(4, 0.25)).item(),
        within(1e-6),
        truth=1.3862944,
    ),
    Claim(
        "accuracy",
        6,
        "y_hat[[0, 1], y] picks the score of each label.",
        [0.9, 8],
        lambda: jnp.array(PREDICTED)[jnp.array([0, 1]), jnp.array([0, 2])],
        within(1e-6),
    ),
    Claim(
        "accuracy",
        6,
        "The notes' accuracy() counts the right ones: of their two examples",
        None,
        lambda: hits(jnp.array(PREDICTED), jnp.array([0, 2])).sum().item(),
        truth=2,
    ),
    Claim(
        "accuracy",
        6,
        "Accuracy is the share of right predictions: one of two with labels 0, 1.",
        0.5,
        lambda: accuracy(jnp.array(PREDICTED), jnp.array([0, 1])).item(),
    ),
    Claim("perceptron", 6, "4 inputs, 5 hidden units, 3 outputs: two layers of weights.", [4, 5, 5, 3], _mlp),
    Claim("perceptron", 6, "Affine of affine is affine: difference", 0, _affine_of_affine, within(1e-5)),
    Claim("perceptron", 6, "The sigmoid is steepest at 0, by .25.", [0.25, 0], _steepest_sigmoid, within(1e-5)),
    Claim("perceptron", 6, "tanh has derivative 1 at 0.", 1, lambda: jax.grad(tanh)(0.0).item()),
    Claim(
        "perceptron",
        6,
        "ReLU has derivative 0 below 0, 0 at 0 and 1 above.",
        [0, 0, 1],
        lambda: jax.vmap(jax.grad(relu))(jnp.array([-1.0, 0.0, 1.0])),
    ),
    Claim(
        "cross_entropy",
        19,
        "Cross-entropy of the notes' three rows of logits.",
        [2.3032, 1.5313, 1.5202],
        lambda: cross_entropy(jnp.array(LOGITS), jnp.array(LABELS)),
        within(5e-5),
    ),
    Claim(
        "cross_entropy",
        19,
        "Their mean.",
        1.784908,
        lambda: cross_entropy(jnp.array(LOGITS), jnp.array(LABELS)).mean().item(),
        within(5e-7),
    ),
)
