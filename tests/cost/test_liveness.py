"""Peak memory of small programs by hand; the networks are held against XLA in `test_cost`."""

import jax
import jax.numpy as jnp
import pytest

from jaxd2l.cost.liveness import Peak, peak
from jaxd2l.cost.traced import operations_of

SIDE = 100
SQUARE = 4 * SIDE * SIDE  # bytes of one matrix
M = jax.ShapeDtypeStruct((SIDE, SIDE), jnp.float32)


def peak_of(f, *arguments, **options):
    return peak(operations_of(jax.make_jaxpr(f)(*arguments)), **options)


def test_a_chain_of_products_holds_two_matrices_at_a_time():
    found = peak_of(lambda x, w: ((x @ w) @ w) @ w, M, M)
    assert found == Peak(gradients=0, activations=0, workspace=2 * SQUARE, boundary=0)


def test_elementwise_operations_on_the_way_take_nothing():
    assert peak_of(lambda x, w: jnp.maximum(2 * (x @ w) + 1, 0) - 3, M, M).total == SQUARE
    assert peak_of(lambda x, w: jnp.sum(jnp.square(x - w) + 1), M, M).total <= SQUARE + 4


def test_an_elementwise_operation_between_products_works_in_place():
    assert peak_of(lambda x, w: jnp.maximum(x @ w, 0) @ w, M, M).total == 2 * SQUARE


def test_a_gradient_keeps_the_activations_of_the_whole_chain():
    def loss(w, x):
        for _ in range(6):
            x = jnp.tanh(x @ w)
        return jnp.sum(x)

    def step(w, x):
        value, gradient = jax.value_and_grad(loss)(w, x)
        return w - gradient, value

    found = peak_of(step, M, M, donated=1, loss=1)
    assert found.boundary == 6 * SQUARE + 4  # six values of tanh and the loss
    assert 5 * SQUARE <= found.activations <= 6 * SQUARE + 4
    assert found.total <= 9 * SQUARE + 4  # and the gradient of an activation and of the kernel, so far and new


def test_donated_results_take_the_place_of_arguments():
    plain, donated = (peak_of(lambda w, g: w - 0.1 * g, M, M, donated=n).total for n in (0, 1))
    assert (plain, donated) == (SQUARE, 0)


def test_a_loop_holds_one_round_beside_its_result():
    def f(x, w):
        return jax.lax.fori_loop(0, 50, lambda _, x: (x @ w) @ w, x)

    assert peak_of(f, M, M).total == pytest.approx(2 * SQUARE, rel=0.01)


def test_a_checkpoint_is_computed_again_and_kept_by_nobody():
    def deep(x, w):
        for _ in range(4):
            x = jnp.sin(x @ w)
        return x

    def loss(f):
        return lambda w, x: jnp.sum(f(f(f(x, w), w), w))

    kept, again = (
        peak_of(lambda w, x, f=f: jax.value_and_grad(loss(f))(w, x)[::-1], M, M, loss=1).boundary
        for f in (deep, jax.checkpoint(deep))
    )
    assert again < kept / 2


def test_the_branch_of_the_platform_is_the_one_that_counts():
    def f(x):
        small = jnp.zeros((1, SIDE))
        return jax.lax.platform_dependent(x, cpu=lambda x: small @ (x @ x), default=lambda x: small @ x)

    closed = jax.make_jaxpr(f)(M)
    cpu, gpu = (peak(operations_of(closed, platform)).total for platform in ("cpu", "gpu"))
    assert cpu > SQUARE > gpu
