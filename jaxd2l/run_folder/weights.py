"""`weights.safetensors`: parameters and batch statistics by name, with the digest that safetensors lacks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxd2l.data import DataError
from jaxd2l.interop import safetensors_file
from jaxd2l.interop.digested import pack, parse
from jaxd2l.machine.disk import write_atomically
from jaxd2l.nn import numbers
from jaxd2l.nn.parameters import arranged, described, differences, flat
from jaxd2l.run_folder.files import WEIGHTS

PyTree = Any

_DOT = "."  # between the names of a path in a file


def write_weights(path: Path, params: PyTree, batch_stats: PyTree, epoch: int | None = None) -> None:
    """Write `weights.safetensors`, the whole file or nothing; `epoch` is the finished one they come from."""
    write_atomically(path / WEIGHTS, serialize(params, batch_stats, epoch))


def read_weights(path: Path, params: PyTree, batch_stats: PyTree) -> tuple[PyTree, PyTree]:
    """Read the weights of a run folder into trees like the given ones (arrays or shapes).

    Returns:
        `(params, batch_stats)` of NumPy arrays.

    Raises:
        DataError: the file is damaged, or names, shapes or dtypes differ; all of them are listed.
        OSError: it cannot be read.
    """
    file = path / WEIGHTS
    tensors, _ = parse(file.read_bytes(), str(file))
    return fit_to(tensors, params, batch_stats, str(file))


def weights_epoch(path: Path, file: str = WEIGHTS) -> int | None:
    """After which epoch the folder's weights were taken; None where there are none or they are damaged."""
    try:
        return parse((path / file).read_bytes(), file)[1]
    except (FileNotFoundError, DataError):
        return None


def count_parameters(path: Path) -> int:
    """How many numbers the network of the folder's weights learned.

    Raises:
        DataError: the file is damaged.
        OSError: it cannot be read.
    """
    tensors, _ = parse((path / WEIGHTS).read_bytes(), str(path / WEIGHTS))
    return sum(a.size for name, a in tensors.items() if name.startswith("params."))


def by_name(params: PyTree, batch_stats: PyTree) -> dict[str, np.ndarray]:
    """Both collections as one flat mapping on the host: `params.Conv_0.kernel` and so on."""
    return {name: np.asarray(leaf) for name, leaf in flat(_both(params, batch_stats), _DOT).items()}


def _both(params: PyTree, batch_stats: PyTree) -> PyTree:
    return {"params": params, "batch_stats": batch_stats}


def serialize(params: PyTree, batch_stats: PyTree, epoch: int | None = None) -> bytes:
    """The file's bytes; `epoch` is the one after which the weights were taken, 0 for initial ones."""
    return pack(by_name(params, batch_stats), epoch)


def fit_to(tensors: Mapping[str, np.ndarray], params: PyTree, batch_stats: PyTree, name: str) -> tuple[PyTree, PyTree]:
    """Arrange tensors as trees like the given ones.

    Args:
        tensors: by name, as `by_name` gives them.
        params: arrays or shapes that the network expects.
        batch_stats: likewise.
        name: stands in the message.

    Returns:
        `(params, batch_stats)` of NumPy arrays.

    Raises:
        DataError: names, shapes or dtypes differ; all of them are listed.
    """
    like = _both(params, batch_stats)
    if wrong := differences(described(tensors), described(flat(like, _DOT)), safetensors_file.printable):
        raise DataError(f"{name}: does not fit the network: {'; '.join(wrong)}")
    trees = arranged(tensors, like, _DOT)
    return trees["params"], trees["batch_stats"]


def unsound(tensors: Mapping[str, np.ndarray]) -> str | None:
    """How many numbers are NaN, infinite or negative variances, and where; None where none is."""
    variances = [name for name in tensors if name.startswith("batch_stats.") and name.endswith(".var")]
    return numbers.unsound(tensors, variances)
