"""Weights to and from PyTorch: a `state_dict` of the book's networks as `params` and `batch_stats`, and back.

What changes on the way: a convolution kernel is OIHW there and HWIO here, a dense kernel is transposed, and the first
dense layer after the images reads their pixels in C, H, W order there and H, W, C here. PyTorch itself is not needed.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.data.error import DataError
from jaxd2l.interop.torch_names import torch_names
from jaxd2l.nn.batch_normalisation import BatchNorm
from jaxd2l.nn.conv import Conv
from jaxd2l.nn.linear import Dense, Flatten
from jaxd2l.nn.window import sizes

__all__ = ["from_torch", "load_torch", "read_state_dict", "save_torch", "to_torch", "torch_shapes"]

type State = Mapping[str, np.ndarray]


class _Weight(NamedTuple):
    """One array on both sides: PyTorch's shape, the order of axes that leads to ours, and our shape."""

    name: str  # in the state_dict
    collection: str  # "params" or "batch_stats"
    path: tuple[str, ...]
    torch_shape: tuple[int, ...]
    split: tuple[int, ...]  # torch_shape with the flattened axis taken apart into channels and space
    order: tuple[int, ...]
    shape: tuple[int, ...]

    def to_flax(self, value: np.ndarray) -> np.ndarray:
        return value.reshape(self.split).transpose(self.order).reshape(self.shape)

    def to_torch(self, value: np.ndarray) -> np.ndarray:
        moved = value.reshape([self.split[axis] for axis in self.order]).transpose(np.argsort(self.order))
        return np.ascontiguousarray(moved.reshape(self.torch_shape))


def from_torch(
    network: nn.Module, state: State, input_shape: tuple[int, ...], dtype: Any = jnp.float32
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Take a PyTorch `state_dict` over into `network`.

    Args:
        network: one of `jaxd2l.nn.models`.
        state: NumPy arrays by PyTorch's names (`{k: v.numpy() for k, v in net.state_dict().items()}`);
            `num_batches_tracked` is ignored.
        input_shape: of one example, without the batch: (h, w, channels).
        dtype: of the result.

    Returns:
        `params` and `batch_stats` (empty for a network without batch normalisation).

    Raises:
        DataError: names are missing or left over, or shapes or kinds of numbers are wrong; all of them are listed.
        ValueError: no PyTorch names are known for the network.
    """
    weights = _weights(network, input_shape)
    expected = {weight.name: weight.torch_shape for weight in weights}
    given = {name: np.asarray(value) for name, value in state.items() if not name.endswith("num_batches_tracked")}
    wrong = [f"{name}: missing, expected shape {shape}" for name, shape in expected.items() if name not in given]
    wrong += [f"{name}: unexpected, shape {value.shape}" for name, value in given.items() if name not in expected]
    for name, shape in expected.items():
        if name in given and given[name].shape != shape:
            wrong.append(f"{name}: shape {given[name].shape}, expected {shape}")
        elif name in given and not jnp.issubdtype(given[name].dtype, jnp.floating):
            wrong.append(f"{name}: {given[name].dtype}, expected floating point")
    if wrong:
        raise DataError(
            f"these weights are not those of {type(network).__name__} for inputs {input_shape}: "
            + "; ".join(wrong)
            + ". Check the network, its sizes and the input shape."
        )
    trees: dict[str, dict[str, Any]] = {"params": {}, "batch_stats": {}}
    for weight in weights:
        *parents, leaf = weight.path
        branch = trees[weight.collection]
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[leaf] = jnp.asarray(weight.to_flax(given[weight.name]), dtype)
    return trees["params"], trees["batch_stats"]


def to_torch(network: nn.Module, params: Any, batch_stats: Any, input_shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """The inverse of `from_torch`: a `state_dict` of NumPy arrays, in the dtype of the parameters.

    Load it with `net.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})`. Gradients convert too.

    Args:
        network: one of `jaxd2l.nn.models`.
        params: its parameters.
        batch_stats: its running statistics; {} for a network without batch normalisation.
        input_shape: of one example, without the batch: (h, w, channels).

    Raises:
        DataError: the trees are not those of the network; all differences are listed.
        ValueError: no PyTorch names are known for the network.
    """
    weights = _weights(network, input_shape)
    found = {
        (collection, *(step.key for step in path)): np.asarray(leaf)
        for collection, tree in (("params", params), ("batch_stats", batch_stats))
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }
    expected = {(weight.collection, *weight.path): weight for weight in weights}
    wrong = [f"{'/'.join(path)}: missing" for path in expected if path not in found]
    wrong += [f"{'/'.join(path)}: unexpected" for path in found if path not in expected]
    wrong += [
        f"{'/'.join(path)}: shape {found[path].shape}, expected {weight.shape}"
        for path, weight in expected.items()
        if path in found and found[path].shape != weight.shape
    ]
    if wrong:
        raise DataError(f"not the parameters of {type(network).__name__} for {input_shape}: {'; '.join(wrong)}")
    state = {weight.name: weight.to_torch(found[path]) for path, weight in expected.items()}
    for name in [name for name in state if name.endswith("running_var")]:
        state[name.replace("running_var", "num_batches_tracked")] = np.asarray(0, np.int64)
    return state


def torch_shapes(network: nn.Module, input_shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the `state_dict` that `from_torch` expects, without `num_batches_tracked`."""
    return {weight.name: weight.torch_shape for weight in _weights(network, input_shape)}


def read_state_dict(path: Path) -> dict[str, np.ndarray]:
    """Read a `.safetensors` file; nothing in it can run.

    Raises:
        DataError: a pickle (what `torch.save` writes), or not a safetensors file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    content = Path(path).read_bytes()
    if content[:4] == b"PK\x03\x04" or content[:1] == b"\x80":
        raise DataError(
            f"{path} is a pickle, as torch.save writes it: loading one runs whatever code it holds, so it is refused. "
            "Where it was trained, write the same weights with safetensors.torch.save_file(net.state_dict(), path)."
        )
    try:
        return load(content)
    except (SafetensorError, KeyError, ValueError) as error:
        raise DataError(f"{path} is not a safetensors file: {error}") from error


def load_torch(path: Path, network: nn.Module, input_shape: tuple[int, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    """`from_torch` of a safetensors file, in float32: `params`, `batch_stats`.

    Raises:
        DataError: a pickle, a damaged file, or weights of another network; the file is named.
    """
    try:
        return from_torch(network, read_state_dict(path), input_shape)
    except DataError as error:
        message = str(error)
        raise DataError(message if str(path) in message else f"{path}: {message}") from error


def save_torch(
    path: Path, network: nn.Module, params: Any, batch_stats: Any, input_shape: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """Write `to_torch` as a safetensors file, for `net.load_state_dict(safetensors.torch.load_file(path))`."""
    from safetensors.numpy import save_file

    state = to_torch(network, params, batch_stats, input_shape)
    save_file(state, path)
    return state


def _weights(network: nn.Module, input_shape: tuple[int, ...]) -> list[_Weight]:
    """Every array of the network, in the order in which a forward pass meets its layer."""
    names = torch_names(network)
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
                weights.append(_Weight(f"{name}.{theirs}", collection, (*path, ours), vector, vector, (0,), vector))
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
        weights.append(_Weight(f"{name}.weight", "params", kernel, torch_shape, split, order, ours_shape))
        if layer.use_bias:
            vector = (layer.features,)
            weights.append(_Weight(f"{name}.bias", "params", (*path, "bias"), vector, vector, (0,), vector))
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
