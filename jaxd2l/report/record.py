"""What a run's folder says about it, read generously: a report of a damaged or foreign run shows what is whole."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from jaxd2l import run_folder
from jaxd2l.train import Judged

_PARTS = ("train", "test", "validation", "ema_test", "ema_validation")
_SHARES = tuple(f"{part}_accuracy" for part in _PARTS)
_NUMBERS = (*(f"{part}_loss" for part in _PARTS), "seconds", "images_per_second", "learning_rate", *_SHARES)


class Record(NamedTuple):
    """A run as its folder describes it.

    Attributes:
        folder: where it is.
        config: what was asked, as `train` wrote it.
        environment: where it ran; {} where that is not known.
        rows: an epoch each, from epoch 1 on without a gap; figures are finite numbers or None.
        remarks: what could not be read, a sentence each.
        tested: what the test part said at the end, where a validation part judged the epochs.
    """

    folder: Path
    config: dict[str, Any]
    environment: dict[str, Any]
    rows: list[dict[str, Any]]
    remarks: tuple[str, ...]
    tested: Mapping[str, Judged] = MappingProxyType({})

    def column(self, name: str) -> list[float]:
        """One figure of every epoch, NaN where it is missing."""
        return [math.nan if row.get(name) is None else float(row[name]) for row in self.rows]

    @property
    def name(self) -> str:
        """The recipe's, as the configuration has it."""
        name = self.config.get("recipe")
        return name if isinstance(name, str) and name else "unknown recipe"

    @property
    def classified(self) -> bool:
        """Whether any epoch has an accuracy."""
        return any(row.get(f"{self.judged_on}_accuracy") is not None for row in self.rows)

    @property
    def judged_on(self) -> str:
        """The part that judged the epochs: "validation", or "test" where there was none."""
        return "validation" if any(row.get("validation_loss") is not None for row in self.rows) else "test"

    @property
    def averaged(self) -> bool:
        """Whether averaged weights were judged too, which then decide which epoch is the best."""
        return any(row.get(f"ema_{self.judged_on}_loss") is not None for row in self.rows)

    @property
    def deciding(self) -> str:
        """What the columns by which epochs are compared begin with."""
        return f"ema_{self.judged_on}" if self.averaged else self.judged_on

    @property
    def finished(self) -> bool | None:
        """Whether every epoch is there, or it stopped early; None where it is not known how many were asked for."""
        done, epochs = run_folder.finished_epochs(self.folder)
        return None if epochs is None else done >= epochs

    @property
    def best(self) -> dict[str, Any] | None:
        """The first epoch of the highest accuracy, or of the lowest loss in a regression, by what decides."""
        name, sign = (f"{self.deciding}_accuracy", -1) if self.classified else (f"{self.deciding}_loss", 1)
        judged = [row for row in self.rows if row.get(name) is not None]
        return min(judged, key=lambda row: sign * row[name], default=None)


def read_record(folder: Path) -> Record:
    """Read what is whole.

    Raises:
        DataError: the folder is no run folder, or its configuration is damaged.
        OSError: a file cannot be read.
    """
    config = run_folder.read_config(folder)
    remarks: list[str] = []
    environment: dict[str, Any] = {}
    try:
        found = json.loads((folder / run_folder.ENVIRONMENT).read_bytes())
        environment = found if isinstance(found, dict) else {}
    except FileNotFoundError:
        remarks.append(f"{run_folder.ENVIRONMENT} is missing: where the run ran is not known.")
    except (ValueError, RecursionError):
        remarks.append(f"{run_folder.ENVIRONMENT} is damaged: where the run ran is not known.")
    rows = _rows(folder, remarks)
    tested = {
        name: Judged(judged.epoch, _number(judged.test_loss, False), _number(judged.test_accuracy, True))
        for name, judged in run_folder.read_tested(folder, len(rows)).items()
    }
    return Record(folder, config, environment, rows, tuple(remarks), tested)


def _rows(folder: Path, remarks: list[str]) -> list[dict[str, Any]]:
    try:
        lines = (folder / run_folder.METRICS).read_bytes().split(b"\n")
    except FileNotFoundError:
        remarks.append(f"{run_folder.METRICS} is missing: there are no curves.")
        return []
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            whole = isinstance(row, dict) and row.get("epoch") == len(rows) + 1
        except (ValueError, RecursionError):
            whole = False
        if not whole:
            remarks.append(f"{run_folder.METRICS} is whole up to line {number - 1}; what follows is not shown.")
            break
        rows.append({**row, **{name: _number(row.get(name), name in _SHARES) for name in _NUMBERS}})
    return rows


def _number(value: Any, share: bool) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    number = float(value) if abs(value) < 1e300 else math.inf
    return number if math.isfinite(number) and (not share or 0 <= number <= 1) else None
