"""A run on the terminal: a bar while it goes, and a line an epoch.

Where the output is no terminal there is no bar and no colour, only lines.
"""

import sys
from types import TracebackType
from typing import Any, Self

from jaxd2l.report.text import short_loss
from jaxd2l.train import EpochResult


def epoch_line(result: EpochResult, epochs: int, *, rate: bool = False) -> str:
    """One epoch in one line, with the learning rate of its last update where `rate` asks for it and it is known."""
    parts = [f"epoch {result.epoch:>{len(str(epochs))}}/{epochs}", f"loss {short_loss(result.train_loss)}"]
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


class Console:
    """Shows a run while it goes; a context manager, so that the bar is taken down whatever happens."""

    def __init__(self, *, quiet: bool, epochs: int, rate: bool = False) -> None:
        self._quiet = quiet
        self._epochs = epochs
        self._rate = rate  # whether an epoch's line says it
        self._epoch = 1
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        if not self._quiet and sys.stdout.isatty():
            try:
                from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
            except ImportError:  # the lines alone tell the same
                return self
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TimeRemainingColumn(),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task("compiling", total=None)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, text: str) -> None:
        """Print lines above the bar."""
        if self._quiet:
            return
        if self._bar is None:
            print(text, flush=True)
        else:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def progress(self, what: str, done: int, total: int) -> None:
        """Move the bar: `what` is "train" or "test", in batches of the current epoch."""
        if self._bar is not None:
            description = f"epoch {self._epoch}/{self._epochs} {what}"
            self._bar.update(self._task, description=description, completed=done, total=total)

    def epoch(self, result: EpochResult) -> None:
        """Print the line of a finished epoch."""
        self._epoch = result.epoch + 1
        self.say(epoch_line(result, self._epochs, rate=self._rate))
