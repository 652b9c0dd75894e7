"""The folder of one run: what was asked, where it ran, what each epoch came to, and the weights.

    config.json          complete: enough to run it again
    environment.json     versions, device, commit, digests of the data
    metrics.jsonl        a line an epoch, written as it happens
    weights.safetensors  parameters and batch statistics after the last finished epoch
    checkpoints/         what it takes to go on from inside an epoch, by number of updates
    damaged/             checkpoints that did not agree with their digests
    .lock                held by the process that writes here

Nothing in it is executed when it is read: JSON and safetensors only, never a pickle.

- `check_free`, `create`, `begun`, `finished_epochs`, `read_config`, `default_path`: the folder as a whole
- `append_metrics`, `write_metrics`, `read_metrics`, `whole_rows`, `ends_whole`: its epochs
- `write_weights`, `read_weights`, `weights_epoch`, `count_parameters`, `parse_weights`, `flatten`: its weights
- `write_atomically`, `write_json`, `remove_partial_files`: any file, whole or not at all
- `FolderLock`, `FolderInUseError`, `holder`: one run a folder
- `environment`, `conditions`, `device_name`, `note_start`, `differences`: where it ran, and what of it decides bits
"""

from jaxd2l.run_folder.files import (
    CHECKPOINTS,
    CONFIG,
    DAMAGED,
    ENVIRONMENT,
    METRICS,
    WEIGHTS,
    remove_partial_files,
    write_atomically,
    write_json,
)
from jaxd2l.run_folder.layout import begun, check_free, create, default_path, finished_epochs, read_config
from jaxd2l.run_folder.lock import FolderInUseError, FolderLock, holder
from jaxd2l.run_folder.metrics import append_metrics, ends_whole, read_metrics, whole_rows, write_metrics
from jaxd2l.run_folder.provenance import conditions, device_name, differences, environment, note_start
from jaxd2l.run_folder.weights import count_parameters, flatten, read_weights, weights_epoch, write_weights
from jaxd2l.run_folder.weights import parse as parse_weights

__all__ = [
    "CHECKPOINTS",
    "CONFIG",
    "DAMAGED",
    "ENVIRONMENT",
    "METRICS",
    "WEIGHTS",
    "FolderInUseError",
    "FolderLock",
    "append_metrics",
    "begun",
    "check_free",
    "conditions",
    "count_parameters",
    "create",
    "default_path",
    "device_name",
    "differences",
    "ends_whole",
    "environment",
    "finished_epochs",
    "flatten",
    "holder",
    "note_start",
    "parse_weights",
    "read_config",
    "read_metrics",
    "read_weights",
    "remove_partial_files",
    "weights_epoch",
    "whole_rows",
    "write_atomically",
    "write_json",
    "write_metrics",
    "write_weights",
]
