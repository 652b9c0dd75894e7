"""Layer cases for PyTorch parity: kind, shapes and settings, with inputs by the rule of torch_rule. NumPy only."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch_rule


class LayerCase(NamedTuple):
    """Shapes in our layout (channels last); settings by PyTorch's keyword."""

    kind: str
    shapes: dict[str, tuple[int, ...]]
    settings: Mapping[str, Any] = MappingProxyType({})
    images: bool = False  # x and y move their channels between PyTorch's place and ours
    scale: float = 2.0  # x is drawn from U(-scale, scale)


def _conv(x: tuple[int, ...], kernel: tuple[int, ...], **settings: Any) -> LayerCase:
    return LayerCase("conv", {"x": x, "kernel": kernel}, settings, images=True)


def _pool(kind: str, x: tuple[int, ...], **settings: Any) -> LayerCase:
    return LayerCase(kind, {"x": x}, settings, images=True)


def _norm(x: tuple[int, ...], training: bool) -> LayerCase:
    vector = x[-1:]
    shapes = {"x": x, "scale": vector, "bias": vector, "mean": vector, "var": vector}
    return LayerCase("batch_norm", shapes, {"training": training, "momentum": 0.1, "eps": 1e-5}, images=len(x) > 2)


def _pair(kind: str, **settings: Any) -> LayerCase:
    return LayerCase(kind, {"x": (5, 3), "target": (5, 3)}, settings)


def _classified(kind: str, **settings: Any) -> LayerCase:
    return LayerCase(kind, {"x": (5, 3), "labels": (5,)}, settings)


LAYER_CASES = {
    **{kind: LayerCase(kind, {"x": (5, 3)}) for kind in ("relu", "sigmoid", "tanh", "gelu", "softmax", "log_softmax")},
    "leaky_relu": LayerCase("leaky_relu", {"x": (5, 3)}, {"negative_slope": 0.01}),
    "dense": LayerCase("dense", {"x": (5, 3), "kernel": (3, 7), "bias": (7,)}),
    "conv1d": _conv((2, 11, 3), (5, 3, 7)),
    "conv1d_stride": _conv((2, 11, 3), (4, 3, 5), stride=(3,), padding=(2,), dilation=(2,)),
    "conv2d": _conv((2, 9, 11, 3), (3, 5, 3, 7)),
    "conv2d_1x1": _conv((2, 5, 7, 3), (1, 1, 3, 11)),
    "conv2d_stride": _conv((2, 9, 11, 3), (3, 5, 3, 7), stride=(2, 3), padding=(1, 2)),
    "conv2d_dilation": _conv((2, 9, 11, 3), (3, 2, 3, 7), dilation=(2, 4)),
    "conv2d_groups": _conv((2, 7, 5, 6), (3, 3, 2, 9), stride=(2, 1), padding=(1, 1), groups=3),
    "conv2d_stem": _conv((2, 19, 23, 1), (7, 7, 1, 5), stride=(2, 2), padding=(3, 3)),
    "conv3d": _conv((2, 5, 7, 6, 3), (2, 3, 4, 3, 5)),
    "conv3d_stride": _conv((2, 5, 7, 6, 3), (2, 3, 1, 3, 5), stride=(1, 2, 3), padding=(1, 0, 0)),
    "max_pool1d": _pool("max_pool", (2, 11, 3), kernel_size=(3,), stride=(2,), padding=(1,)),
    "max_pool2d": _pool("max_pool", (2, 9, 11, 3), kernel_size=(3, 2), stride=(2, 3), padding=(1, 0)),
    "max_pool2d_overlap": _pool("max_pool", (2, 9, 11, 3), kernel_size=(3, 3), stride=(2, 2), padding=(0, 0)),
    "max_pool3d": _pool("max_pool", (2, 5, 7, 6, 3), kernel_size=(2, 3, 2), stride=(2, 2, 1), padding=(0, 1, 1)),
    "avg_pool1d": _pool("avg_pool", (2, 11, 3), kernel_size=(3,), stride=(2,), padding=(1,)),
    "avg_pool2d": _pool("avg_pool", (2, 9, 11, 3), kernel_size=(3, 2), stride=(2, 3), padding=(1, 0)),
    "avg_pool3d": _pool("avg_pool", (2, 5, 7, 6, 3), kernel_size=(2, 3, 2), stride=(2, 2, 1), padding=(0, 1, 1)),
    "global_avg_pool": LayerCase("global_avg_pool", {"x": (2, 5, 7, 3)}, images=True),
    "batch_norm_dense": _norm((5, 3), True),
    "batch_norm_conv": _norm((2, 5, 7, 3), True),
    "batch_norm_3d": _norm((2, 5, 7, 2, 3), True),
    "batch_norm_predict": _norm((2, 5, 7, 3), False),
    "layer_norm": LayerCase("layer_norm", {"x": (5, 3, 7), "scale": (7,), "bias": (7,)}),
    "layer_norm_two_axes": LayerCase("layer_norm", {"x": (5, 3, 7), "scale": (3, 7), "bias": (3, 7)}),
    **{kind: _pair(kind) for kind in ("squared_error", "absolute_error")},
    "huber": _pair("huber", delta=0.7),
    "cross_entropy": LayerCase("cross_entropy", {"x": (5, 3), "labels": (5,)}, scale=20.0),
    "cross_entropy_smoothed": _classified("cross_entropy", label_smoothing=0.1),
    "cross_entropy_weighted": _classified("cross_entropy", weight=(0.5, 2.0, 3.0)),
    "cross_entropy_both": _classified("cross_entropy", label_smoothing=0.3, weight=(0.5, 0.0, 3.0)),
    "mean_cross_entropy": _classified("mean_cross_entropy", label_smoothing=0.1, weight=(0.5, 2.0, 3.0)),
    "soft_cross_entropy": LayerCase("soft_cross_entropy", {"x": (5, 3), "target": (5, 3)}),
    "log_squared_error": LayerCase("log_squared_error", {"x": (5, 1), "target": (5, 1)}, scale=9.0),
}


def arrays(name: str) -> dict[str, np.ndarray]:
    """Inputs and parameters of a case, in our layout; labels are in [0, 3)."""
    case, found = LAYER_CASES[name], {}
    for what, shape in case.shapes.items():
        if what == "labels":
            found[what] = torch_rule.generator(f"{name} {what}").integers(0, 3, shape).astype(np.int32)
        else:
            low, high = (0.5, 1.5) if what == "var" else (-case.scale, case.scale)
            found[what] = torch_rule.uniform(f"{name} {what}", shape, low, high)
    if case.kind == "soft_cross_entropy":
        share = np.abs(found["target"]).astype(np.float64)
        found["target"] = (share / share.sum(1, keepdims=True)).astype(np.float32)
    return found


def direction(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """What the output is multiplied with before it is summed and differentiated."""
    return torch_rule.uniform(f"{name} direction", shape, -1, 1).astype(np.float64)


def to_torch(case: LayerCase, what: str, value: np.ndarray) -> np.ndarray:
    """From our layout to PyTorch's."""
    if what == "kernel":
        return np.ascontiguousarray(value.transpose(-1, -2, *range(value.ndim - 2)))
    return np.ascontiguousarray(np.moveaxis(value, -1, 1)) if case.images and value.ndim > 2 else value


def from_torch(case: LayerCase, what: str, value: np.ndarray) -> np.ndarray:
    """From PyTorch's layout to ours."""
    if what == "kernel":
        return value.transpose(*range(2, value.ndim), 1, 0)
    return np.moveaxis(value, 1, -1) if case.images and value.ndim > 2 else value
