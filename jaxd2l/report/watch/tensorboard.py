"""A run as TensorBoard shows it: scalars an epoch, the configuration, and its curves as a picture at the end.

Written by tensorboardX, the extra `tensorboard`: neither TensorFlow nor TensorBoard itself is needed to write.
"""

import importlib
import importlib.util
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxd2l.report.chart.png import png
from jaxd2l.report.page.curves import beside, of_run
from jaxd2l.report.record import read_record
from jaxd2l.train import EpochResult


class Board:
    """Writes a run's events; what cannot be written is a warning, once, and costs no run."""

    def __init__(self, folder: Path, config: Mapping[str, Any], warn: Callable[[str], None]) -> None:
        """Begin the events of a run.

        Args:
            folder: for the event files, made where it is not there.
            config: what the run is asked to do, shown as text.
            warn: called with one line.
        """
        self._folder, self._warn = folder, warn
        self._writer: Any = None
        text = json.dumps(config, indent=2, default=str)

        def begin() -> None:
            self._writer = importlib.import_module("tensorboardX").SummaryWriter(str(folder))
            self._writer.add_text("configuration", "".join(f"    {line}\n" for line in text.splitlines()), 0)
            self._writer.flush()

        self._attempt(begin)

    def epoch(self, result: EpochResult) -> None:
        """Write every figure of an epoch as a scalar, such as `train/loss` and `test/accuracy`."""

        def write() -> None:
            for name, value in result.row().items():
                part, _, unit = name.rpartition("_")
                if name != "epoch" and value is not None:
                    tag = f"{part}/{unit}" if unit in ("loss", "accuracy") else name
                    self._writer.add_scalar(tag, value, result.epoch)
            self._writer.flush()

        if self._writer is not None:
            self._attempt(write)

    def close(self, run_dir: Path) -> None:
        """Show the curves of the finished run and end the events."""

        def write() -> None:
            from PIL import Image

            record = read_record(run_dir)
            if drawings := of_run(record):
                with Image.open(io.BytesIO(png(beside(drawings)))) as image:
                    pixels = np.asarray(image.convert("RGB"))
                self._writer.add_image("curves", pixels, len(record.rows), dataformats="HWC")
            self._writer.close()

        if self._writer is not None:
            self._attempt(write)

    def _attempt(self, write: Callable[[], None]) -> None:
        try:
            write()
        except Exception as error:
            self._writer = None
            self._warn(f"{self._folder}: no more is written for TensorBoard: {' '.join(str(error).split())[:300]}")


def events_folder(asked: Path | None, run_dir: Path) -> Path | None:
    """Where a run's events go, refused before anything runs where they could not be written.

    Args:
        asked: None for nowhere, an empty path for next to the run: its own folder holds its own files alone.
        run_dir: of the run.

    Raises:
        ValueError: tensorboardX is not installed; or the events would lie among the files of the run.
        NotADirectoryError: a file stands there.
    """
    if asked is None:
        return None
    events = run_dir.parent / "tensorboard" / run_dir.name if asked == Path() else asked
    if importlib.util.find_spec("tensorboardX") is None:
        raise ValueError("--tensorboard needs tensorboardX: pip install 'jaxd2l[tensorboard]'")
    if events.resolve().is_relative_to(run_dir.resolve()):
        raise ValueError(
            f"--tensorboard {events} lies in the run's folder, which holds its own files alone; name another"
        )
    if events.exists() and not events.is_dir():
        raise NotADirectoryError(f"{events} is a file; name a folder for --tensorboard")
    return events
