"""Each operation that a page knows, against JAX; what it does not know is refused by name."""

import base64

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from operation_cases import CASES, PAGE_ALONE, kernel

from jaxd2l.web import plan_of
from jaxd2l.web.operations import OPERATIONS


@pytest.mark.slow
def test_every_operation_is_jaxs_own(node):
    given, expected = {}, {}
    for name, (shape, function) in {**CASES, **PAGE_ALONE}.items():
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
