"""Each array of a network on both sides: PyTorch's name and shape, ours, and the order of axes between them."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.interop.torch_names import torch_names
from jaxd2l.kept import made_once
from jaxd2l.nn.batch_normalisation import BatchNorm
from jaxd2l.nn.conv import Conv
from jaxd2l.nn.kernels.window import sizes
from jaxd2l.nn.linear import Dense, Flatten


class Weight(NamedTuple):
    """One array on both sides: PyTorch's shape, the order of axes that leads to ours, and our shape."""

    name: str  # in the state_dict
    collection: str  # "params" or "batch_stats"
    path: tuple[str, ...]
    torch_shape: tuple[int, ...]
    split: tuple[int, ...]  # torch_shape with the flattened axis taken apart into channels and space
    order: tuple[int, ...]
    shape: tuple[int, ...]

    def to_flax(self, value: np.ndarray) -> np.ndarray:
        """PyTorch's array in our order of axes."""
        return value.reshape(self.split).transpose(self.order).reshape(self.shape)

    def to_torch(self, value: np.ndarray) -> np.ndarray:
        """Our array in PyTorch's order of axes, contiguous."""
        moved = value.reshape([self.split[axis] for axis in self.order]).transpose(np.argsort(self.order))
        return np.ascontiguousarray(moved.reshape(self.torch_shape))


def weights_of(
    network: nn.Module, input_shape: tuple[int, ...], names: Mapping[str, str] | None = None
) -> list[Weight]:
    """Every array of the network, in the order in which a forward pass meets its layer; traced once for equal ones.

    Args:
        network: one of `jaxd2l.nn.models`.
        input_shape: of one example.
        names: PyTorch's of its layers; those of `torch_names` where None.

    Raises:
        ValueError: no PyTorch names are known for the network.
    """
    names = dict(torch_names(network) if names is None else names)
    key = "weights of PyTorch", network, tuple(input_shape), names
    return list(made_once(key, lambda: _weights(network, input_shape, names), installed=True))


def _weights(network: nn.Module, input_shape: tuple[int, ...], names: Mapping[str, str]) -> list[Weight]:
    weights, flattened = [], None
    for layer, path, shape in _calls(network, input_shape):
        if isinstance(layer, Flatten):
            flattened = shape[1:]
            continue
        name = names["/".join(path)]
        features = shape[-1]
        if isinstance(layer, BatchNorm):
            vector = (features,)
            for theirs, collection, ours in (
                ("weight", "params", "scale"),
                ("bias", "params", "bias"),
                ("running_mean", "batch_stats", "mean"),
                ("running_var", "batch_stats", "var"),
            ):
                weights.append(Weight(f"{name}.{theirs}", collection, (*path, ours), vector, vector, (0,), vector))
            continue
        if isinstance(layer, Conv):
            rank = len(shape) - 2
            window = sizes("kernel_size", layer.kernel_size, rank)
            split = torch_shape = (layer.features, features // layer.groups, *window)
            order = (*range(2, rank + 2), 1, 0)
            ours_shape = (*window, features // layer.groups, layer.features)
        else:
            space = flattened[:-1] if flattened is not None and math.prod(flattened) == features else ()
            channels = features // math.prod(space)
            torch_shape, ours_shape = (layer.features, features), (features, layer.features)
            split = (layer.features, channels, *space)
            order = (*range(2, len(split)), 1, 0)
            flattened = None  # only the layer that reads the flattened pixels is permuted
        kernel = (*path, "kernel")
        weights.append(Weight(f"{name}.weight", "params", kernel, torch_shape, split, order, ours_shape))
        if layer.use_bias:
            vector = (layer.features,)
            weights.append(Weight(f"{name}.bias", "params", (*path, "bias"), vector, vector, (0,), vector))
    return weights


def _calls(network: nn.Module, input_shape: tuple[int, ...]) -> list[tuple[Any, tuple[str, ...], tuple[int, ...]]]:
    """Layer, path and input shape of each call in a forward pass, by tracing shapes only."""
    calls = []

    def watch(next_method: Any, args: Any, kwargs: Any, context: Any) -> Any:
        if isinstance(context.module, Conv | Dense | BatchNorm | Flatten) and context.method_name == "__call__":
            calls.append((context.module, context.module.path, args[0].shape))
        return next_method(*args, **kwargs)

    with nn.intercept_methods(watch):
        jax.eval_shape(lambda: network.init(jax.random.key(0), jnp.zeros((1, *input_shape)), train=False))
    return calls
