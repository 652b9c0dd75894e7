"""The run folder that a thawed run leaves: what `jaxd2l train` writes, so that the other commands open it.

While it goes the folder also holds `thaw.safetensors`, from which `--resume` goes on.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxd2l.frozen.container import Frozen
from jaxd2l.frozen.replay import AVERAGE, Arrays, Standing, Thawed, best_epoch, weights_of
from jaxd2l.interop.digested import pack, parse_with_facts
from jaxd2l.machine.conditions import environment
from jaxd2l.machine.disk import patiently, write_atomically, write_json
from jaxd2l.wording import counted

STANDING = "thaw.safetensors"
_EVERY_SECONDS = 5.0  # between two keepings of the state: shorter work is done again faster than kept
_STATE, _RECORD, _BEST = "state.", "record.", "best."


class Folder:
    """Writes a thawed run while it goes; give `epoch` as `on_epoch` and `piece` as `on_piece` of `thaw`."""

    def __init__(self, path: Path, frozen: Frozen, stop: Callable[[], type[BaseException] | None]) -> None:
        """Nothing is written yet; `stop` is asked after each piece, and ends the run by the exception it gives."""
        self.path, self._frozen, self._stop = path, frozen, stop
        self._names: dict[str, str] = frozen.facts["names"]
        self._rows: list[dict[str, Any]] = []
        self._best: dict[str, np.ndarray] = {}  # the weights of the best epoch so far
        self._kept_at = time.monotonic()

    def begin(self) -> None:
        """Make the folder with what is known before anything is trained.

        Raises:
            OSError: it cannot be made or written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        facts = self._frozen.facts
        here = environment(facts["data"]["name"], facts["environment"].get("sha256", {}))
        thawed = {"file": str(self._frozen.path), "sha256": self._frozen.sha256}
        write_json(self.path / self._names["environment"], {**here, "thawed_from": thawed})  # whose folder it is
        write_json(self.path / self._names["config"], facts["config"])
        write_atomically(self.path / self._names["metrics"], b"")

    def restore(self) -> tuple[Standing, dict[str, np.ndarray] | None] | None:
        """Where an unfinished thawing stood, with the weights of its best epoch; None where it has to begin again.

        Raises:
            ValueError: the folder holds the thawing of another file, or a finished one.
            DataError: what it holds is damaged.
            OSError: it cannot be read.
        """
        if not any(self.path.iterdir()):
            return None
        if not _holds(self.path, self._frozen):
            raise ValueError(f"{self.path} does not hold the thawing of {self._frozen.path}; name another folder")
        if _is_finished(self.path, self._frozen):
            raise ValueError(f"{self.path} is finished; name another folder to thaw it again")
        if not (self.path / STANDING).exists():
            return None
        arrays, facts = parse_with_facts((self.path / STANDING).read_bytes(), str(self.path / STANDING))
        epoch, step, rows = int(facts["epoch"]), int(facts["step"]), tuple(facts["rows"])
        part = lambda prefix: {  # noqa: E731
            name.removeprefix(prefix): jnp.asarray(a) for name, a in arrays.items() if name.startswith(prefix)
        }
        self._rows = list(rows)
        self._write_rows()
        self._best = {name: np.asarray(a) for name, a in part(_BEST).items()}
        if rows:  # the file may be of a later epoch, which is trained again
            write_atomically(self.path / self._names["best"], pack(self._best, best_epoch(rows)))
        standing = Standing(part(_STATE), part(_RECORD), epoch, step, float(facts["seconds"]), rows)
        return standing, self._best if rows else None

    def epoch(self, row: dict[str, Any], state: Arrays) -> None:
        """Write the weights and the line of a finished epoch.

        Raises:
            OSError: the folder cannot be written.
        """
        weights = {"last": weights_of(state)}
        if any(name.startswith(AVERAGE) for name in state):
            weights["ema"] = weights_of(state, average=True)
        self._rows.append(row)
        if best_epoch(tuple(self._rows)) == row["epoch"]:
            self._best = weights["best"] = weights.get("ema", weights["last"])
        for which, named in weights.items():
            write_atomically(self.path / self._names[which], pack(named, row["epoch"]))
        self._write_rows()

    def piece(self, now: Standing) -> None:
        """Keep the state where it is time to; stop where a signal asked for it.

        Raises:
            BaseException: what `stop` answered with; the state is kept.
            OSError: it could not be kept.
        """
        ending = self._stop()
        if ending is None and time.monotonic() - self._kept_at < _EVERY_SECONDS:
            return
        arrays = {f"{_STATE}{name}": np.asarray(a) for name, a in now.state.items()}
        arrays |= {f"{_RECORD}{name}": np.asarray(a) for name, a in now.record.items()}
        arrays |= {f"{_BEST}{name}": a for name, a in self._best.items()}
        facts = {"step": now.step, "seconds": now.seconds, "rows": list(now.rows)}
        write_atomically(self.path / STANDING, pack(arrays, now.epoch, facts))
        self._kept_at = time.monotonic()
        if ending is not None:
            epochs = counted(self._frozen.facts["epochs"], "epoch")
            raise ending(
                f"stopped at epoch {now.epoch}, step {now.step}; {len(now.rows)} of {epochs} are kept in {self.path}; "
                "run the same command with --resume to go on"
            )

    def close(self, done: Thawed) -> None:
        """Write what the test part said, and take away what only `restore` reads.

        Raises:
            OSError: the folder cannot be written.
        """
        if done.tested:
            write_json(self.path / self._names["test"], done.tested)
        patiently((self.path / STANDING).unlink, missing_ok=True)

    def _write_rows(self) -> None:
        lines = "".join(json.dumps(row, allow_nan=False) + "\n" for row in self._rows)
        write_atomically(self.path / self._names["metrics"], lines.encode())


def default_folder(file: Path) -> Path:
    """Where a frozen run is thawed to unless another place is named: beside it, `lenet-thawed` for `lenet.frozen`."""
    return file.with_name(f"{file.stem}-thawed")


def _holds(path: Path, frozen: Frozen) -> bool:
    """Whether a folder is that of a thawing of this file."""
    try:
        found = json.loads((path / frozen.facts["names"]["environment"]).read_bytes())
        return bool(found["thawed_from"]["sha256"] == frozen.sha256)
    except (FileNotFoundError, ValueError, LookupError, TypeError, RecursionError):
        return False


def _is_finished(path: Path, frozen: Frozen) -> bool:
    """Whether nothing is left to do in the folder of a thawing: every epoch, and what the test part said."""
    names, facts = frozen.facts["names"], frozen.facts
    if (path / STANDING).exists():
        return False
    try:
        epochs = (path / names["metrics"]).read_bytes().count(b"\n")
    except FileNotFoundError:
        return False
    return epochs == facts["epochs"] and (not facts.get("tested") or (path / names["test"]).exists())


def require_free(path: Path, frozen: Frozen) -> None:
    """Refuse a folder that holds something, be it an unfinished thawing of this file.

    Raises:
        ValueError: it does.
        NotADirectoryError: it is a file.
    """
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"{path} is a file; name a folder for the run")
    if path.is_dir() and any(path.iterdir()):
        resumes = _holds(path, frozen) and not _is_finished(path, frozen)
        hint = "; go on with --resume, or name another" if resumes else "; name another"
        raise ValueError(f"{path} holds something already{hint} folder for the run")
