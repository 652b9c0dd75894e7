"""Day 3 to 5: linear regression, its losses and what they start from."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.claims.claim import Claim
from jaxd2l.claims.comparison import within
from jaxd2l.experiments import linear_regression
from jaxd2l.nn import absolute_error, huber, init, squared_error
from jaxd2l.train import sgd


@cache
def _three_ways() -> linear_regression.Comparison:
    return linear_regression.compare()


def _apart(one: linear_regression.Line, other: linear_regression.Line) -> float:
    return max(jnp.abs(a - b).max().item() for a, b in zip(one, other, strict=True))


def _update() -> float:
    """How far the optimizer's update is from w - rate * gradient of the batch's mean loss."""
    x, y, w = jnp.array([[1.0, 2.0], [3.0, -5.0]]), jnp.array([[7.0], [11.0]]), jnp.array([[0.5], [-0.25]])
    gradient = jax.grad(lambda w: jnp.mean(squared_error(x @ w, y)))(w)
    optimizer = sgd(0.03)
    params = {"kernel": w}
    step, _ = optimizer.update({"kernel": gradient}, optimizer.init(params), params)
    by_hand = w - 0.03 * x.T @ (x @ w - y) / len(x)
    return jnp.abs(w + step["kernel"] - by_hand).max().item()


def _likelihood() -> float:
    """-log p under Gaussian noise less the squared loss over its variance: how far it depends on the weights."""
    rng, sigma = np.random.default_rng(0), 0.5
    x, y = rng.normal(size=(50, 3)).astype(np.float32), rng.normal(size=(50, 1)).astype(np.float32)
    remainders = []
    for w in rng.normal(size=(4, 3, 1)).astype(np.float32):
        predicted, target = jnp.asarray(x @ w), jnp.asarray(y)
        surprise = -jax.scipy.stats.norm.logpdf(target, predicted, sigma).mean()
        remainders.append((surprise - jnp.mean(squared_error(predicted, target)) / sigma**2).item())
    return max(remainders) - min(remainders)


def _refused() -> str:
    try:
        squared_error(jnp.ones((3, 1)), jnp.ones(3))
    except ValueError:
        return "refused"
    return "broadcast"


def _gradients(loss: str) -> jax.Array:
    losses = {"L2": squared_error, "L1": absolute_error, "Huber": huber}
    return jax.grad(lambda p: jnp.sum(losses[loss](p, jnp.zeros(4))))(jnp.array([-3.0, -0.1, 0.1, 3.0]))


CLAIMS = (
    Claim(
        "regression",
        3,
        "Half the squared error has the difference as its derivative.",
        [-3, 0.5],
        lambda: jax.grad(lambda p: jnp.sum(squared_error(p, jnp.array([4.0, 1.0]))))(jnp.array([1.0, 1.5])),
    ),
    Claim("regression", 4, "An update is w - rate * mean gradient of the batch: difference", 0, _update, within(1e-6)),
    Claim(
        "regression",
        4,
        "The closed form has the weights and bias that made the data.",
        [2, -3.4, 4.2],
        lambda: jnp.concatenate([_three_ways().closed_form.weights[:, 0], _three_ways().closed_form.bias]),
        within(0.002),
    ),
    Claim(
        "regression",
        4,
        "Minibatch descent nears the closed form: largest difference after 3 epochs.",
        0,
        lambda: _apart(_three_ways().layer, _three_ways().closed_form),
        within(0.01),
    ),
    Claim(
        "regression",
        4,
        "Minibatch descent does not arrive exactly: its loss is above the closed form's.",
        True,
        lambda: bool(_three_ways().layer_loss[-1] > _three_ways().noise_floor),
    ),
    Claim(
        "regression",
        4,
        "Under Gaussian noise -log likelihood is the squared loss plus a constant: how far that depends on w.",
        0,
        _likelihood,
        within(1e-4),
    ),
    Claim(
        "start",
        5,
        "Weights from N(0, 0.01^2): mean and deviation of 100,000.",
        [0, 0.01],
        lambda: (lambda w: [w.mean().item(), w.std().item()])(init.normal(0.01)(jax.random.key(0), (1000, 100))),
        within(2e-4),
    ),
    Claim(
        "start",
        5,
        "reshape(-1, m) finds the number of rows by itself: 12 numbers, m = 3.",
        [4, 3],
        lambda: list(jnp.arange(12).reshape(-1, 3).shape),
    ),
    Claim("start", 5, "Labels must have the shape of the prediction: (3,) against (3, 1).", "refused", _refused),
    Claim(
        "losses",
        5,
        "L2: the gradient shrinks with the distance (-3, -.1, .1, 3).",
        [-3, -0.1, 0.1, 3],
        lambda: _gradients("L2"),
        within(1e-6),
    ),
    Claim("losses", 5, "L1: the gradient is constant.", [-1, -1, 1, 1], lambda: _gradients("L1")),
    Claim(
        "losses",
        5,
        "Huber: L1's gradient beyond a distance of 1, L2's within.",
        [-1, -0.1, 0.1, 1],
        lambda: _gradients("Huber"),
        within(1e-6),
    ),
)
