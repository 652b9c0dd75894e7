"""A run taken away: its network in a file that others open, written once it agrees with the run itself.

- `export_run`: a run's network as one of `FORMATS`, compared with the run's own predictions
- `prediction_program`, `training_program`, `load_program`: a network or an update as StableHLO, and back
- `onnx_model`: a network as ONNX
- `freeze_run`: a finished run as one file that trains again without its packages; `jaxd2l.frozen` reads it
- `Comparison`, `ExportMismatchError`: what the comparison found
"""

from jaxd2l.export.comparison import Comparison, ExportMismatchError
from jaxd2l.export.freezing import FrozenRun, freeze_run
from jaxd2l.export.onnx import onnx_model
from jaxd2l.export.program import load_program, prediction_program
from jaxd2l.export.training import training_program
from jaxd2l.export.write import FORMATS, Exported, export_run

__all__ = [
    "FORMATS",
    "Comparison",
    "ExportMismatchError",
    "Exported",
    "FrozenRun",
    "export_run",
    "freeze_run",
    "load_program",
    "onnx_model",
    "prediction_program",
    "training_program",
]
