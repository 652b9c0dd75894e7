"""Convolution against a naive float64 oracle, and every fast way of computing it against the plain one."""

import functools
import itertools
import re

import chex
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from model_table import UNOPTIMISED

from jaxd2l.cost.traced import operations_of
from jaxd2l.nn import Conv, conv1d, conv2d, conv3d, max_pool
from jaxd2l.nn.init import torch_bias
from jaxd2l.nn.kernels import direct as conv_direct
from jaxd2l.nn.kernels import patches as conv_patches
from jaxd2l.nn.kernels import ways as conv_ways
from jaxd2l.nn.kernels.plan import plan
from jaxd2l.nn.kernels.tracing import tracing_for
from jaxd2l.nn.kernels.ways import Geometry, Shape, minimal, patched, pointwise, routine

CONVOLUTIONS = {1: conv1d, 2: conv2d, 3: conv3d}


def naive(x, kernel, stride, pads, dilation, groups):
    """The definition, one output at a time."""
    rank = x.ndim - 2
    x = np.pad(x, ((0, 0), *pads, (0, 0)))
    window, features = kernel.shape[:rank], kernel.shape[-1]
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, window, strict=True)]
    out = [(size - r) // s + 1 for size, r, s in zip(x.shape[1:-1], reach, stride, strict=True)]
    y = np.zeros((x.shape[0], *out, features))
    for place in itertools.product(*map(range, out)):
        cut = tuple(slice(p * s, p * s + r, d) for p, s, r, d in zip(place, stride, reach, dilation, strict=True))
        seen = x[(slice(None), *cut)]
        for f in range(features):
            group = f // (features // groups)
            channels = seen[..., group * kernel.shape[-2] : (group + 1) * kernel.shape[-2]]
            y[(slice(None), *place, f)] = (channels * kernel[..., f]).reshape(x.shape[0], -1).sum(1)
    return y


def draw(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in shapes]


@pytest.mark.parametrize(
    ("x", "kernel", "stride", "pads", "dilation", "groups"),
    [
        ((2, 9, 3), (4, 3, 5), (2,), ((1, 2),), (1,), 1),
        ((2, 9, 3), (3, 3, 5), (1,), ((0, 0),), (2,), 1),
        ((2, 7, 9, 3), (3, 2, 3, 5), (1, 1), ((1, 1), (0, 0)), (1, 1), 1),
        ((2, 7, 9, 3), (3, 2, 3, 5), (2, 3), ((0, 2), (1, 0)), (1, 1), 1),
        ((2, 8, 9, 4), (3, 3, 2, 6), (2, 1), ((1, 1), (1, 1)), (1, 2), 2),
        ((2, 5, 7, 4), (1, 1, 4, 3), (2, 3), ((0, 0), (0, 0)), (1, 1), 1),
        ((2, 5, 7, 4), (1, 1, 4, 3), (1, 1), ((1, 0), (0, 2)), (1, 1), 1),
        ((1, 11, 13, 1), (5, 5, 1, 2), (1, 1), ((2, 2), (2, 2)), (1, 1), 1),
        ((2, 4, 5, 6, 3), (2, 3, 2, 3, 5), (1, 2, 1), ((1, 0), (1, 1), (0, 0)), (1, 1, 2), 1),
    ],
)
def test_convolution_is_its_definition(x, kernel, stride, pads, dilation, groups):
    x, kernel = draw(x, kernel)
    with jax.enable_x64(True):
        settings = {"stride": stride, "padding": pads, "dilation": dilation, "groups": groups}
        convolve = functools.partial(CONVOLUTIONS[x.ndim - 2], **settings)
        y = jax.jit(convolve, compiler_options=UNOPTIMISED)(x, kernel)
    np.testing.assert_allclose(y, naive(x, kernel, stride, pads, dilation, groups), rtol=1e-12, atol=1e-12)


# image, window, channels, features, strides, borders, columns
WAYS = [
    ((7, 9), (3, 3), 3, 5, (1, 1), ((1, 1), (1, 1)), 1),
    ((7, 9), (3, 3), 3, 5, (1, 1), ((1, 1), (1, 1)), 2),
    ((7, 10), (5, 5), 1, 2, (1, 1), ((2, 2), (2, 2)), 4),
    ((7, 10), (5, 4), 2, 3, (1, 1), ((0, 1), (2, 0)), 3),
    ((8, 11), (3, 2), 3, 5, (2, 3), ((1, 0), (0, 1)), 1),
    ((8, 11), (3, 3), 2, 5, (2, 2), ((1, 1), (1, 1)), 2),
    ((11, 12), (3, 3), 1, 4, (4, 4), ((0, 0), (0, 0)), 1),
]


@pytest.mark.slow
@pytest.mark.parametrize(("image", "window", "channels", "features", "strides", "borders", "columns"), WAYS)
def test_patches_and_canonical_gradients_equal_the_plain_convolution(
    image, window, channels, features, strides, borders, columns
):
    x, kernel = draw((2, *image, channels), (*window, channels, features))
    with jax.enable_x64(True):
        plain = functools.partial(conv_direct.convolve, strides=strides, borders=borders)
        grid = conv_patches.cut(image, window, strides, borders, columns)
        dy = draw(jax.eval_shape(plain, x, kernel).shape, seed=1)[0]

        @functools.partial(jax.jit, compiler_options=UNOPTIMISED)
        def found_and_expected(x, kernel, dy):
            y, back = jax.vjp(plain, x, kernel)
            dx, dk = back(dy)
            return (
                (conv_patches.convolve(x, kernel, grid), y),
                (conv_patches.input_gradient(dy, kernel, grid), dx),
                (conv_patches.filter_gradient(x, dy, grid), dk),
                (conv_direct.input_gradient(dy, kernel, image, strides, borders), dx),
                (conv_direct.filter_gradient(x, dy, window, strides, borders), dk),
            )

        for found, expected in found_and_expected(x, kernel, dy):
            assert found.dtype == np.float64
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("n", [6, 7])
def test_the_filter_gradient_sums_over_the_parts_it_is_computed_in(monkeypatch, n):
    monkeypatch.setattr(conv_direct, "_FILTER_BYTES", 1)  # one row of one group of images at a time
    monkeypatch.setattr(conv_direct, "_FILTER_IMAGES", 3)
    x, kernel = draw((n, 7, 5, 2), (3, 3, 2, 4))
    with jax.enable_x64(True):
        dy = draw((n, 7, 5, 4), seed=1)[0]

        @functools.partial(jax.jit, compiler_options=UNOPTIMISED)
        def found_and_expected(x, kernel, dy):
            _, back = jax.vjp(lambda k: conv_direct.convolve(x, k, (1, 1), ((1, 1), (1, 1))), kernel)
            return conv_direct.filter_gradient(x, dy, (3, 3), (1, 1), ((1, 1), (1, 1))), back(dy)[0]

        np.testing.assert_allclose(*found_and_expected(x, kernel, dy), rtol=1e-12)


def test_no_batch_is_taken_an_image_at_a_time():
    for n in range(1, 600):
        images, whole = conv_direct._images_at_a_time(n)
        assert whole % images == 0
        assert min(n, 16) <= images <= 64
        assert n <= whole < n + whole // images
        if n % 16 == 0:
            assert whole == n


BY_1, BY_2, BY_4 = ((lambda shape, columns=columns: patched(shape, columns)) for columns in (1, 2, 4))
LATE_1, LATE_2 = ((lambda shape, columns=columns: patched(shape, columns, kept=False)) for columns in (1, 2))
# One shape for each row of the table in `plan`: (image, window, channels, features, stride, padding), and what is
# chosen for each of the three products.
CHOICES = {
    "LeNet's first": ((28, 28), 5, 1, 6, 1, 2, (BY_4, BY_4, BY_4)),
    "LeNet's second": ((14, 14), 5, 6, 16, 1, 0, (BY_2, BY_2, BY_2)),
    "ResNet's first": ((20, 20), 7, 1, 64, 2, 3, (routine, BY_1, LATE_1)),
    "VGG's first": ((40, 40), 3, 1, 16, 1, 1, (routine, routine, LATE_2)),
    "deep and small": ((3, 3), 3, 160, 136, 1, 1, (BY_1, BY_1, BY_1)),
    "window over the image": ((3, 3), 5, 17, 20, 1, 2, (BY_1, BY_1, routine)),
    "strided": ((8, 8), 3, 17, 20, 2, 1, (routine, BY_1, LATE_1)),
    "to many features": ((9, 9), 3, 17, 64, 1, 1, (routine, routine, LATE_1)),
    "middle": ((9, 9), 3, 17, 20, 1, 1, (routine, routine, routine)),
    "to many features of many channels": ((9, 9), 3, 96, 80, 1, 1, (minimal, minimal, minimal)),
    "AlexNet's second": ((9, 10), 5, 96, 72, 1, 2, (minimal, minimal, minimal)),
    "to few features of many channels": ((8, 8), 3, 72, 32, 1, 1, (routine, routine, minimal)),
    "pointwise": ((5, 7), 1, 17, 3, 1, 0, (pointwise, pointwise, pointwise)),
    "pointwise, strided": ((5, 7), 1, 17, 3, 2, 0, (pointwise, pointwise, pointwise)),
}


@pytest.mark.slow
@pytest.mark.parametrize(("image", "window", "channels", "features", "stride", "padding", "chosen"), CHOICES.values())
def test_conv2d_equals_the_plain_convolution_under_jit_in_a_loop(
    image, window, channels, features, stride, padding, chosen
):
    at = Geometry((stride, stride), ((padding, padding),) * 2)
    shape = Shape(image, (window, window), channels, features, at)
    assert plan(shape) == tuple(way(shape)[i] for i, way in enumerate(chosen))
    x, kernel = (jnp.asarray(a, jnp.float32) for a in draw((2, *image, channels), (window, window, channels, features)))

    def in_loop(convolve, x, kernel):
        def body(_, once):
            y, back = jax.vjp(convolve, x, kernel)
            return y, back(y)

        shapes = jax.eval_shape(lambda: body(0, None))
        return lax.fori_loop(0, 1, body, jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes))

    fast = jax.jit(functools.partial(in_loop, functools.partial(conv2d, stride=stride, padding=padding)))
    plain = jax.jit(
        functools.partial(in_loop, functools.partial(conv_direct.convolve, strides=at[0], borders=at[1])),
        compiler_options=UNOPTIMISED,
    )
    for found, expected in zip(jax.tree.leaves(fast(x, kernel)), jax.tree.leaves(plain(x, kernel)), strict=True):
        # float32 sums of up to 3,000 products in another order
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * float(jnp.abs(expected).max()))


