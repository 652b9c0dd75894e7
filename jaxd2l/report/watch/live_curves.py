"""The book's animated lines in a notebook: loss and accuracies, drawn anew after each epoch."""

import importlib
import math
import sys
from typing import Any

from jaxd2l.report.chart.plot import Series, lines
from jaxd2l.report.chart.svg import svg
from jaxd2l.report.console import epoch_line
from jaxd2l.train import EpochResult, TrainState


def live() -> "LiveCurves":
    """What `jaxd2l.fit(..., on_epoch=jaxd2l.report.live())` draws with; outside of a notebook it prints lines.

    The chart is our own; matplotlib is not needed.
    """
    return LiveCurves()


class LiveCurves:
    """Draws the epochs so far; one of them serves one run after another.

    Attributes:
        results: of the run so far.
    """

    def __init__(self) -> None:
        self.results: list[EpochResult] = []
        self._shown: Any = None

    def __call__(self, result: EpochResult, state: TrainState) -> None:
        """Take up one epoch; `state` is not read."""
        if self.results and result.epoch <= self.results[-1].epoch:  # another run
            self.results, self._shown = [], None
        self.results.append(result)
        display = _display()
        if display is None:
            print(epoch_line(result, None), flush=True)
        elif self._shown is None:
            self._shown = display(self, display_id=True)
        else:
            self._shown.update(self)

    def _repr_html_(self) -> str:
        """The book's three lines: training loss, training accuracy and the accuracy that epochs are judged by."""
        if not self.results:
            return "<p>No epoch is finished.</p>"
        part = self.results[0].judged_on
        names = ["train_loss", "train_accuracy", f"{part}_accuracy"]
        if self.results[0].train_accuracy is None:
            names = ["train_loss", f"{part}_loss"]
        if self.results[0].averaged:
            names.append(f"ema_{names[-1]}")
        epochs = [result.epoch for result in self.results]
        series = []
        for i, name in enumerate(names):
            values = [getattr(result, name) for result in self.results]
            series.append(Series(name.replace("_", " "), epochs, [math.nan if v is None else v for v in values], i))
        return svg(lines(f"Epoch {epochs[-1]}", series), standalone=True)


def _display() -> Any:
    """IPython's `display` where a kernel shows pictures, else None."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return None
    return importlib.import_module("IPython.display").display
