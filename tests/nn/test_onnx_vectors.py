"""Layers against the vectors that ONNX ships as made by PyTorch (`backend/test/data/pytorch-converted`).

The cases hold one layer each, channels first. The networks of the library are channels last, so arrays are turned on
their way in and out. What is not of this library stands in `OTHERS` with the reason.
"""

from functools import partial
from pathlib import Path

import jax
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from jaxd2l import nn

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "pytorch-converted"
pytestmark = pytest.mark.usefixtures("unoptimised")

NO_LAYER = "no such layer here"
OTHERS = {
    **dict.fromkeys(["ConstantPad2d", "ReflectionPad2d", "ReplicationPad2d", "ZeroPad2d", "PixelShuffle"], NO_LAYER),
    **dict.fromkeys(["ConvTranspose2d", "ConvTranspose2d_no_bias", "Embedding", "Embedding_sparse"], NO_LAYER),
    **dict.fromkeys(["ELU", "SELU", "GLU", "GLU_dim", "Softmin", "Softplus", "Softsign"], NO_LAYER),
    **dict.fromkeys([f"PReLU_{n}d{kind}" for n in (1, 2, 3) for kind in ("", "_multiparam")], "slope is a parameter"),
    "PoissonNLLLLoss_no_reduce": NO_LAYER,
    "MaxPool1d_stride_padding_dilation": "pools have no dilation",
    "MaxPool2d_stride_padding_dilation": "pools have no dilation",
}
CASES = sorted(path.name.removeprefix("test_") for path in FOLDER.iterdir() if path.is_dir())
SUPPORTED = [name for name in CASES if name not in OTHERS]


def last(x):
    return np.moveaxis(x, 1, -1)


def first(y):
    return np.moveaxis(np.asarray(y), -1, 1)


def borders(settings):
    low, high = np.split(np.asarray(settings["pads"]), 2)
    return [(int(a), int(b)) for a, b in zip(low, high, strict=True)]


def conv(settings, x, kernel, *bias):
    function = {3: nn.conv1d, 4: nn.conv2d, 5: nn.conv3d}[x.ndim]
    convolve = partial(
        function,
        stride=settings["strides"],
        padding=borders(settings),
        dilation=settings["dilations"],
        groups=settings["group"],
    )
    y = jax.jit(convolve)(last(x), np.moveaxis(kernel, (0, 1), (-1, -2)))
    return first(y) + (bias[0].reshape((-1,) + (1,) * (x.ndim - 2)) if bias else 0)


def pool(function):
    def run(settings, x):
        window = {"stride": settings["strides"], "padding": borders(settings)}
        return first(jax.jit(lambda x: function(x, settings["kernel_shape"], **window))(last(x)))

    return run


def batch_norm(settings, x, scale, bias, mean, var):
    norm = jax.jit(partial(nn.batch_norm, train=False, epsilon=settings["epsilon"]))
    return first(norm(last(x), scale, bias, nn.RunningStatistics(mean, var))[0])


def along(function):
    def run(settings, x):
        y = jax.jit(function)(np.moveaxis(x, settings["axis"], -1))
        return np.moveaxis(np.asarray(y), -1, settings["axis"])

    return run


RUN = {
    "Conv": conv,
    "MaxPool": pool(nn.max_pool),
    "AveragePool": pool(nn.avg_pool),
    "BatchNormalization": batch_norm,
    "Relu": lambda settings, x: jax.jit(nn.relu)(x),
    "LeakyRelu": lambda settings, x: jax.jit(nn.leaky_relu)(x, settings["alpha"]),
    "Sigmoid": lambda settings, x: jax.jit(nn.sigmoid)(x),
    "Tanh": lambda settings, x: jax.jit(nn.tanh)(x),
    "Softmax": along(nn.softmax),
    "LogSoftmax": along(nn.log_softmax),
    "Gemm": lambda settings, x, kernel, bias: jax.jit(nn.dense)(x, kernel.T, bias),
    "MatMul": lambda settings, x, kernel: jax.jit(nn.dense)(x, kernel),
    "Transpose": lambda settings, x: np.transpose(x, settings["perm"]),
    # the axis that ONNX adds for a 1-D mean
    "Unsqueeze": lambda settings, x: np.expand_dims(x, tuple(settings["axes"])),
    "Squeeze": lambda settings, x: np.squeeze(x, tuple(settings["axes"])),
}


def tensor(path):
    return numpy_helper.to_array(onnx.load_tensor(path))


@pytest.mark.slow
@pytest.mark.parametrize("name", SUPPORTED)
def test_layer_equals_the_vector_of_onnx(name):
    folder = FOLDER / f"test_{name}"
    graph = onnx.load(folder / "model.onnx").graph
    data = folder / "test_data_set_0"
    values = {array.name: numpy_helper.to_array(array) for array in graph.initializer}
    given = [value.name for value in graph.input if value.name not in values]
    values |= {key: tensor(data / f"input_{i}.pb") for i, key in enumerate(given)}
    for node in graph.node:
        settings = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        values[node.output[0]] = np.asarray(RUN[node.op_type](settings, *(values[key] for key in node.input)))
    want = tensor(data / "output_0.pb")
    got = values[graph.output[0].name]
    assert got.shape == want.shape
    # both are float32 sums of at most a hundred products
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6 * np.max(np.abs(want)))


def test_every_case_is_run_or_refused_with_a_reason():
    assert set(OTHERS) <= set(CASES)
    assert len(SUPPORTED) >= 57
