"""The folder of one run: what was asked, where it ran, what each epoch came to, and the weights.

    config.json          complete: enough to run it again
    environment.json     versions, device, commit, digests of the data
    metrics.jsonl        a line an epoch, written as it happens
    weights.safetensors  parameters and batch statistics after the last finished epoch
    checkpoints/         what it takes to go on from inside an epoch, by number of updates
    damaged/             checkpoints that did not agree with their digests
    .lock                held by the process that writes here

Nothing in it is executed when it is read: JSON and safetensors only, never a pickle.
"""

import datetime
import errno
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax

from jaxd2l import weights_file
from jaxd2l.data import DataError, Dataset
from jaxd2l.folder_lock import LOCK, FolderInUseError, holder
from jaxd2l.train import EpochResult

PyTree = Any

CONFIG, ENVIRONMENT, METRICS, WEIGHTS = "config.json", "environment.json", "metrics.jsonl", "weights.safetensors"
CHECKPOINTS, DAMAGED = "checkpoints", "damaged"
_FILES = (CONFIG, ENVIRONMENT, METRICS, WEIGHTS)
_ENTRIES = (*_FILES, CHECKPOINTS, DAMAGED, LOCK)
_TEMPORARY = re.compile(rf"\.({'|'.join(map(re.escape, _FILES))})\.[0-9]+\Z")
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
        OSError: a file stands in the way, or another process writes a run there.
    """
    if path.is_symlink() and not path.exists():
        raise ValueError(f"{path} is a link that leads nowhere; name a new folder")
    if not path.exists():
        if not _NAME.match(path.name):
            raise ValueError(f"run folder name {path.name!r}: use up to 64 letters, digits, '.', '_' and '-'")
        return
    if not path.is_dir():
        raise NotADirectoryError(f"{path} is a file; name a folder for the run")
    if (process := holder(path)) is not None and process != os.getpid():
        raise FolderInUseError(f"{path} is in use by another run (process {process}); wait or name another folder")
    found = sorted(p.name for p in path.iterdir())
    foreign = [name for name in found if name not in _ENTRIES and not _TEMPORARY.match(name)]
    if foreign:
        raise ValueError(f"{path} holds {foreign[0]!r}, which is no file of a run; name a new folder")
    if overwrite or not set(found) & {*_FILES, CHECKPOINTS, DAMAGED}:
        return
    done, epochs = finished_epochs(path)
    if epochs is not None and done < epochs:
        raise ValueError(
            f"{path} already holds an unfinished run ({done} of {epochs} epochs); go on with --resume, "
            "or give --overwrite to start again"
        )
    raise ValueError(f"{path} already holds a run; name another folder or give --overwrite")


def create(path: Path, overwrite: bool = False) -> Path:
    """Make the folder; with `overwrite`, take the run it holds away.

    Raises:
        ValueError: see `check_free`.
        OSError: it cannot be made or written.
    """
    check_free(path, overwrite)
    path.mkdir(parents=True, exist_ok=True)
    remove_partial_files(path)
    for name in (CHECKPOINTS, DAMAGED):
        if (path / name).is_dir():
            shutil.rmtree(path / name)
    for name in _FILES:
        (path / name).unlink(missing_ok=True)
    write_atomically(path / METRICS, b"")  # shows at once whether the folder can be written
    return path


def begun(path: Path) -> bool:
    """Whether the folder holds a run that got as far as its configuration, or what is left of one."""
    if not path.is_dir():
        return False
    traces = (CONFIG, WEIGHTS, CHECKPOINTS, DAMAGED)
    return any((path / name).exists() for name in traces) or bool(whole_rows(path))


def finished_epochs(path: Path) -> tuple[int, int | None]:
    """How many epochs the folder's run has finished and how many it was asked for, None where that is unreadable."""
    try:
        epochs = read_config(path).get("epochs")
        rows = whole_rows(path)
    except (DataError, OSError):
        return 0, None
    return len(rows), epochs if isinstance(epochs, int) else None


def remove_partial_files(path: Path) -> None:
    """Take away what a killed process left half written; only the holder of the lock may."""
    for entry in path.iterdir():
        if _TEMPORARY.match(entry.name):
            entry.unlink(missing_ok=True)


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


def _line(row: Mapping[str, Any]) -> bytes:
    return (json.dumps(row, allow_nan=False) + "\n").encode()


def append_metrics(path: Path, result: EpochResult) -> None:
    """Add one epoch's line to `metrics.jsonl`, the whole line or nothing, so that a reader sees it at once.

    Raises:
        OSError: it cannot be written; the lines before it stay.
    """
    with open(path / METRICS, "ab", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        line = _line(result._asdict())
        try:
            if file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path / METRICS))
        except OSError:
            file.truncate(end)
            raise


def write_metrics(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Replace `metrics.jsonl` by these epochs, the whole file or nothing."""
    write_atomically(path / METRICS, b"".join(_line(row) for row in rows))


def whole_rows(path: Path) -> list[dict[str, Any]]:
    """The epochs 1, 2, ... of `metrics.jsonl` up to the first line that is not the next one.

    After a crash the last line may be torn; what was finished before it counts.
    """
    rows: list[dict[str, Any]] = []
    try:
        lines = (path / METRICS).read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return rows
    for line in lines:
        try:
            row = json.loads(line)
            EpochResult(**row)
        except (ValueError, TypeError, RecursionError):
            break
        if row["epoch"] != len(rows) + 1:
            break
        rows.append(row)
    return rows


def ends_whole(path: Path) -> bool:
    """Whether `metrics.jsonl` is there and ends with a whole line."""
    try:
        return (path / METRICS).read_bytes()[-1:] in (b"", b"\n")
    except FileNotFoundError:
        return False


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


def write_weights(path: Path, params: PyTree, batch_stats: PyTree, epoch: int | None = None) -> None:
    """Write `weights.safetensors`, the whole file or nothing; `epoch` is the finished one they come from."""
    write_atomically(path / WEIGHTS, weights_file.serialize(params, batch_stats, epoch))


def read_weights(path: Path, params: PyTree, batch_stats: PyTree) -> tuple[PyTree, PyTree]:
    """Read the weights of a run folder into trees like the given ones (arrays or shapes).

    Returns:
        `(params, batch_stats)` of NumPy arrays.

    Raises:
        DataError: the file is damaged, or names, shapes or dtypes differ; all of them are listed.
        OSError: it cannot be read.
    """
    file = path / WEIGHTS
    tensors, _ = weights_file.parse(file.read_bytes(), str(file))
    return weights_file.fit_to(tensors, params, batch_stats, str(file))


def weights_epoch(path: Path) -> int | None:
    """After which epoch the folder's weights were taken; None where there are none or they are damaged."""
    try:
        return weights_file.parse((path / WEIGHTS).read_bytes(), WEIGHTS)[1]
    except (FileNotFoundError, DataError):
        return None


def count_parameters(path: Path) -> int:
    """How many numbers the network of the folder's weights learned.

    Raises:
        DataError: the file is damaged.
        OSError: it cannot be read.
    """
    tensors, _ = weights_file.parse((path / WEIGHTS).read_bytes(), str(path / WEIGHTS))
    return sum(a.size for name, a in tensors.items() if name.startswith("params."))


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
