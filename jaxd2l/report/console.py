"""A run on the terminal: a bar while it goes, a line an epoch, a table at its end.

Where the output is no terminal there is no bar and no colour, only lines.
"""

import sys
from types import TracebackType
from typing import Any, Self

from jaxd2l.report.text import columns
from jaxd2l.train import EpochResult, Recipe, Run


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def epoch_line(result: EpochResult, epochs: int, *, rate: bool = False) -> str:
    """One epoch in one line, with the learning rate of its last update where `rate` asks for it and it is known."""
    parts = [f"epoch {result.epoch:>{len(str(epochs))}}/{epochs}", f"loss {_loss(result.train_loss)}"]
    if result.train_accuracy is not None:
        parts.append(f"train accuracy {result.train_accuracy:.3f}")
    if result.test_accuracy is None:
        parts.append(f"test loss {_loss(result.test_loss)}")
    else:
        parts.append(f"test accuracy {result.test_accuracy:.3f}")
    if rate and result.learning_rate is not None:
        parts.append(f"rate {result.learning_rate:.3g}")
    return "  ".join([*parts, f"{result.images_per_second:,.0f} images/s"])


def _loss(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if value >= 0.01 else f"{value:.3g}"


def closing_table(recipe: Recipe, run: Run) -> str:
    """This run beside the published ones."""
    last = run.epochs[-1]
    rows = [("this run, last epoch", _loss(last.train_loss), _share(last.train_accuracy), _share(last.test_accuracy))]
    if run.best_test_accuracy is not None:
        rows.append(("this run, best epoch", "", "", _share(run.best_test_accuracy)))
    rows += [
        (f"published ({p.source})", _loss(p.train_loss), _share(p.train_accuracy), _share(p.test_accuracy))
        for p in recipe.published
    ]
    table = columns((recipe.name, "train loss", "train acc", "test acc"), rows)
    return f"\n{table}\n\ntrained in {run.train_seconds:.1f} s, {run.images_per_second:,.0f} images/s"


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
