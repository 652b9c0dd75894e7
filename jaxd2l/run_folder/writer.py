"""Writes a run into its folder while it goes, and finds where it stood when it is started again.

Two promises hold whatever kills the process: the files of weights and `metrics.jsonl` never go back (an epoch that is
computed a second time, because the checkpoint is older, is compared and not written again), and a checkpoint is saved
from a finite state or not at all.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from jax.sharding import Mesh

from jaxd2l.machine.disk import patiently, write_atomically
from jaxd2l.run_folder.best import best_of, files_of_weights, put_best_in_order
from jaxd2l.run_folder.checkpoint import Checkpoints, pack, unpack
from jaxd2l.run_folder.files import BEST, CHECKPOINTS, DAMAGED, EMA, WEIGHTS, remove_partial_files
from jaxd2l.run_folder.metrics import append_metrics, ends_whole, whole_rows, write_metrics
from jaxd2l.run_folder.settings import refuse_other_settings
from jaxd2l.run_folder.weights import serialize, weights_epoch, write_weights
from jaxd2l.train import DivergenceError, EpochResult, Progress, TrainState
from jaxd2l.train.mesh import agreed, meet, readable, spans_processes, writes_files
from jaxd2l.train.results import stopped_early
from jaxd2l.wording import counted

SHORTEST_SECONDS = 5.0  # between the checkpoints of two epochs: shorter work is done again faster than saved


def require_pace(every: float, keep: int, called: tuple[str, str] = ("checkpoint_every", "keep")) -> None:
    """Refuse how often and how many checkpoints, which are `called` so.

    Raises:
        ValueError: a number is too low.
    """
    if not every >= 0 or not keep >= 1 or keep % 1:  # not a number is none of these
        often, many = called
        raise ValueError(f"{often} takes 0 or more seconds and {many} 1 or more checkpoints, got {every:g} and {keep}")


class RunWriter:
    """The folder's side of one `fit`: give it `epoch` as `on_epoch` and `chunk` as `on_chunk`.

    A checkpoint is begun at the end of an epoch where 5 s have passed since the last one, and inside an epoch
    where `every` seconds have; with a smaller `every`, at the end of an epoch too. `stop` is asked after each
    piece: the exception it answers with ends the run once it is saved, None goes on.

    Over several processes each has one. All save, the first one alone writes the other files, and its clock decides
    when to save; `stop` has to answer the same in all of them.
    """

    def __init__(
        self,
        folder: Path,
        epochs: int,
        fingerprint: Mapping[str, Any],
        stop: Callable[[], type[BaseException] | None],
        warn: Callable[[str], None],
        *,
        every: float = 30.0,
        keep: int = 2,
        tests: bool = False,
        mesh: Mesh | None = None,
    ) -> None:
        """Open the folder for a run of `epochs` on `mesh`; `tests` where the test part is judged after them."""
        self._mesh, self._writes = mesh, writes_files(mesh)
        self._folder, self._epochs, self._fingerprint = folder, epochs, dict(fingerprint)
        self._stop, self._warn, self._every, self._tests = stop, warn, every, tests
        self._checkpoints = Checkpoints(
            folder / CHECKPOINTS, keep=keep, damaged=folder / DAMAGED, read_only=not self._writes
        )
        self._rows: list[dict[str, Any]] = []
        self._best: int | None = None  # the epoch of best.safetensors
        self._saved_at = time.monotonic()

    def restore(self, like: Progress) -> Progress | None:
        """Where the run stood, after putting its other files in order; None for the beginning.

        Args:
            like: any progress of this run, for structure and shapes.

        Raises:
            ValueError: the checkpoint is of a run with other settings; the differing ones are named; or it lies
                inside an epoch that the run is not to have.
            DataError: all checkpoints are damaged, or they do not fit the network.
            OSError: the folder cannot be read or written.
        """
        checkpoint = progress = None
        if self._writes:
            remove_partial_files(self._folder)
            if any((self._folder / name).is_dir() for name in (CHECKPOINTS, DAMAGED)):
                checkpoint = self._checkpoints.newest(self._warn)
        found = agreed(-1 if checkpoint is None else checkpoint.number, self._mesh)
        if found >= 0:
            checkpoint = checkpoint or self._checkpoints.read(found)
            refuse_other_settings(self._folder, checkpoint.facts["fingerprint"], self._fingerprint)
            progress = unpack(checkpoint, like)
            if progress.step and progress.epoch > self._epochs:
                raise ValueError(
                    f"{self._folder} stands in epoch {progress.epoch} already; epochs must be at least that"
                )
        if self._writes:
            self._put_in_order(progress)
        meet(self._mesh, "the run's folder is in order")
        self._rows = self._rows if self._writes else whole_rows(self._folder)
        return progress

    @property
    def finished(self) -> int:
        """Epochs whose weights and metrics are in the folder."""
        return len(self._rows)

    def epoch(self, result: EpochResult, state: TrainState) -> None:
        """Write the weights and the line of a finished epoch, unless they are there, and the weights as the best.

        Raises:
            OSError: the folder cannot be written; the files of the epoch before stay.
        """
        row = result.row()
        if spans_processes(self._mesh):
            state = readable(state._replace(opt_state=()))
        if not self._writes:
            self._rows = [*self._rows[: result.epoch - 1], row, *self._rows[result.epoch :]]
            return
        written = self._rows[result.epoch - 1 : result.epoch]
        if written:
            if reproduced(written[0]) == reproduced(row):
                if best_of(self._rows) == result.epoch != self._best:
                    self._keep_best(result.epoch, list(_weights(result.epoch, state).values())[-1])
                return
            self._warn(
                f"epoch {result.epoch} came out differently than before (train loss {row['train_loss']:.9g}, was "
                f"{written[0]['train_loss']:.9g}): another device, core count or version; its files are replaced"
            )
            self._rows = self._rows[: result.epoch - 1]
            if self._best is not None and self._best >= result.epoch:  # of an epoch that is replaced
                patiently((self._folder / BEST).unlink, missing_ok=True)
            write_metrics(self._folder, self._rows)
            self._find_best()
        weights = _weights(result.epoch, state)
        for name, data in weights.items():
            write_atomically(self._folder / name, data)
        append_metrics(self._folder, result)
        self._rows.append(row)
        if best_of(self._rows) == result.epoch:
            self._keep_best(result.epoch, list(weights.values())[-1])

    def chunk(self, progress: Progress) -> None:
        """Save where it is time to, or stop where a signal asked for it.

        Raises:
            BaseException: what `stop` answered with; the run is saved.
            OSError: a checkpoint could not be written; the older ones stay.
        """
        over = progress.epoch > self._epochs or stopped_early(progress.results, self._fingerprint.get("early_stop"))
        if (self._tests or not over) and (ending := self._stop()) is not None:
            self._save(progress)
            self._checkpoints.wait()
            where = "before the test part was judged" if over else f"at epoch {progress.epoch}, step {progress.step}"
            raise ending(
                f"stopped {where}; {self.finished} of {counted(self._epochs, 'epoch')} are kept in {self._folder}; run "
                "the same command with --resume to go on"
            )
        since = time.monotonic() - self._saved_at
        due = since >= self._every or (progress.step == 0 and since >= SHORTEST_SECONDS)
        if agreed(not self._checkpoints.busy and due, self._mesh):
            self._save(progress)

    def diverged(self, error: DivergenceError) -> None:
        """Leave the last finite weights in the folder: those of the last epoch, or the initial ones."""
        params, batch_stats = readable((error.state.params, error.state.batch_stats))
        if not self._rows and self._writes:
            write_weights(self._folder, params, batch_stats, 0)

    def close(self) -> None:
        """Wait for the last checkpoint.

        Raises:
            OSError: it could not be written.
        """
        self._checkpoints.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.close()
        except OSError as failed:
            if error is None:
                raise
            self._warn(str(failed))

    def _keep_best(self, epoch: int, weights: bytes) -> None:
        write_atomically(self._folder / BEST, weights)
        self._best = epoch

    def _find_best(self) -> None:
        put_best_in_order(self._folder, self._rows, self._warn)
        self._best = weights_epoch(self._folder, BEST)

    def _save(self, progress: Progress) -> None:
        self._saved_at = time.monotonic()
        last = progress.results[-1] if progress.step == 0 and progress.results else None
        score = None if last is None else last.score
        arrays, facts = pack(progress, fingerprint=self._fingerprint, score=score)
        self._checkpoints.save(int(progress.state.step), arrays, facts, score)

    def _put_in_order(self, progress: Progress | None) -> None:
        results = [result.row() for result in progress.results] if progress else []
        rows = whole_rows(self._folder)
        rows = results + rows[len(results) :]
        kept = {name: weights_epoch(self._folder, name) for name in files_of_weights(rows)}
        if rows and (lost := [name for name, epoch in kept.items() if epoch is None or epoch < len(rows)]):
            self._warn(f"{self._folder / lost[0]} is not of epoch {len(rows)}: damaged, missing or older")
            rows = results
            if progress is not None and progress.step == 0 and results:
                for name, data in _weights(len(results), progress.state).items():
                    write_atomically(self._folder / name, data)
        if rows != whole_rows(self._folder) or not ends_whole(self._folder):
            write_metrics(self._folder, rows)
        self._rows = rows
        self._find_best()


def reproduced(row: Mapping[str, Any]) -> dict[str, Any]:
    """What an epoch that is computed again has to come to: its losses and accuracies."""
    return {name: value for name, value in row.items() if name.endswith(("_loss", "_accuracy"))}


def _weights(epoch: int, state: TrainState) -> dict[str, bytes]:
    """The content of the files that an epoch writes; the last of them is what epochs are compared by."""
    files = {WEIGHTS: serialize(state.params, state.batch_stats, epoch)}
    return {**files, EMA: serialize(*state.ema, epoch)} if state.ema else files
