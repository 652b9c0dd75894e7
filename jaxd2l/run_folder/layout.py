"""A run folder as a whole: whether a run may be written there, and how far the one it holds has come."""

import datetime
import json
import os
import shutil
import time
import unicodedata
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from jaxd2l.data import DataError
from jaxd2l.machine.disk import patiently, write_atomically
from jaxd2l.run_folder.best import ended_early
from jaxd2l.run_folder.files import (
    BEST,
    CHECKPOINTS,
    CONFIG,
    DAMAGED,
    FILES,
    METRICS,
    REPORT_FILES,
    WEIGHTS,
    is_partial,
    remove_partial_files,
)
from jaxd2l.run_folder.lock import LOCK, FolderInUseError, holder
from jaxd2l.run_folder.metrics import whole_rows
from jaxd2l.run_folder.portable_names import folder_named, require_writable_name
from jaxd2l.train.mesh import meet, of_each, spans_processes
from jaxd2l.wording import counted

_APPEARS_SECONDS = 10.0  # what one machine writes may take seconds to be seen by another
_ENTRIES = (*FILES, *REPORT_FILES, CHECKPOINTS, DAMAGED, LOCK)


def default_path(recipe: str, seed: int) -> Path:
    """`runs/<recipe>/<UTC time>-seed<k>`, below the current folder.

    Raises:
        ValueError: see `folder_named`.
    """
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S-%f")[:-3]
    return Path("runs") / folder_named(recipe) / f"{now}-seed{seed}"


def check_free(path: Path, overwrite: bool) -> None:
    """Refuse a folder that holds something, before any work is done for it.

    Raises:
        ValueError: it holds a run and `overwrite` is false, or other files than a run's; or its name cannot be written.
        OSError: a file stands in the way, or another process writes a run there.
    """
    if any(unicodedata.category(letter) in ("Cc", "Zl", "Zp") for letter in str(path)):
        raise ValueError(f"run folder {str(path)!r}: the name holds a line break or a control character")
    if any("\ud800" <= letter <= "\udfff" for letter in str(path.absolute())):  # checkpoints cannot be written there
        raise ValueError(
            f"run folder {str(path)!r}: the name is not UTF-8, or is not read so here (LC_ALL=C.UTF-8 helps)"
        )
    require_writable_name(path)
    if path.is_symlink() and not path.exists():
        raise ValueError(f"{path} is a link that leads nowhere; name a new folder")
    if not path.exists():
        return
    if not path.is_dir():
        raise NotADirectoryError(f"{path} is a file; name a folder for the run")
    if (process := holder(path)) is not None and process != os.getpid():
        raise FolderInUseError(
            f"{path} is in use by another run (process {process or 'unknown'}); wait or name another folder"
        )
    found = sorted(p.name for p in path.iterdir())
    foreign = [name for name in found if name not in _ENTRIES and not is_partial(name)]
    if foreign:
        raise ValueError(f"{path} holds {foreign[0]!r}, which is no file of a run; name a new folder")
    if overwrite or not set(found) & {*FILES, CHECKPOINTS, DAMAGED}:
        return
    done, epochs = finished_epochs(path)
    if epochs is not None and done < epochs:
        raise ValueError(
            f"{path} already holds an unfinished run ({done} of {counted(epochs, 'epoch')}); go on with --resume, "
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
            patiently(shutil.rmtree, path / name)
    for name in (*FILES, *REPORT_FILES):
        patiently((path / name).unlink, missing_ok=True)
    write_atomically(path / METRICS, b"")  # shows at once whether the folder can be written
    return path


def require_shared(path: Path, mesh: Mesh | None) -> None:
    """Refuse a folder that only some of the processes of a mesh see; wait for it, as network file systems take time.

    Raises:
        OSError: in every process, naming the one that does not.
    """
    if not spans_processes(mesh):
        return
    meet(mesh, "the run's folder is made")
    until = time.monotonic() + _APPEARS_SECONDS
    while not (path / CONFIG).is_file() and time.monotonic() < until:
        time.sleep(0.1)
    blind = [i for i, sees in enumerate(of_each((path / CONFIG).is_file(), mesh)) if not sees]
    if blind:
        raise OSError(
            f"process {blind[0]} does not see {path / CONFIG}, which process 0 wrote; name a folder on a file system "
            "that all processes share"
        )


def begun(path: Path) -> bool:
    """Whether the folder holds a run that got as far as its configuration, or what is left of one."""
    if not path.is_dir():
        return False
    traces = (CONFIG, WEIGHTS, BEST, CHECKPOINTS, DAMAGED)
    return any((path / name).exists() for name in traces) or bool(whole_rows(path))


def finished_epochs(path: Path) -> tuple[int, int | None]:
    """How many epochs the folder's run has finished and how many it takes, None where that is unreadable.

    It takes those that were asked for, or where it stopped early those that it has.
    """
    try:
        config = read_config(path)
        rows = whole_rows(path)
        if ended_early(rows, config.get("early_stop")):
            return len(rows), len(rows)
    except (DataError, OSError):
        return 0, None
    epochs = config.get("epochs")
    return len(rows), epochs if isinstance(epochs, int) else None


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
