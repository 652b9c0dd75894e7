"""The folder of one run: what was asked, where it ran, what each epoch came to, and the weights.

    config.json          complete: enough to run it again
    environment.json     versions, device, commit, digests of the data
    metrics.jsonl        a line an epoch, written as it happens
    weights.safetensors  parameters and batch statistics after the last finished epoch

Nothing in it is executed when it is read: JSON and safetensors only, never a pickle.
"""

import datetime
import importlib.metadata
import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxd2l.data import DataError, Dataset
from jaxd2l.train import EpochResult

PyTree = Any

CONFIG, ENVIRONMENT, METRICS, WEIGHTS = "config.json", "environment.json", "metrics.jsonl", "weights.safetensors"
_FILES = (CONFIG, ENVIRONMENT, METRICS, WEIGHTS)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")


def default_path(recipe: str, seed: int) -> Path:
    """`runs/<recipe>/<UTC time>-seed<k>`, below the current folder."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S-%f")[:-3]
    return Path("runs") / recipe / f"{now}-seed{seed}"


def check_free(path: Path, overwrite: bool) -> None:
    """Refuse a folder that holds something, before any work is done for it.

    Raises:
        ValueError: it holds a run and `overwrite` is false, or other files than a run's.
        OSError: a file stands in the way.
    """
    if path.is_symlink() and not path.exists():
        raise ValueError(f"{path} is a link that leads nowhere; name a new folder")
    if not path.exists():
        if not _NAME.match(path.name):
            raise ValueError(f"run folder name {path.name!r}: use up to 64 letters, digits, '.', '_' and '-'")
        return
    if not path.is_dir():
        raise NotADirectoryError(f"{path} is a file; name a folder for the run")
    found = sorted(p.name for p in path.iterdir())
    foreign = [name for name in found if name not in _FILES]
    if foreign:
        raise ValueError(f"{path} holds {foreign[0]!r}, which is no file of a run; name a new folder")
    if found and not overwrite:
        raise ValueError(f"{path} already holds a run; name another folder or give --overwrite")


def create(path: Path, overwrite: bool = False) -> Path:
    """Make the folder; with `overwrite`, take the files of the run it holds away.

    Raises:
        ValueError: see `check_free`.
        OSError: it cannot be made or written.
    """
    check_free(path, overwrite)
    path.mkdir(parents=True, exist_ok=True)
    for name in _FILES:
        (path / name).unlink(missing_ok=True)
    write_atomically(path / METRICS, b"")  # shows at once whether the folder can be written
    return path


def write_atomically(path: Path, data: bytes) -> None:
    """Write a whole file or nothing: a reader never sees half of it, also after a crash.

    Raises:
        OSError: it cannot be written; what was there before stays.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """`write_atomically` as indented JSON; NaN and infinity are refused, since JSON has none."""
    write_atomically(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def append_metrics(path: Path, result: EpochResult) -> None:
    """Add one epoch's line to `metrics.jsonl`, flushed so that a reader sees it at once."""
    with open(path / METRICS, "a", encoding="utf-8") as file:
        file.write(json.dumps(result._asdict(), allow_nan=False) + "\n")


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The epochs of a run, oldest first.

    Raises:
        DataError: a line is no JSON object.
        OSError: the file cannot be read.
    """
    rows = []
    for number, line in enumerate((path / METRICS).read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path / METRICS}, line {number}: not JSON ({error})") from error
        if not isinstance(row, dict):
            raise DataError(f"{path / METRICS}, line {number}: expected an object, got {type(row).__name__}")
        rows.append(row)
    return rows


def read_config(path: Path) -> dict[str, Any]:
    """What the run was asked to do.

    Raises:
        DataError: the folder is no run folder, or its configuration is damaged.
        OSError: it cannot be read.
    """
    if not path.exists():
        raise DataError(f"{path}: no such run folder; `jaxd2l train` prints the folder it writes")
    if not (path / CONFIG).is_file():
        raise DataError(f"{path} is no run folder: it has no {CONFIG}")
    try:
        config = json.loads((path / CONFIG).read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path / CONFIG}: not JSON ({error})") from error
    if not isinstance(config, dict):
        raise DataError(f"{path / CONFIG}: expected an object, got {type(config).__name__}")
    return config


def flatten(params: PyTree, batch_stats: PyTree) -> dict[str, np.ndarray]:
    """Both collections as one flat mapping on the host: `params.Conv_0.kernel` and so on."""
    leaves = jax.tree_util.tree_leaves_with_path({"params": params, "batch_stats": batch_stats})
    return {".".join(key.key for key in keys): np.asarray(leaf) for keys, leaf in leaves}


def write_weights(path: Path, params: PyTree, batch_stats: PyTree) -> None:
    """Write `weights.safetensors`, the whole file or nothing."""
    from safetensors.numpy import save

    write_atomically(path / WEIGHTS, save(flatten(params, batch_stats)))


def read_weights(path: Path, params: PyTree, batch_stats: PyTree) -> tuple[PyTree, PyTree]:
    """Read the weights into trees like the given ones.

    Args:
        path: a run folder.
        params: arrays or shapes that the network expects.
        batch_stats: likewise.

    Returns:
        `(params, batch_stats)` of NumPy arrays.

    Raises:
        DataError: the file is damaged, or names, shapes or dtypes differ; all of them are listed.
        OSError: it cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    file = path / WEIGHTS
    try:
        found = load(file.read_bytes())
    except (SafetensorError, ValueError, KeyError) as error:
        raise DataError(f"{file}: no safetensors file ({error})") from error
    expected = {"params": params, "batch_stats": batch_stats}
    leaves, structure = jax.tree_util.tree_flatten_with_path(expected)
    names = [".".join(key.key for key in keys) for keys, _ in leaves]
    problems = [f"{name} is missing" for name in names if name not in found]
    problems += [f"{name} is not expected" for name in found if name not in names]
    for name, (_, leaf) in zip(names, leaves, strict=True):
        if name in found and (found[name].shape, found[name].dtype) != (leaf.shape, leaf.dtype):
            got = found[name]
            problems.append(f"{name} is {got.dtype} {got.shape}, expected {leaf.dtype} {leaf.shape}")
    if problems:
        raise DataError(f"{file}: does not fit the network: {'; '.join(problems)}")
    trees = jax.tree_util.tree_unflatten(structure, [found[name] for name in names])
    return trees["params"], trees["batch_stats"]


def device_name() -> str:
    """The default device in words, such as `cpu (2 cores)` or `gpu (NVIDIA H100 80GB HBM3)`."""
    device = jax.devices()[0]
    if device.platform == "cpu":
        return f"cpu ({len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores)"
    return f"{device.platform} ({device.device_kind})"


def environment(data: Dataset) -> dict[str, Any]:
    """Versions, device, commit and data of this process: what a number needs to be compared."""
    return {
        "jaxd2l": importlib.metadata.version("jaxd2l"),
        "commit": _commit(),
        "python": platform.python_version(),
        **_versions(_PACKAGES),
        "platform": platform.platform(),
        "device": device_name(),
        "devices": jax.device_count(),
        "dataset": data.name,
        "sha256": dict(data.sha256),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _versions(packages: Iterable[str]) -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in packages}


def _commit() -> str | None:
    """The checkout's commit, with `-dirty` where files differ from it; None for an installed wheel."""
    here = Path(__file__).resolve().parent.parent
    if not (here / ".git").exists():
        return None
    try:
        described = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None
