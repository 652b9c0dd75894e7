"""Where the weights come from that a run begins with: a run's folder, a safetensors file, or arrays from Python."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxd2l.data import DataError
from jaxd2l.interop.digested import digest, parse
from jaxd2l.interop.state_dict import read_state_dict
from jaxd2l.run_folder.best import choose_weights
from jaxd2l.run_folder.layout import read_config
from jaxd2l.run_folder.weights import by_name, unsound

PyTree = Any
From = Path | str | tuple[PyTree, PyTree]
INIT_FROM = "init_from"  # the entry of config.json


class Source(NamedTuple):
    """Weights, and what is kept of where they come from.

    Attributes:
        path: of the folder or file, absolute; None for arrays from Python.
        weights: which of a folder's: "last", "best" or "ema"; None for others.
        sha256: over their names, types, shapes and bytes.
        tensors: by name, such as `params.Conv_0.kernel`.
    """

    path: str | None
    weights: str | None
    sha256: str
    tensors: Mapping[str, np.ndarray]

    @property
    def shown(self) -> str:
        """What a message calls it."""
        return self.path or "the weights given"

    def record(self) -> dict[str, Any]:
        """What `config.json` keeps."""
        return {"path": self.path, "weights": self.weights, "sha256": self.sha256}


def read_source(init_from: From, weights: str | None = None) -> Source:
    """Read the weights to begin with.

    Args:
        init_from: a run's folder, a `.safetensors` file of one, or `(params, batch_stats)`.
        weights: which of a folder's: "last" (where None), "best" or "ema".

    Raises:
        DataError: they are damaged, of PyTorch or of another kind, or hold numbers that are not finite.
        ValueError: `weights` without a folder, or ones that the folder does not have.
        OSError: they cannot be read.
    """
    if isinstance(init_from, tuple):
        tensors = by_name(*init_from)
        return _sound(Source(None, None, digest(tensors), tensors))
    path = Path(init_from).expanduser().absolute()
    if path.is_dir():
        read_config(path)
        which = weights or "last"
        tensors = choose_weights(path, which).tensors
        return _sound(Source(str(path), which, digest(tensors), tensors))
    if weights is not None and path.exists():
        raise ValueError(f"{init_from} is no run's folder, of whose weights --weights {weights} chooses; leave it out")
    names = read_state_dict(path)  # says what else the file may be
    if not any(name.startswith("params.") for name in names):
        raise DataError(
            f"{init_from} holds no weights of jaxd2l, whose names begin with params.; a state_dict of PyTorch becomes "
            "a run folder by `jaxd2l import-torch`"
        )
    tensors, _ = parse(path.read_bytes(), str(path))
    return _sound(Source(str(path), None, digest(tensors), tensors))


def _sound(source: Source) -> Source:
    if problem := unsound(source.tensors):
        raise DataError(f"{source.shown}: {problem}; take other weights to begin with")
    return source


def kept_source(record: Mapping[str, Any], folder: Path) -> Source:
    """The weights that a run began with, read again.

    Args:
        record: of its configuration.
        folder: of the run, for the message.

    Raises:
        DataError: they are gone or others by now, or were given from Python.
    """
    again = f"{folder} has no checkpoint yet, so it begins again, with the weights it began with, but"
    if record.get("path") is None:
        raise DataError(f"{again} these were given from Python; give them: init_from=(params, batch_stats)")
    try:
        source = read_source(record["path"], record["weights"])
    except FileNotFoundError as error:
        raise DataError(f"{again} {record['path']} is gone; put it back, or --overwrite the run") from error
    except DataError as error:
        if not Path(record["path"]).exists():
            raise DataError(f"{again} {record['path']} is gone; put it back, or --overwrite the run") from error
        raise
    if source.sha256 != record["sha256"]:
        raise DataError(f"{again} {record['path']} holds others by now; put them back, or --overwrite the run")
    return source


def refuse_other_source(folder: Path, record: Mapping[str, Any] | None, init_from: From, weights: str | None) -> None:
    """Refuse to go on with a run that began with other weights; the same path is taken at its word.

    Raises:
        ValueError: it began with drawn weights, or with others.
        DataError, OSError: see `read_source`.
    """
    if record is None:
        raise ValueError(f"{folder} holds a run that began with weights drawn from its seed; leave --init-from out")
    if not isinstance(init_from, tuple):
        path = Path(init_from).expanduser().absolute()
        if str(path) == record.get("path") and (weights or record.get("weights")) == record.get("weights"):
            return
    if read_source(init_from, weights).sha256 != record.get("sha256"):
        shown = "those given" if isinstance(init_from, tuple) else init_from
        raise ValueError(
            f"{folder} holds a run that began with {record.get('path') or 'weights given from Python'} "
            f"({record.get('weights') or 'a file'}), not with {shown}; leave --init-from out"
        )
