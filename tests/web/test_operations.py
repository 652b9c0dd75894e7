"""Each operation that a page knows, against JAX; what it does not know is refused by name."""

import base64

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxd2l.nn import avg_pool, conv1d, conv2d, gelu, leaky_relu, max_pool, sigmoid, softmax, tanh
from jaxd2l.web import plan_of
from jaxd2l.web.operations import OPERATIONS

IMAGE, ROWS = (1, 7, 9, 4), (1, 5, 6)


def kernel(*shape):
    return jnp.asarray(np.random.default_rng(5).standard_normal(shape), jnp.float32)


def of_flax(layer, shape=IMAGE, **settings):
    variables = layer.init(jax.random.key(0), jnp.ones(shape), **settings)
    return lambda x: layer.apply(variables, x, **settings)


def channels_first(x):
    y = lax.conv_general_dilated(x.transpose(0, 3, 1, 2), kernel(6, 4, 3, 3), (2, 1), "SAME")
    return lax.reduce_window(y, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")


def attention(x):
    weights = softmax(jnp.einsum("nqd,nkd->nqk", x, 2 * x))
    return jnp.einsum("nqk,nkd->nqd", weights, x)


CASES = {
    "conv2d with uneven borders": (
        IMAGE,
        lambda x: conv2d(x, kernel(3, 2, 4, 5), stride=(2, 3), padding=[(0, 2), (1, 0)]),
    ),
    "conv2d with dilation": (IMAGE, lambda x: conv2d(x, kernel(2, 3, 4, 5), dilation=(2, 3))),
    "conv2d in groups": (IMAGE, lambda x: conv2d(x, kernel(3, 3, 2, 6), padding=1, groups=2)),
    "depthwise": (IMAGE, lambda x: conv2d(x, kernel(3, 3, 1, 4), padding=1, groups=4)),
    "pointwise": (IMAGE, lambda x: conv2d(x, kernel(1, 1, 4, 7))),
    "pointwise with stride": (IMAGE, lambda x: conv2d(x, kernel(1, 1, 4, 7), stride=2)),
    "conv1d": (ROWS, lambda x: conv1d(x, kernel(3, 6, 5), stride=2, padding=1)),
    "transposed convolution": (IMAGE, of_flax(nn.ConvTranspose(5, (3, 3), (2, 2)))),
    "channels first": (IMAGE, channels_first),
    "negative borders": (
        IMAGE,
        lambda x: lax.conv_general_dilated(
            x, kernel(2, 2, 4, 3), (1, 1), [(-1, 0), (1, -2)], dimension_numbers=("NHWC", "HWIO", "NHWC")
        ),
    ),
    "max_pool": (IMAGE, lambda x: max_pool(x, 3, stride=2, padding=1)),
    "avg_pool": (IMAGE, lambda x: avg_pool(x, (3, 2), stride=(2, 3), padding=(1, 0))),
    "pools of Flax": (IMAGE, lambda x: nn.max_pool(x, (2, 2), (2, 2), "SAME") + nn.avg_pool(x, (2, 2), (2, 2), "SAME")),
    "activations": (
        ROWS,
        lambda x: [
            relu(3 * x)
            for relu in (
                sigmoid,
                tanh,
                gelu,
                leaky_relu,
                nn.relu,
                nn.gelu,
                nn.swish,
                nn.elu,
                nn.softplus,
                nn.hard_tanh,
                nn.log_softmax,
                nn.relu6,
            )
        ],
    ),
    "normalisations": (IMAGE, lambda x: of_flax(nn.LayerNorm())(x) + of_flax(nn.GroupNorm(2))(x)),
    "attention": (ROWS, attention),
    "products": (ROWS, lambda x: jnp.einsum("nab,bc,da->ncd", x, kernel(6, 3), kernel(4, 5))),
    "reductions": (IMAGE, lambda x: [x.mean((1, 2)), x.max(-1), x.min((1, 3)), jnp.prod(x, 2), x.sum(), x.var((0, 1))]),
    "moves": (
        IMAGE,
        lambda x: [
            x[:, ::2, 1:-2],
            x[:, ::-1],
            jnp.concatenate([x, 2 * x], 1),
            x.swapaxes(1, 3),
            jnp.pad(x, ((0, 0), (1, 2), (0, 3), (0, 0)), constant_values=3),
            jnp.tile(x, (1, 2, 1, 1)),
            lax.pad(x, -jnp.inf, [(0, 0, 0), (-1, 2, 1), (1, -1, 0), (0, 0, 2)]),
            x[:, 3],
            *jnp.split(x, 2, -1),
            lax.dynamic_slice(x, (0, 2, 30, 0), (1, 3, 4, 4)),
        ],
    ),
    "elementwise": (
        ROWS,
        lambda x: [
            jnp.where(x > 0.2, x, -1.0),
            jnp.clip(x, -0.5, 0.5),
            x**3,
            jnp.round(4 * x),
            lax.round(4 * x),
            jnp.floor(x),
            jnp.sign(x),
            jnp.exp2(x),
            jnp.expm1(x),
            jnp.cbrt(x),
            jnp.log1p(x * x),
            jnp.arctan2(x, 2 * x + 1),
            (x > 0) & (x < 1) | ~(x == x),
            (4 * x).astype(int),
            x.astype(bool),
            jnp.isfinite(x),
            lax.rsqrt(x * x + 1),
            lax.erf(2 * x),
            lax.erfc(3 * x),
            lax.reduce_precision(x, 8, 11),
            abs(x) ** 1.5,
        ],
    ),
    "a loop over known numbers": (ROWS, lambda x: x * lax.fori_loop(0, 3, lambda i, a: a * 2.0, jnp.float32(1.0))),
}


def test_every_operation_is_jaxs_own(node):
    given, expected = {}, {}
    for name, (shape, function) in CASES.items():
        x = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
        results = lambda scale, x, function=function: jax.tree.leaves(function(x))  # noqa: E731
        plan = plan_of(results, 1.0, jax.ShapeDtypeStruct(shape, "float32"))
        described, constants = plan.packed()
        given[name] = {
            "plan": described,
            "constants": base64.b64encode(constants).decode(),
            "x": x.ravel().tolist(),
        }
        expected[name] = plan.outputs, [np.asarray(one, np.float64) for one in results(1.0, x)]
    found = node(
        ["kernels.js", "interpreter.js"],
        "return Object.fromEntries(Object.entries(given).map(([name, { plan, constants, x }]) => {"
        "const bytes = new Uint8Array(Buffer.from(constants, 'base64'));"
        "const network = new interpreter.Network(plan, new Float32Array(bytes.buffer));"
        "for (const _ of network.forward(x));"
        "return [name, network.arrays.map((array) => Array.from(array, String))]; }));",
        given,
    )
    wrong = []
    for name, (outputs, values) in expected.items():
        for i, (number, value) in enumerate(zip(outputs, values, strict=True)):
            result = np.array([float(v.replace("Infinity", "inf")) for v in found[name][number]]).reshape(value.shape)
            if not np.allclose(result, value, rtol=1e-5, atol=2e-6):
                wrong.append(f"{name}, result {i}: {np.abs(result - value).max()}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("words", "function", "shape", "dtype"),
    [
        ("computes sort, which a page cannot", jnp.sort, (1, 3), "float32"),
        ("computes scan, which a page cannot", lambda x: lax.map(jnp.sin, x), (1, 3), "float32"),
        ("computes mul in bfloat16; a page computes in float32", lambda x: x * 2, (1, 3), "bfloat16"),
        ("computes div of int32, which", lambda x: lax.div(x, x), (1, 3), "int32"),
        (
            "over 3 axes, which",
            lambda x: lax.conv(x, kernel(1, 1, 2, 2, 2), (1, 1, 1), "SAME"),
            (1, 1, 3, 4, 5),
            "float32",
        ),
        ("at a place that depends on", lambda x: lax.dynamic_slice(x, (x[0].astype(int),), (1,)), (3,), "float32"),
    ],
)
def test_what_a_page_cannot_compute_is_refused_by_name(words, function, shape, dtype):
    with pytest.raises(ValueError, match=words):
        plan_of(lambda scale, x: function(x), 2.0, jax.ShapeDtypeStruct(shape, dtype))


def test_what_depends_on_the_weights_alone_is_computed_beforehand():
    plan = plan_of(
        lambda w, x: x * lax.rsqrt(jnp.sum(w)), np.ones((2, 2), np.float32), jax.ShapeDtypeStruct((3,), "float32")
    )
    assert [step.operation for step in plan.steps] == ["mul"]
    assert [constant.tolist() for constant in plan.constants.values()] == [0.5]
    assert "sin" in OPERATIONS
