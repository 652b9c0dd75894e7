"""A run on the terminal: one bar for all of it, and a line an epoch.

Where the output is no terminal there is no bar and no colour, only lines. `NO_COLOR` is heard by rich; what the width
has no room for is left out, the remaining time last.
"""

import sys
import time
from types import TracebackType
from typing import Any, Self

from jaxd2l.report.text import short_loss
from jaxd2l.train import EpochResult, Progress
from jaxd2l.train.program import mean


def epoch_line(result: EpochResult, epochs: int | None, *, rate: bool = False) -> str:
    """One epoch in one line, with the learning rate of its last update where `rate` asks for it and it is known.

    Args:
        result: of the epoch.
        epochs: of the run; None where nobody knows.
        rate: whether the line says the learning rate.
    """
    place = result.epoch if epochs is None else f"{result.epoch:>{len(str(epochs))}}/{epochs}"
    parts = [f"epoch {place}", f"loss {short_loss(result.train_loss)}"]
    if result.train_accuracy is not None:
        parts.append(f"train accuracy {result.train_accuracy:.3f}")
    part = result.judged_on
    for prefix, words in (("", part), ("ema_", "ema")):
        loss, accuracy = (getattr(result, f"{prefix}{part}_{unit}") for unit in ("loss", "accuracy"))
        if accuracy is not None:
            parts.append(f"{words} accuracy {accuracy:.3f}")
        elif loss is not None:
            parts.append(f"{words} loss {short_loss(loss)}")
    if rate and result.learning_rate is not None:
        parts.append(f"rate {result.learning_rate:.3g}")
    return "  ".join([*parts, f"{result.images_per_second:,.0f} images/s"])


_TRAINING = 0.9  # share of an epoch's time that its updates take, until the first epoch has shown it


class Console:
    """Shows a run while it goes; a context manager, so that the bar is taken down whatever happens."""

    def __init__(self, *, quiet: bool, epochs: int, rate: bool = False, classified: bool = True, runs: int = 1) -> None:
        """Show nothing yet.

        Args:
            quiet: print nothing at all.
            epochs: of each run.
            rate: whether an epoch's line says the learning rate.
            classified: whether there is an accuracy.
            runs: how many runs, one after another, the bar spans.
        """
        self._quiet, self._epochs, self._rate, self._runs = quiet, epochs, rate, runs
        self._classified = classified
        self._epoch = 1
        self._run = 0
        self._bar: Any = None
        self._task: Any = None
        self._began = time.perf_counter()  # of what the bar shows now
        self._first: float | None = None  # the share of all runs that was done when the first update ended
        self._done = 0.0
        self._figures: list[str] = []
        self._width = 0  # of the bar itself

    def __enter__(self) -> Self:
        if not self._quiet and sys.stdout.isatty():
            try:
                from rich.progress import BarColumn, ProgressColumn, TextColumn
                from rich.progress import Progress as Bars
                from rich.text import Text
            except ImportError:  # the lines alone tell the same
                return self

            class Figures(ProgressColumn):
                """Looked at anew with each refresh, so that seconds run."""

                render = staticmethod(lambda task: Text(self._said(len(task.description)), no_wrap=True))

            words = TextColumn("{task.description}", markup=False)
            both = sys.stderr.isatty()  # what goes to a file goes there
            self._bar = Bars(words, BarColumn(), Figures(), transient=True, redirect_stderr=both)
            self._width = max(6, self._bar.console.width // 5)
            self._bar.columns[1].bar_width = self._width
            self._bar.start()
            self._task = self._bar.add_task("compiling", total=None)
            self._began = time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    def end(self) -> None:
        """Take the bar away; lines are printed as they are from here on."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def say(self, text: str) -> None:
        """Print lines above the bar."""
        if self._quiet:
            return
        if self._bar is None:
            print(text, flush=True)
        else:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def phase(self, what: str, done: int = 0, total: int | None = None) -> None:
        """Show work that is no epoch, with the seconds since it began.

        Args:
            what: such as "compiling".
            done: parts of it that are finished.
            total: its parts; None where it has none.
        """
        if self._bar is None:
            return
        if not done:
            self._began, self._first, self._figures = time.perf_counter(), None, []
        if done and total:
            self._first, self._done = 0.0, done / total
        self._bar.update(self._task, description=what, completed=done, total=total)

    def next_run(self, number: int) -> None:
        """The next of `runs` begins: `number` of them, from 0, are done."""
        self._run, self._epoch = number, 1

    def progress(self, what: str, done: int, total: int) -> None:
        """Move the bar: `what` is "train" or the part that is judged, in batches of the current epoch."""
        if self._bar is None:
            return
        within = _TRAINING * done / total if what == "train" else _TRAINING + (1 - _TRAINING) * done / total
        epoch = min(self._epoch, self._epochs)
        self._done = (self._run + (epoch - 1 + within) / self._epochs) / self._runs
        if self._first is None:
            self._first, self._began = self._done, time.perf_counter()
        where = f"epoch {epoch}/{self._epochs}"
        if self._runs > 1:
            where = f"run {self._run + 1}/{self._runs} {where.removeprefix('' if self._wide else 'epoch ')}"
        where += f" {what}" if self._wide else ""
        self._bar.update(self._task, description=where, completed=self._done, total=1)

    def chunk(self, now: Progress) -> None:
        """Show loss, accuracy and rate of the epoch so far."""
        self._epoch = now.epoch
        if self._bar is None or not now.step:
            return
        loss, accuracy = mean(now.record, self._classified)
        images = float(now.record.examples.sum()) / max(now.seconds, 1e-9)
        shown = f"loss {short_loss(loss)}" + ("" if accuracy is None else f" acc {accuracy:.3f}")
        self._figures = [shown, f"{images:,.0f} images/s"]

    def epoch(self, result: EpochResult) -> None:
        """Print the line of a finished epoch."""
        self._epoch = result.epoch + 1
        self.say(epoch_line(result, self._epochs, rate=self._rate))

    @property
    def _wide(self) -> bool:
        return bool(self._bar.console.width >= 60)

    def _said(self, words: int) -> str:
        """What stands behind the bar: remaining time of everything, then what else there is room for."""
        took = time.perf_counter() - self._began
        if self._first is None:
            return f"{took:.0f} s"
        parts = [f"{self._done:4.0%}"]
        if self._done > self._first:
            left = took * (1 - self._done) / (self._done - self._first)
            parts.append(f"{_clock(left)}{' left' if self._wide else ''}")
        room = self._bar.console.width - words - self._width - 2
        for figure in self._figures:
            if len("  ".join([*parts, figure])) <= room:
                parts.append(figure)
        return "  ".join(parts)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
