"""The written rule by which PyTorch and jaxd2l get the same weights, inputs and masks, so fixtures hold only results.

`scripts/make_torch_fixtures.py` imports this under PyTorch, the tests import it under JAX; it needs NumPy alone.
All draws are float32 numbers, so that float32 and float64 runs start from the same values. Each array is seeded by
its own name: the order of drawing does not matter. Layouts are PyTorch's (OIHW kernels, names of the state_dict);
images are channels last.
"""

import zlib
from typing import NamedTuple

import numpy as np

SAMPLES = 4  # entries of each array that are stored as they are


class Case(NamedTuple):
    """One network in one setting; `input_shape` is (h, w, channels) of one example."""

    input_shape: tuple[int, ...]
    batch: int
    learning_rate: float
    weight_decay: float = 0.0
    num_classes: int = 10
    regression: bool = False


CASES = {
    "linear": Case((2,), 5, 0.03, regression=True, num_classes=1),
    "softmax": Case((28, 28, 1), 5, 0.01),
    "mlp": Case((28, 28, 1), 5, 0.01, weight_decay=0.01),
    "dropout_mlp": Case((28, 28, 1), 5, 0.002),
    "lenet": Case((28, 28, 1), 5, 0.1),
    "lenet_relu": Case((28, 28, 1), 5, 0.01, weight_decay=0.01),
    "lenet_conv_relu": Case((28, 28, 1), 5, 0.03),
    "lenet_bn": Case((28, 28, 1), 7, 0.1, weight_decay=0.01),
    "convnet": Case((28, 28, 1), 7, 0.01, weight_decay=0.01),
    "alexnet": Case((224, 224, 1), 2, 0.0001),
    "vgg11": Case((64, 64, 1), 2, 0.0001),
    "vgg13": Case((64, 64, 3), 2, 0.0001),
    "vgg16": Case((64, 64, 3), 2, 0.0001),
    "vgg19": Case((64, 64, 3), 2, 0.0001),
    "nin": Case((224, 224, 1), 2, 0.001),
    "googlenet": Case((96, 96, 1), 2, 0.0001),
    "resnet18": Case((96, 96, 1), 3, 0.0001),
    "resnet34": Case((64, 64, 3), 5, 0.001),
    "resnet50": Case((64, 64, 3), 5, 0.002),
    "resnext50": Case((64, 64, 3), 5, 0.002),
    "densenet": Case((96, 96, 1), 3, 0.003),
    "conv3d": Case((7, 11, 13, 2), 3, 0.01),
}


def generator(name: str) -> np.random.Generator:
    """The generator of the array called `name`."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def uniform(name: str, shape: tuple[int, ...], low: float, high: float) -> np.ndarray:
    """float32 numbers from U(low, high)."""
    drawn = generator(name).random(shape, dtype=np.float32)
    return np.float32(low) + np.float32(high - low) * drawn


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Kernels keep the scale of activations (He); norms and biases are near, not at, their usual first values.

    The norms inside residual blocks are small, so that a block is near the identity and float32 can follow float64.
    """
    if name.endswith("running_mean"):
        return uniform(name, shape, -0.2, 0.2)
    if ".bn" in name and name.endswith("weight"):
        return uniform(name, shape, 0.1, 0.3)
    if name.endswith("running_var") or (len(shape) == 1 and name.endswith("weight")):
        return uniform(name, shape, 0.5, 1.5)
    if len(shape) == 1:
        return uniform(name, shape, -0.05, 0.15)
    limit = float(np.sqrt(6 / np.prod(shape[1:])))
    return uniform(name, shape, -limit, limit)


def batch(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (n, *input_shape) and labels (n,) int32, or targets (n, 1) float32 for a regression."""
    case = CASES[name]
    shape = (case.batch, *case.input_shape)
    x = uniform(f"{name} x", shape, -1, 1) if case.regression else uniform(f"{name} x", shape, 0, 1)
    if case.regression:
        return x, uniform(f"{name} y", (case.batch, 1), -1, 1)
    return x, generator(f"{name} y").integers(0, case.num_classes, case.batch).astype(np.int32)


def mask(index: int, shape: tuple[int, ...], rate: float) -> np.ndarray:
    """What the dropout layer number `index` multiplies (n, [channels, h, w | features]) with in every step."""
    keep = generator(f"mask {index}").random(shape, dtype=np.float32) >= np.float32(rate)
    return (keep / np.float32(1 - rate)).astype(np.float32)


def digest(name: str, value: np.ndarray) -> np.ndarray:
    """Norm, sum, two projections on random directions of rank one, and a few entries: (4 + SAMPLES,) float64.

    A direction of rank one is an outer product of one vector per axis: it tells axes and places apart, and costs one
    pass over the array. All but the norm are linear.
    """
    value = np.asarray(value, np.float64)
    rng = generator(f"digest {name}")
    out = [np.linalg.norm(value), value.sum()]
    for _ in range(2):
        rest = value
        for size in value.shape:
            rest = np.tensordot(rng.standard_normal(size), rest, axes=1)
        out.append(rest)
    places = rng.integers(0, value.size, SAMPLES)
    return np.asarray([*out, *value.ravel()[places]], np.float64)


def digest_error(got: np.ndarray, expected: np.ndarray, size: int, total: float) -> float:
    """Largest difference of two digests on the scale of the array, which has `size` entries.

    The scale of the norm is the norm; of a sum or projection the norm times that of the direction; of single entries
    the norm. `total` is the norm over all arrays of the kind: a bias before a batch norm has gradient 0, and what is
    left of it is the rounding of the whole.
    """
    norm = expected[0] if expected[0] > 1e-9 * total else total
    scale = norm * np.array([1, *[size**0.5] * 3, *[1] * SAMPLES])
    return float(np.max(np.abs(got - expected) / scale))