@pytest.mark.slow
@pytest.mark.parametrize(("images", "parts"), [(6, 2), (7, 3)])  # the last part of 7 is filled up
def test_patches_too_large_for_the_cache_are_made_for_a_part_of_the_batch(images, parts, monkeypatch):
    x, kernel = (jnp.asarray(a, jnp.float32) for a in draw((images, 9, 7, 1), (5, 5, 1, 3)))
    loss = jax.value_and_grad(lambda k, x: jnp.sum(conv2d(x, k) ** 2), argnums=(0, 1))
    whole = jax.jit(lambda k, x: loss(k, x))(kernel, x)
    monkeypatch.setattr(conv_ways, "_CHUNK_BYTES", 3 * 5 * (5 * 8) * 4)  # of three images: five rows of one patch
    text = jax.jit(loss).lower(kernel, x).as_text()
    assert text.count("stablehlo.while") == 3
    assert f"{parts}x3x9x7x1" in text
    in_parts = jax.jit(loss)(kernel, x)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-4), in_parts, whole)


@pytest.mark.slow
def test_gradients_contain_only_canonical_convolutions_on_cpu_and_xlas_own_on_gpu():
    x, kernel = jnp.zeros((2, 9, 9, 17)), jnp.zeros((3, 3, 17, 20))

    def orders(platform, x, kernel):
        step = jax.jit(jax.value_and_grad(lambda x, k: jnp.sum(conv2d(x, k, padding=1) ** 2), argnums=(0, 1)))
        text = jax.export.export(step, platforms=[platform])(x, kernel).mlir_module()
        return re.findall(r"dim_numbers = (\[.*?\]->\[.*?\])", text)

    canonical = "[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]"
    assert orders("cpu", x, kernel) == [canonical] * 3
    assert canonical in orders("cuda", x, kernel)
    assert set(orders("cuda", x, kernel)) != {canonical}
    thin = jnp.zeros((2, 9, 9, 1)), jnp.zeros((5, 5, 1, 6))
    assert orders("cpu", *thin) == []
    assert orders("cuda", *thin) != []


