"""A network as ONNX answers as the network: every operation, and what the file says. Recipes are in `test_export`."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
import pytest
from jax import lax
from operation_cases import CASES, PAGE_ALONE
from small_networks import small

from jaxd2l.data import DataError
from jaxd2l.export.onnx import Session, model_of, onnx_model


def answers(content, x):
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, {"examples": x})


@pytest.mark.slow
def test_every_operation_is_jaxs_own():
    wrong = []
    for case, (shape, function) in CASES.items():
        x = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
        own = jax.tree.leaves(function(jnp.asarray(x)))
        names = [f"result {i}" for i in range(len(own))]
        results = lambda scale, x, function=function: jax.tree.leaves(function(x))  # noqa: E731
        found = answers(model_of(results, 1.0, jax.ShapeDtypeStruct(shape, "float32"), names), x)
        for name, one, other in zip(names, own, found, strict=True):
            if other.dtype != one.dtype or not np.allclose(one, other, rtol=1e-5, atol=2e-6):
                wrong.append(f"{case}, {name}: {other.dtype} {np.abs(one * 1.0 - other).max()}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("count", [1, 3])
def test_parts_are_taken_of_a_batch_of_any_size(count):
    def parts(scale, x):
        halves = jnp.stack([x[..., :2], x[..., 2:]], 1)
        return [x[:, 0], x[:, -1, 1:-1], x[:, ::2], x[:, ::-2, 1], x[:, None, 2], x[:, [3, 0, 3]], halves]

    x = np.random.default_rng(3).standard_normal((count, 5, 4)).astype(np.float32)
    given = jax.ShapeDtypeStruct((*jax.export.symbolic_shape("batch"), 5, 4), "float32")
    own = parts(1.0, x)
    found = answers(model_of(parts, 1.0, given, [str(i) for i in range(len(own))]), x)
    for one, other in zip(own, found, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_the_file_says_what_it_is():
    predictor, x = small("lenet_bn")
    content = onnx_model(predictor, facts={"classes": ["a", "b"], "epoch": 3})
    session = Session(content)
    assert json.loads(session.facts["jaxd2l"]) == {"classes": ["a", "b"], "epoch": 3}
    assert (session.inputs, session.outputs) == (("uint8[batch,28,28,1]",), ("float32[batch,10]",))
    assert content == onnx_model(predictor, facts={"classes": ["a", "b"], "epoch": 3}), "equal runs, equal bytes"
    model = onnx.load_from_string(content)
    assert model.producer_name == "jaxd2l"
    operations = [node.op_type for node in model.graph.node]
    assert operations.count("Conv") == 2
    assert operations.count("Transpose") == 2, "channels are put first once, and last once"
    assert {"Conv_0.weight", "Conv_0.bias", "Dense_2.weight"} <= {one.name for one in model.graph.initializer}
    prepared = Session(onnx_model(predictor, prepared=True))
    assert prepared.inputs == ("float32[batch,28,28,1]",)
    np.testing.assert_allclose(prepared(x.astype(np.float32) / 255), session(x), atol=1e-5)


@pytest.mark.parametrize(
    ("words", "function", "dtype"),
    [
        ("computes sort, which the ONNX export cannot", lambda x: jnp.sort(x), "float32"),
        ("computes mul in bfloat16; the ONNX export computes in float32", lambda x: x * 2, "bfloat16"),
        ("computes atan2, which", PAGE_ALONE["a page alone"][1], "float32"),
        ("at a place that depends on", lambda x: lax.dynamic_slice(x, (0, x[0, 0].astype(int)), (1, 1)), "float32"),
        ("gather at a place that depends on", lambda x: jnp.arange(9.0)[x[:, 0].astype(int)], "float32"),
        ("gather beyond the end of an axis", lambda x: jnp.take(x, jnp.asarray([0, 3]), axis=1), "float32"),
        ("for any number of examples", lambda x: x.reshape(2, -1), "float32"),
    ],
)
def test_what_is_not_written_is_refused_by_name(words, function, dtype):
    x = jax.ShapeDtypeStruct((*jax.export.symbolic_shape("batch"), 3), dtype)
    with pytest.raises(ValueError, match=words):
        model_of(lambda scale, x: function(x), 1.0, x, ["y", "z"])


def test_what_is_no_model_is_refused():
    with pytest.raises(DataError, match="no ONNX model that onnxruntime"):
        Session(b"no model")
