"""Every layer and loss against PyTorch: output, every gradient, new running statistics."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch_layers
from model_table import UNOPTIMISED, quick_first

from jaxd2l import nn

QUICK = {"dense", "conv2d_dilation", "avg_pool1d", "relu", "huber", "batch_norm_predict"}
FIXTURE = Path(__file__).parents[1] / "fixtures" / "torch_layers.npz"
TOLERANCE = {"float64": 1e-11, "float32": 2e-5}  # of the largest entry; a float32 sum of 100 products loses 1e-6


def conv(a, s):
    rank = a["x"].ndim - 2
    return {1: nn.conv1d, 2: nn.conv2d, 3: nn.conv3d}[rank](a["x"], a["kernel"], **s)


def batch_norm(a, s):
    running = nn.RunningStatistics(a["mean"], a["var"])
    return nn.batch_norm(
        a["x"], a["scale"], a["bias"], running, train=s["training"], momentum=s["momentum"], epsilon=s["eps"]
    )


def cross_entropy(a, s):
    return nn.cross_entropy(
        a["x"], a["labels"], label_smoothing=s.get("label_smoothing", 0.0), class_weights=s.get("weight")
    )


LAYERS = {
    "relu": lambda a, s: nn.relu(a["x"]),
    "leaky_relu": lambda a, s: nn.leaky_relu(a["x"], s["negative_slope"]),
    "sigmoid": lambda a, s: nn.sigmoid(a["x"]),
    "tanh": lambda a, s: nn.tanh(a["x"]),
    "gelu": lambda a, s: nn.gelu(a["x"]),
    "softmax": lambda a, s: nn.softmax(a["x"]),
    "log_softmax": lambda a, s: nn.log_softmax(a["x"]),
    "dense": lambda a, s: nn.dense(a["x"], a["kernel"], a["bias"]),
    "conv": conv,
    "max_pool": lambda a, s: nn.max_pool(a["x"], s["kernel_size"], stride=s["stride"], padding=s["padding"]),
    "avg_pool": lambda a, s: nn.avg_pool(a["x"], s["kernel_size"], stride=s["stride"], padding=s["padding"]),
    "global_avg_pool": lambda a, s: nn.global_avg_pool(a["x"]),
    "batch_norm": batch_norm,
    "layer_norm": lambda a, s: nn.layer_norm(a["x"], a["scale"], a["bias"]),
    "squared_error": lambda a, s: nn.squared_error(a["x"], a["target"]),
    "absolute_error": lambda a, s: nn.absolute_error(a["x"], a["target"]),
    "huber": lambda a, s: nn.huber(a["x"], a["target"], **s),
    "cross_entropy": lambda a, s: cross_entropy(a, s),
    "mean_cross_entropy": lambda a, s: (
        jnp.sum(cross_entropy(a, s))[None] / jnp.sum(jnp.asarray(s["weight"])[a["labels"]])
    ),
    "soft_cross_entropy": lambda a, s: nn.cross_entropy_with_probabilities(a["x"], a["target"]),
    "log_squared_error": lambda a, s: nn.log_squared_error(a["x"], a["target"]),
}


@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize("name", quick_first(torch_layers.LAYER_CASES, QUICK))
def test_layer_equals_pytorch(name, precision):
    case = torch_layers.LAYER_CASES[name]
    with jax.enable_x64(precision == "float64"), np.load(FIXTURE) as expected:

        def assert_close(got, key):
            want = expected[f"{name} {key}"]
            assert got.shape == want.shape
            np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE[precision] * max(1.0, np.max(np.abs(want))))

        given = torch_layers.arrays(name)
        fixed = {key: jnp.asarray(value) for key, value in given.items() if key == "labels"}
        arrays = {key: jnp.asarray(value, precision) for key, value in given.items() if key not in fixed}

        def projected(arrays):
            result = LAYERS[case.kind](arrays | fixed, case.settings)
            y, running = result if isinstance(result, tuple) else (result, None)
            return jnp.sum(y * jnp.asarray(torch_layers.direction(name, y.shape), precision)), (y, running)

        options = {} if precision == "float32" else UNOPTIMISED  # as in training, and as exactly as can be
        step = jax.jit(jax.value_and_grad(projected, has_aux=True), compiler_options=options)
        (_, (y, running)), gradient = step(arrays)
        assert_close(y, "y")
        for key in arrays:
            if f"{name} d{key}" in expected:
                assert_close(gradient[key], f"d{key}")
        if running is not None:
            assert_close(running.mean, "new_mean")
            assert_close(running.var, "new_var")
