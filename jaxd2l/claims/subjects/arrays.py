"""Day 1 and 2: features, arrays that do not change, linear algebra."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.claims.claim import Claim
from jaxd2l.claims.comparison import within
from jaxd2l.nn import dense, flatten, sigmoid

A = ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), (7.0, 8.0, 9.0))


def _features() -> int:
    return flatten(jnp.zeros((1, 20, 20, 3))).shape[1]


def _weighted_sum() -> list[float]:
    w, x = jnp.array([2.0, -3.0, 5.0]), jnp.array([[7.0, 11.0, 13.0]])
    return [dense(x, w[:, None])[0, 0].item(), jnp.sum(w * x[0]).item()]


def _updated() -> list[list[float]]:
    z = jnp.zeros(3)
    return [z.at[:].set(jnp.array([1.0, 2.0, 3.0])).tolist(), z.tolist()]


def _donated() -> bool:
    x = jnp.arange(1024.0)
    jax.jit(lambda x: x + 1, donate_argnums=0)(x).block_until_ready()
    return x.is_deleted()


def _scalars() -> list[Any]:
    a = jnp.array([3.5])
    return [a.item(), float(a[0]), int(a[0])]


def _dot_is_sum_of_hadamard() -> bool:
    u, v = jnp.array([1.0, 2.0, 3.0, 5.0]), jnp.array([7.0, 11.0, 13.0, 17.0])
    return jnp.dot(u, v).item() == jnp.sum(u * v).item()


def _copied() -> list[float]:
    a = jnp.array(A)
    b = jnp.array(a).at[0, 0].set(100.0)
    return [b[0, 0].item(), a[0, 0].item()]


def _transposed() -> bool:
    a = jnp.arange(15.0).reshape(5, 3)
    return a.T.shape == (3, 5) and bool(jnp.all(a == a.T.T))


def _shares() -> jax.Array:
    a = jnp.array(A)
    return (a / a.sum(axis=1, keepdims=True))[0]


CLAIMS = (
    Claim("features", 1, "An image of 20 by 20 pixels with three channels has 1,200 features.", 1200, _features),
    Claim(
        "features",
        1,
        "A prediction multiplies weights and features and adds up, dot(w, x): by the layer and by hand.",
        None,
        _weighted_sum,
        truth=[46, 46],
    ),
    Claim(
        "features",
        1,
        "The sigmoid nears 1 for large z and 0 for small z.",
        [1, 0],
        lambda: sigmoid(jnp.array([20.0, -20.0])),
        within(1e-6),
    ),
    Claim(
        "arrays",
        2,
        "Z[:] = X writes into Z. Here .at[:].set gives a new array, and Z stays as it was.",
        None,
        _updated,
        truth=[[1, 2, 3], [0, 0, 0]],
    ),
    Claim("arrays", 2, "Memory is used again, as by X += Y: a donated array gives up its own.", True, _donated),
    Claim(
        "arrays",
        2,
        "An array goes to NumPy and back unchanged.",
        [1.5, 2.5],
        lambda: jnp.asarray(np.asarray(jnp.array([1.5, 2.5]))),
    ),
    Claim("arrays", 2, "An array of size 1 becomes a number by item, float and int.", [3.5, 3.5, 3], _scalars),
    Claim(
        "algebra",
        2,
        "A 5x4 matrix times a 4x3 matrix is 5x3.",
        [5, 3],
        lambda: list(dense(jnp.ones((5, 4)), jnp.ones((4, 3))).shape),
    ),
    Claim("algebra", 2, "A dot product is the sum of the Hadamard product.", True, _dot_is_sum_of_hadamard),
    Claim("algebra", 2, "Transposing twice gives the matrix back.", True, _transposed),
    Claim("algebra", 2, "What is done to a copy leaves the original alone.", None, _copied, truth=[100, 1]),
    Claim(
        "algebra",
        2,
        "Multiplying or adding a scalar keeps the shape.",
        [3, 3],
        lambda: list((2 + 3 * jnp.array(A)).shape),
    ),
    Claim("sums", 2, "Sum over axis 0.", [12, 15, 18], lambda: jnp.array(A).sum(axis=0)),
    Claim("sums", 2, "Sum over axis 1.", [6, 15, 24], lambda: jnp.array(A).sum(axis=1)),
    Claim("sums", 2, "Sum over both axes.", 45, lambda: jnp.array(A).sum(axis=(0, 1)).item()),
    Claim("sums", 2, "Mean over axis 0.", [4, 5, 6], lambda: jnp.array(A).mean(axis=0)),
    Claim(
        "sums",
        2,
        "Kept axes: the sum over axis 1 has shape 3x1.",
        [3, 1],
        lambda: list(jnp.array(A).sum(axis=1, keepdims=True).shape),
    ),
    Claim("sums", 2, "The first row divided by its kept sum.", [0.1667, 0.3333, 0.5], _shares, within(5e-5)),
    Claim(
        "sums",
        2,
        "Running sums down axis 0.",
        [[1, 2, 3], [5, 7, 9], [12, 15, 18]],
        lambda: jnp.array(A).cumsum(axis=0),
    ),
    Claim("norms", 2, "L2 norm of [3, -4].", 5, lambda: jnp.linalg.norm(jnp.array([3.0, -4.0])).item()),
    Claim("norms", 2, "L1 norm of [3, -4].", 7, lambda: jnp.abs(jnp.array([3.0, -4.0])).sum().item()),
    Claim("norms", 2, "Frobenius norm of a 4x9 matrix of ones.", 6, lambda: jnp.linalg.norm(jnp.ones((4, 9))).item()),
)
