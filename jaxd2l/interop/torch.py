"""Weights to and from PyTorch: a `state_dict` of the book's networks as `params` and `batch_stats`, and back.

What changes on the way: a convolution kernel is OIHW there and HWIO here, a dense kernel is transposed, and the first
dense layer after the images reads their pixels in C, H, W order there and H, W, C here. PyTorch itself is not needed.
"""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.data.error import DataError
from jaxd2l.interop.names import different_names, shortened, transposed, unwrapped
from jaxd2l.interop.safetensors_file import printable
from jaxd2l.interop.state_dict import read_state_dict
from jaxd2l.interop.torch_layout import Weight, weights_of
from jaxd2l.interop.torch_names import torchvision_names
from jaxd2l.interop.torch_order import in_order
from jaxd2l.machine.disk import write_named
from jaxd2l.nn.numbers import beyond, registered, unsound, widened
from jaxd2l.nn.parameters import differences, flat

__all__ = ["from_torch", "load_torch", "read_state_dict", "save_torch", "serialize_torch", "to_torch", "torch_shapes"]

type State = Mapping[str, np.ndarray]

_COUNTERS = ("num_batches_tracked", "n_averaged")  # of batch norm and of weight averaging; no prediction reads them


def from_torch(
    network: nn.Module,
    state: State,
    input_shape: tuple[int, ...],
    dtype: Any = jnp.float32,
    on_remark: Callable[[str], None] | None = None,
    by_order: bool = False,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Take a PyTorch `state_dict` over into `network`.

    Args:
        network: one of `jaxd2l.nn.models`.
        state: NumPy arrays of any floating point by PyTorch's names (`{k: v.numpy() for k, v in
            net.state_dict().items()}`); what a wrapper (`nn.DataParallel`, `torch.compile`, a network around it) put
            into all names is taken off, counters such as `num_batches_tracked` are ignored.
        input_shape: of one example, without the batch: (h, w, channels).
        dtype: of the result.
        on_remark: called with a line for each thing that was changed in taking them over: names, number format.
        by_order: the state is that of a flat `nn.Sequential`, whose arrays are the network's in the order of the
            layers, whatever their places are called.

    Returns:
        `params` and `batch_stats` (empty for a network without batch normalisation).

    Raises:
        DataError: names are missing or left over, or shapes or kinds of numbers are wrong, all of them listed; or
            numbers are NaN, infinite, beyond the range of `dtype` or negative as a variance: how many and where.
        ValueError: no PyTorch names are known for the network.
    """
    weights = weights_of(network, input_shape)
    arrays = {name: _array(name, a) for name, a in state.items() if name.rpartition(".")[2] not in _COUNTERS}
    if by_order:
        names = in_order({name: a.shape for name, a in arrays.items()}, weights)
    else:
        weights, names = _spelling(network, input_shape, weights, arrays)
    expected = {weight.name: weight.torch_shape for weight in weights}
    given = {names[name]: a for name, a in arrays.items()}
    remark = on_remark or (lambda line: None)
    if by_order:
        remark(
            f"names are taken over by the order of layers: {next(iter(names), 'none')} as {weights[0].name}, and so on"
        )
    elif wrapped := [f"{printable(name)} as {printable(inner)}" for name, inner in names.items() if name != inner]:
        remark(f"names are taken over without their wrappers: {wrapped[0]}, and so on")
    wrong = different_names(expected, {name: a.shape for name, a in given.items()})
    for name, shape in expected.items():
        if name in given and given[name].shape != shape:
            hint = transposed(given[name].shape, shape)
            wrong.append(f"{name}: shape {given[name].shape}, expected {shape}{hint}")
        elif name in given and not jnp.issubdtype(given[name].dtype, jnp.floating):
            wrong.append(f"{name}: {given[name].dtype}, expected floating point")
    if wrong and given and all(name.startswith(("params.", "batch_stats.")) for name in given):
        raise DataError(
            "these weights are those of a run folder, not a state_dict of PyTorch: `jaxd2l evaluate` takes the folder, "
            "`jaxd2l export-torch` writes them for PyTorch"
        )
    if wrong:
        raise DataError(
            f"these weights are not those of {type(network).__name__} for inputs {input_shape}: "
            + "; ".join(shortened(wrong))
            + ". Check the network, its sizes and the input shape."
        )
    converted = _converted({name: given[name] for name in expected}, dtype, remark)
    trees: dict[str, dict[str, Any]] = {"params": {}, "batch_stats": {}}
    for weight in weights:
        *parents, leaf = weight.path
        branch = trees[weight.collection]
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[leaf] = jnp.asarray(weight.to_flax(converted[weight.name]))
    return trees["params"], trees["batch_stats"]


def _spelling(
    network: nn.Module, input_shape: tuple[int, ...], weights: list[Weight], names: Collection[str]
) -> tuple[list[Weight], dict[str, str]]:
    """The arrays by the names of the book or torchvision, whichever more of the given ones are, and these unwrapped."""
    spellings = [weights]
    if others := torchvision_names(network):
        spellings.append(weights_of(network, input_shape, others))
    found = [(one, unwrapped(names, {weight.name for weight in one})) for one in spellings]
    return max(
        found, key=lambda pair: sum(weight.name in pair[1].values() for weight in pair[0])
    )  # the first of equals


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
    weights = weights_of(network, input_shape)
    trees = {"params": params, "batch_stats": batch_stats}
    found = {path: np.asarray(leaf) for path, leaf in flat(trees).items()}
    expected = {"/".join((weight.collection, *weight.path)): weight for weight in weights}
    shapes = {path: a.shape for path, a in found.items()}
    if wrong := differences(shapes, {path: weight.shape for path, weight in expected.items()}):
        raise DataError(f"not the parameters of {type(network).__name__} for {input_shape}: {'; '.join(wrong)}")
    state = {weight.name: weight.to_torch(found[path]) for path, weight in expected.items()}
    for name in [name for name in state if name.endswith("running_var")]:
        state[name.replace("running_var", "num_batches_tracked")] = np.asarray(0, np.int64)
    return state


def torch_shapes(network: nn.Module, input_shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the `state_dict` that `from_torch` expects, without `num_batches_tracked`."""
    return {weight.name: weight.torch_shape for weight in weights_of(network, input_shape)}


def load_torch(
    path: Path,
    network: nn.Module,
    input_shape: tuple[int, ...],
    on_remark: Callable[[str], None] | None = None,
    by_order: bool = False,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """`from_torch` of a safetensors file, in float32: `params`, `batch_stats`.

    Raises:
        DataError: a pickle, a damaged file, weights of another network or ones that nothing can be computed with;
            the file is named.
        OSError: it cannot be read.
    """
    try:
        return from_torch(network, read_state_dict(path), input_shape, on_remark=on_remark, by_order=by_order)
    except DataError as error:
        message = str(error)
        raise DataError(message if str(path) in message else f"{path}: {message}") from error


def save_torch(
    path: Path, network: nn.Module, params: Any, batch_stats: Any, input_shape: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """Write `to_torch` as a safetensors file, for `net.load_state_dict(safetensors.torch.load_file(path))`.

    Raises:
        DataError: see `to_torch`.
        OSError: it cannot be written.
    """
    from safetensors.numpy import save

    state = to_torch(network, params, batch_stats, input_shape)
    write_named(Path(path), save(state))
    return state


def serialize_torch(network: nn.Module, params: Any, batch_stats: Any, input_shape: tuple[int, ...]) -> bytes:
    """The bytes of the file that `save_torch` writes."""
    from safetensors.numpy import save

    return save(to_torch(network, params, batch_stats, input_shape))


def _array(name: str, value: Any) -> np.ndarray:
    if isinstance(value, Mapping):
        raise DataError(f"the state holds a mapping under {name!r}: give that one, with arrays by name")
    try:
        return np.asarray(value)
    except (TypeError, RuntimeError, ValueError) as error:  # a tensor with a gradient, on a GPU, or in bfloat16
        raise DataError(f"{name}: no NumPy array can be made of it; give value.detach().float().cpu()") from error


def _converted(arrays: State, dtype: Any, remark: Callable[[str], None]) -> dict[str, np.ndarray]:
    """The arrays in `dtype`, where every number is one that a network can compute with."""
    variances = [name for name in arrays if name.endswith("running_var")]
    if problem := unsound(arrays, variances):
        raise DataError(f"{problem}. Take weights from before the training diverged.")
    target = jax.dtypes.canonicalize_dtype(dtype)
    wide = {name: widened(a) for name, a in arrays.items()}
    if problem := beyond(wide, target):
        raise DataError(problem)
    if found := sorted({str(a.dtype) for a in arrays.values()} - {str(target)}):
        rounded = any(_mantissa(a.dtype) > _mantissa(target) for a in arrays.values())
        remark(f"numbers are {', '.join(found)} and become {target}" + (", rounded" if rounded else ", exactly"))
    return {name: a.astype(target) for name, a in wide.items()}


def _mantissa(dtype: Any) -> int:
    return int((jnp.finfo if registered(dtype) else np.finfo)(dtype).nmant)
