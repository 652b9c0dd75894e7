"""Cross-correlation: the book's numbers, and from scratch equal to the fast convolution in value and gradient."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_arrays import normal

from jaxd2l.nn import avg_pool, conv1d, conv2d, conv3d, convolve2d, corr1d, corr2d, corr3d, corr_channels, max_pool

pytestmark = pytest.mark.usefixtures("unoptimised")

EXAMPLE = {"derandomize": True, "deadline": None, "max_examples": 8}
SAME = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)}


def hwc(x):
    """Channels first, as the book writes, to channels last."""
    return np.moveaxis(np.asarray(x, np.float32), 0, -1)


def test_corr2d_of_the_book():
    x, kernel = np.arange(9, dtype=np.float32).reshape(3, 3), np.arange(4, dtype=np.float32).reshape(2, 2)
    want = [[19, 25], [37, 43]]
    np.testing.assert_array_equal(jax.jit(corr2d)(x, kernel), want)
    np.testing.assert_array_equal(jax.jit(convolve2d)(x, kernel[::-1, ::-1]), want)


IMAGE = np.tile(np.float32([1, 1, 0, 0, 0, 0, 1, 1]), (6, 1))
EDGE = np.float32([[1, -1]])
EDGES = np.tile([0, 1, 0, 0, 0, -1, 0], (6, 1))  # of the image by this kernel


@pytest.mark.slow
def test_edge_kernel_marks_the_edges():
    np.testing.assert_array_equal(jax.jit(corr2d)(IMAGE, EDGE), EDGES)
    np.testing.assert_array_equal(jax.jit(corr2d)(IMAGE.T, EDGE), np.zeros((8, 5)))


@pytest.mark.slow
def test_kernel_is_learned_in_ten_steps():
    kernel = np.float32([[0.2, -0.1]])
    loss = jax.jit(jax.value_and_grad(lambda k: jnp.sum((corr2d(IMAGE, k) - EDGES) ** 2)))
    losses = []
    for _ in range(10):
        value, gradient = loss(kernel)
        losses.append(value)
        kernel = kernel - np.float32(3e-2) * np.asarray(gradient)
    assert losses[-1] < losses[0] / 100
    np.testing.assert_allclose(kernel, [[1, -1]], atol=0.1)


@pytest.mark.slow
def test_several_input_and_output_channels_of_the_book():
    x, kernel = np.arange(18).reshape(2, 3, 3), np.arange(8).reshape(2, 2, 2)
    kernels = np.stack([hwc(kernel + i) for i in range(3)], axis=-1)  # (2, 2, in, out)
    want = [[[268, 296], [352, 380]], [[320, 356], [428, 464]], [[372, 416], [504, 548]]]
    for convolve in (lambda x, k: corr_channels(x, k, **SAME), conv2d):
        y = np.asarray(jax.jit(convolve)(hwc(x)[None], kernels))
        np.testing.assert_array_equal(np.moveaxis(y[0], -1, 0), want)


@pytest.mark.slow
def test_1x1_convolution_is_a_matrix_product_over_channels():
    x, kernel = normal(0, (2, 5, 7, 3)), normal(1, (1, 1, 3, 11))
    y = jax.jit(conv2d)(x, kernel)
    chex.assert_trees_all_close(y, np.asarray(x) @ np.asarray(kernel)[0, 0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("kernel", "padding", "stride", "want"),
    [
        ((3, 3), (1, 1), 1, (8, 8)),
        ((5, 3), (2, 1), 1, (8, 8)),
        ((3, 3), (1, 1), 2, (4, 4)),
        ((3, 5), (0, 1), (3, 4), (2, 2)),
    ],
)
def test_output_size_of_padding_and_stride(kernel, padding, stride, want):
    out = jax.eval_shape(
        lambda: conv2d(jnp.ones((1, 8, 8, 1)), jnp.ones((*kernel, 1, 1)), padding=padding, stride=stride)
    )
    assert out.shape[1:3] == want
    strides = (stride, stride) if isinstance(stride, int) else stride
    assert want == tuple((8 - k + 2 * p + s) // s for k, p, s in zip(kernel, padding, strides, strict=True))


def test_pooling_of_the_book():
    x = np.arange(9, dtype=np.float32).reshape(1, 3, 3, 1)
    for pool, want in ((max_pool, [[4, 5], [7, 8]]), (avg_pool, [[2, 3], [5, 6]])):
        np.testing.assert_array_equal(jax.jit(lambda x, pool=pool: pool(x, 2, stride=1))(x)[0, ..., 0], want)
    x = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    x = np.concatenate([x, x + 1], axis=-1)
    out = np.asarray(jax.jit(lambda x: max_pool(x, 3, stride=2, padding=1))(x))[0]  # per channel
    np.testing.assert_array_equal(np.moveaxis(out, -1, 0), [[[5, 7], [13, 15]], [[6, 8], [14, 16]]])


@pytest.mark.slow
def test_convolution_is_a_dense_layer_with_a_4d_weight_tensor():
    """D2L sec_why-conv: the jacobian w[i, j, k, l] depends on the offset only (translation), 0 far away (locality)."""
    kernel = np.arange(1, 7, dtype=np.float32).reshape(2, 3)
    weights = np.asarray(jax.jit(jax.jacobian(lambda x: corr2d(x, kernel)))(np.zeros((4, 5), np.float32)))
    assert weights.shape == (3, 3, 4, 5)
    for i, j, k, l in np.ndindex(weights.shape):
        inside = 0 <= k - i < 2 and 0 <= l - j < 3
        assert weights[i, j, k, l] == (kernel[k - i, l - j] if inside else 0)


@pytest.mark.parametrize("function", [corr2d, lambda x, k: conv2d(x[None, ..., None], k[..., None, None])])
def test_kernel_larger_than_the_input_is_refused_with_both_shapes(function):
    with pytest.raises(ValueError, match=r"\(3, 2\).*\(2, 5\)"):
        function(jnp.ones((2, 5)), jnp.ones((3, 2)))


def test_ranks_are_checked():
    with pytest.raises(ValueError, match="3 axes, no channels"):
        corr3d(jnp.ones((2, 3)), jnp.ones((2, 3)))


@pytest.mark.slow
@settings(**EXAMPLE)
@given(st.data(), st.integers(1, 3))
def test_one_window_at_a_time_equals_the_fast_convolution(data, rank):
    space = [data.draw(st.integers(1, 5)) for _ in range(rank)]
    window = [data.draw(st.integers(1, size)) for size in space]
    x, kernel = np.asarray(normal(0, space)), np.asarray(normal(1, window))
    scratch, fast = {1: (corr1d, conv1d), 2: (corr2d, conv2d), 3: (corr3d, conv3d)}[rank]
    out = jax.jit(fast)(x[None, ..., None], kernel[..., None, None])[0, ..., 0]
    chex.assert_trees_all_close(out, jax.jit(scratch)(x, kernel), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@settings(**EXAMPLE)
@given(st.data(), st.integers(1, 3), st.sampled_from([1, 1, 2, 3]))
def test_taps_equal_the_fast_convolution_in_value_and_gradient(data, rank, groups):
    def sizes(low, high):
        return tuple(data.draw(st.integers(low, high)) for _ in range(rank))

    space, window, stride, padding, dilation = sizes(1, 7), sizes(1, 4), sizes(1, 3), sizes(0, 2), sizes(1, 3)
    assume(all(d * (k - 1) < n + 2 * p for n, k, p, d in zip(space, window, padding, dilation, strict=True)))
    n, channels, features = data.draw(st.sampled_from([1, 2])), 2 * groups, 3 * groups
    x = normal(0, (n, *space, channels))
    kernel = normal(1, (*window, channels // groups, features))
    set_to = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    fast = {1: conv1d, 2: conv2d, 3: conv3d}[rank]

    def outcome(convolve):
        def loss(x, kernel):
            y = convolve(x, kernel, **set_to)
            return jnp.sum(jnp.sin(y)), y

        step = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)
        return jax.jit(step)(x, kernel)

    chex.assert_trees_all_close(outcome(fast), outcome(corr_channels), rtol=1e-3, atol=1e-3)  # float32 sums
