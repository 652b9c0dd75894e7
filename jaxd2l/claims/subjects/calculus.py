"""Day 3 and 4: limits, gradients and their layout, what backpropagation costs."""

import dataclasses
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxd2l.claims.claim import Claim
from jaxd2l.claims.comparison import at_most, within
from jaxd2l.cost import Cost, cost
from jaxd2l.nn.models import MLP
from jaxd2l.recipes import RECIPES
from jaxd2l.train.remat import rematerialised


def f(x: Any) -> Any:
    """The function of the notes, 3x^2 - 4x."""
    return 3 * x**2 - 4 * x


def _limits() -> list[float]:
    return [(f(1 + 0.1**k) - f(1)) / 0.1**k for k in range(1, 7)]


def _limit_in_float32() -> list[float]:
    h, one = jnp.float32(1e-8), jnp.float32(1)
    return [((f(one + h) - f(one)) / h).item(), jax.grad(f)(1.0).item()]


def _tangent() -> list[float]:
    slope = jax.grad(f)(1.0).item()
    return [slope, f(1.0) - slope]


def _jacobians() -> list[float]:
    """Largest differences of forward mode, reverse mode and the matrix for the derivative of Ax."""
    a, x = jnp.arange(6.0).reshape(2, 3), jnp.array([1.0, -2.0, 5.0])
    by = [mode(lambda x: a @ x)(x) for mode in (jax.jacfwd, jax.jacrev)]
    return [jnp.abs(one - a).max().item() for one in by]


def _quadratic_form() -> float:
    a, x = jnp.array([[2.0, 3.0], [5.0, 7.0]]), jnp.array([11.0, -13.0])
    return jnp.abs(jax.grad(lambda x: x @ a @ x)(x) - (a + a.T) @ x).max().item()


def _shapes() -> list[Any]:
    x = jnp.array([1.0, 2.0, 3.0])
    gradient, column = jax.grad(lambda x: jnp.sum(x**2))(x), jax.jacfwd(lambda t: t * x)(2.0)
    return [list(gradient.shape), list(column.shape), list(jax.jacrev(lambda x: x[:2])(x).shape)]


@cache
def _deep(layers: int, remat: bool = False) -> Cost:
    model = MLP(hidden=(64,) * layers)
    return cost(dataclasses.replace(RECIPES["mlp"], model=model, parameters=None, macs=None), remat=remat)


def _growth(of: str) -> float:
    """What layers 17 to 24 add over what layers 9 to 16 add: 1 where the cost is linear in the depth."""
    small, middle, large = (getattr(_deep(n), of) for n in (8, 16, 24))
    return (large - middle) / (middle - small)


def _checkpointed() -> list[float]:
    """Rematerialised against plain: kept activations and computation, as shares."""
    plain, again = _deep(16), _deep(16, True)
    return [again.kept_activations / plain.kept_activations, plain.step_flops / again.step_flops]


def _same_gradient() -> float:
    w = jnp.arange(9.0).reshape(3, 3) / 10

    def deep(w: jax.Array) -> jax.Array:
        x = jnp.ones((2, 3))
        for _ in range(8):
            x = jnp.tanh(x @ w)
        return jnp.sum(x)

    return jnp.abs(jax.grad(rematerialised(deep))(w) - jax.grad(deep)(w)).max().item()


def _detached() -> jax.Array:
    return jax.grad(lambda x: jnp.sum(lax.stop_gradient(x * x) * x))(jnp.arange(4.0))


CLAIMS = (
    Claim(
        "limit",
        3,
        "(f(1+h) - f(1)) / h of f = 3x^2 - 4x for h = .1, .01, ... .000001.",
        [2.3, 2.03, 2.003, 2.0003, 2.00003, 2.0],
        _limits,
        within(5e-6),
    ),
    Claim("limit", 3, "The limit is the derivative: jax.grad gives it exactly.", 2, lambda: jax.grad(f)(1.0).item()),
    Claim(
        "limit",
        3,
        "In float32, not in the notes' float64, the quotient is lost at h = 1e-8; the derivative is not.",
        None,
        _limit_in_float32,
        truth=[0, 2],
    ),
    Claim("plots", 3, "The tangent at 1 is 2x - 3: its slope and its value at 0.", None, _tangent, truth=[2, -3]),
    Claim("layout", 3, "Derivative of Ax by x is A: forward and reverse mode differ from it by 0.", [0, 0], _jacobians),
    Claim("layout", 3, "Derivative of x'Ax by x is x'(A + A'): difference 0.", 0, _quadratic_form),
    Claim(
        "layout",
        3,
        "Shapes of derivatives: scalar by vector, vector by scalar, vector by vector (2 of 3).",
        None,
        lambda: str(_shapes()),
        truth="[[3], [3], [2, 3]]",
    ),
    Claim(
        "backpropagation",
        4,
        "Memory is O(n): activations kept by layers 17-24 over those of layers 9-16.",
        1,
        lambda: _growth("kept_activations"),
        within(1e-6),
    ),
    Claim(
        "backpropagation",
        4,
        "Time is O(n): operations of layers 17-24 over those of layers 9-16.",
        1,
        lambda: _growth("step_flops"),
        within(1e-6),
    ),
    Claim(
        "backpropagation",
        4,
        "Checkpointing trades them: share of the activations kept, and share of the operations without it.",
        None,
        _checkpointed,
        at_most,
        truth=[0.9, 0.9],
    ),
    Claim("backpropagation", 4, "The checkpointed gradient differs by", None, _same_gradient, within(1e-6), truth=0),
    Claim(
        "detach",
        4,
        "Gradient of 2 x.x is 4x, at 0, 1, 2, 3.",
        [0, 4, 8, 12],
        lambda: jax.grad(lambda x: 2 * jnp.dot(x, x))(jnp.arange(4.0)),
    ),
    Claim(
        "detach",
        4,
        "Gradient of sum(x*x) is 2x.",
        [0, 2, 4, 6],
        lambda: jax.grad(lambda x: jnp.sum(x * x))(jnp.arange(4.0)),
    ),
    Claim("detach", 4, "With u = x*x detached, the gradient of sum(u*x) is u.", [0, 1, 4, 9], _detached),
)