@pytest.mark.slow
@pytest.mark.parametrize(("channels", "features"), [(1, 3), (17, 20)])
def test_vmap_equals_a_loop_and_gradients_can_be_differentiated(channels, features):
    x, kernels = (jnp.asarray(a, jnp.float32) for a in draw((3, 2, 6, 7, channels), (3, 3, 3, channels, features)))
    grad = jax.jit(jax.grad(lambda k, x: jnp.sum(conv2d(x, k, padding=1) ** 2)))
    together = jax.vmap(grad)(kernels, x)
    for i in range(3):
        np.testing.assert_allclose(together[i], grad(kernels[i], x[i]), rtol=1e-3, atol=1e-3)
    # The loss is quadratic in the kernel: its gradient is linear, so <H k, k> = <grad, k>.
    k, x = kernels[0], x[0]
    curvature = jax.jit(jax.grad(lambda k: jnp.sum(grad(k, x) * lax.stop_gradient(k))))(k)
    np.testing.assert_allclose(curvature, grad(k, x), rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("choice", ["LeNet's first", "middle", "pointwise"])
def test_bfloat16_comes_back_and_stays_near_float32(choice):
    image, window, channels, features, stride, padding, _ = CHOICES[choice]
    x, kernel = (a.astype(jnp.bfloat16) for a in draw((2, *image, channels), (window, window, channels, features)))

    @jax.jit
    def value_and_gradients(x, kernel, dy):
        y, back = jax.vjp(functools.partial(conv2d, stride=stride, padding=padding), x, kernel)
        return y, *back(y if dy is None else dy)

    narrow = value_and_gradients(x, kernel, None)
    wide = value_and_gradients(*(a.astype(jnp.float32) for a in (x, kernel, narrow[0])))
    for found, expected in zip(narrow, jax.device_get(wide), strict=True):
        assert found.dtype == jnp.bfloat16
        error = np.abs(np.asarray(found, np.float32) - expected).max() / np.abs(expected).max()
        assert error < 0.02  # bfloat16 keeps 8 bits


@pytest.mark.parametrize(
    ("window", "padding", "stride", "size"),
    [((3, 3), 1, 1, (8, 8)), ((5, 3), (2, 1), 1, (8, 8)), ((3, 3), 1, 2, (4, 4)), ((3, 5), (0, 1), (3, 4), (2, 2))],
)
def test_output_size_is_floor_of_n_minus_k_plus_p_plus_s_over_s(window, padding, stride, size):
    y = jax.eval_shape(
        functools.partial(conv2d, stride=stride, padding=padding), jnp.zeros((1, 8, 8, 1)), jnp.zeros((*window, 1, 1))
    )
    assert y.shape == (1, *size, 1)


def test_whole_numbers_may_be_numpys():
    x, two = jnp.zeros((1, 9, 9, 1)), np.int64(2)
    grouped = jnp.zeros((1, 9, 9, 4)), jnp.zeros((3, 3, 2, 6))
    for taken, plain in (
        (lambda: max_pool(x, two, stride=(two, two)), lambda: max_pool(x, 2)),
        (
            lambda: Conv(3, two).init_with_output(jax.random.key(0), x),
            lambda: Conv(3, 2).init_with_output(jax.random.key(0), x),
        ),
        (
            lambda: Conv(3, (two, 1), stride=two, padding=two).init_with_output(jax.random.key(0), x),
            lambda: Conv(3, (2, 1), stride=2, padding=2).init_with_output(jax.random.key(0), x),
        ),
        (lambda: conv2d(*grouped, groups=two), lambda: conv2d(*grouped, groups=2)),
        (
            lambda: Conv(2, 3, groups=two).init_with_output(jax.random.key(0), grouped[0]),
            lambda: Conv(2, 3, groups=2).init_with_output(jax.random.key(0), grouped[0]),
        ),
    ):
        chex.assert_trees_all_equal_shapes(jax.eval_shape(taken), jax.eval_shape(plain))


@pytest.mark.parametrize("value", [2.0, None, "2", jnp.ones(())])
def test_a_setting_that_is_no_whole_number_is_refused_by_its_name(value):
    x, kernel = jnp.zeros((1, 9, 9, 1)), jnp.zeros((3, 3, 1, 1))
    for name, call in (
        ("window", lambda: max_pool(x, value)),
        ("stride", lambda: conv2d(x, kernel, stride=value)),
        ("dilation", lambda: conv2d(x, kernel, dilation=value)),
        ("padding", lambda: conv2d(x, kernel, padding=value)),
        ("kernel_size", lambda: Conv(2, value).init(jax.random.key(0), x)),
    ):
        with pytest.raises(ValueError, match=f"{name} must be a whole number"):
            call()
    for call in (
        lambda: conv2d(x, kernel, groups=value),
        lambda: Conv(2, 3, groups=value).init(jax.random.key(0), x),
    ):
        with pytest.raises(ValueError, match="groups must divide the 1 channel"):
            call()


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_only_a_cpu_makes_a_volume_of_planes(dtype):
    x, kernel = jnp.ones((2, 4, 5, 6, 3), dtype), jnp.ones((2, 3, 2, 3, 5), dtype)
    ranks = {}
    for platform in ("cpu", "cuda"):
        with tracing_for(platform):
            program = operations_of(jax.make_jaxpr(functools.partial(conv3d, padding=1))(x, kernel), platform)
        ranks[platform] = [len(o.outputs[0].shape) for o in program.operations if o.name == "conv_general_dilated"]
    assert 5 not in ranks["cpu"]
    assert ranks["cuda"] == [5]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: conv2d(jnp.zeros((2, 4, 4, 3)), jnp.zeros((7, 7, 3, 5)), padding=1),
            r"does not fit.*padded to \(6, 6\)",
        ),
        (lambda: conv2d(jnp.zeros((2, 4, 4, 3)), jnp.zeros((3, 3, 3, 5)), dilation=2), "a window of"),
        (lambda: conv2d(jnp.zeros((4, 4, 3)), jnp.zeros((3, 3, 3, 5))), "4 axes"),
        (lambda: conv1d(jnp.zeros((4, 4, 4, 3)), jnp.zeros((3, 3, 5))), "3 axes"),
        (lambda: conv2d(jnp.zeros((2, 3, 8, 8)), jnp.zeros((3, 3, 3, 5))), "channels-first"),
        (lambda: conv2d(jnp.zeros((2, 8, 8, 3)), jnp.zeros((3, 3, 1, 4)), groups=2), "groups must divide"),
        (lambda: conv2d(jnp.zeros((2, 8, 8, 4)), jnp.zeros((3, 3, 2, 3)), groups=2), "groups must divide"),
        (lambda: conv2d(jnp.zeros((2, 8, 8, 3)), jnp.zeros((3, 3, 3, 4)), padding="SAME"), "spell the numbers out"),
        (lambda: conv2d(jnp.zeros((2, 8, 8, 3)), jnp.zeros((3, 3, 3, 4)), padding=-1), "padding"),
        (lambda: conv2d(jnp.zeros((2, 8, 8, 3)), jnp.zeros((3, 3, 3, 4)), stride=0), "stride"),
        (lambda: conv2d(jnp.zeros((2, 8, 8, 3)), jnp.zeros((3, 3, 3, 4)), stride=(1, 2, 3)), "stride"),
        (lambda: conv2d(jnp.zeros((2, 8, 8, 3), jnp.uint8), jnp.zeros((3, 3, 3, 4))), "floating-point"),
    ],
)
def test_wrong_use_is_refused_with_what_was_found(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.slow
def test_the_layer_is_conv_plus_bias_drawn_for_its_fan_in():
    layer = Conv(6, (3, 2), stride=(2, 1), padding=(1, 0), groups=2, bias_init=torch_bias)
    x = jnp.asarray(draw((2, 7, 5, 4))[0], jnp.float32)
    params = jax.jit(layer.init, compiler_options=UNOPTIMISED)(jax.random.key(0), x)["params"]
    assert jax.tree.map(jnp.shape, params) == {"kernel": (3, 2, 2, 6), "bias": (6,)}
    limit = 1 / np.sqrt(3 * 2 * 2)
    assert 0 < np.abs(params["bias"]).max() <= limit
    expected = conv2d(x, params["kernel"], stride=(2, 1), padding=(1, 0), groups=2) + params["bias"].reshape(1, 1, 1, 6)
    np.testing.assert_array_equal(layer.apply({"params": params}, x), expected)
    assert "bias" not in jax.eval_shape(Conv(6, (3, 2), use_bias=False).init, jax.random.key(0), x)["params"]
    assert hash(layer) == hash(layer.clone())


@pytest.mark.parametrize("window", [(3,), (3, 2), (2, 3, 2)])
def test_the_layer_takes_one_two_and_three_axes(window):
    x = jnp.ones((2, *(5, 6, 7)[: len(window)], 3))
    y, params = jax.eval_shape(lambda: Conv(4, window).init_with_output(jax.random.key(0), x))
    assert params["params"]["kernel"].shape == (*window, 3, 4)
    assert y.shape == (2, *(n - k + 1 for n, k in zip(x.shape[1:-1], window, strict=True)), 4)


@pytest.mark.parametrize(
    ("layer", "shape"), [(Conv(4, (3, 3)), (5, 5, 3)), (Conv(4, (3, 3), groups=2), (1, 5, 5, 3)), (Conv(4, ()), (1, 3))]
)
def test_the_layer_refuses_inputs_it_cannot_take(layer, shape):
    with pytest.raises(ValueError, match=r"got"):
        layer.init(jax.random.key(0), jnp.zeros(shape))
