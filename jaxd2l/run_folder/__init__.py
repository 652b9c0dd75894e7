"""The folder of one run: what was asked, where it ran, what each epoch came to, and the weights.

    config.json          complete: enough to run it again
    environment.json     versions, device, commit, digests of the data
    metrics.jsonl        a line an epoch, written as it happens
    weights.safetensors  parameters and batch statistics after the last finished epoch
    best.safetensors     likewise, after the best epoch: highest accuracy, for regression lowest loss, of the validation
                         part or, where there is none, of the test part; averaged weights where they are averaged
    ema.safetensors      the average of the weights after the last finished epoch, where they are averaged
    test.json            what the test part said at the end, where a validation part judged the epochs
    checkpoints/         what it takes to go on from inside an epoch, by number of updates
    damaged/             checkpoints that did not agree with their digests
    report.html          what a person looks at, made from the others; with curves.svg and curves.png
    draw.html            the network in a page to draw on, where `jaxd2l web` wrote it
    .lock                held by the process that writes here

Nothing in it is executed when it is read: JSON and safetensors only, never a pickle.

- `fit`, `require_pace`, `load_run`, `KeptRun`: train and keep the run, open it again
- `configuration`, `recipe_of`, `plain_settings`, `switched_off`: what it was asked to do
- `refuse_other_settings`, `refuse_other_run`: that it is asked the same
- `check_free`, `create`, `begun`, `finished_epochs`, `read_config`, `default_path`: the folder as a whole
- `append_metrics`, `write_metrics`, `read_metrics`, `whole_rows`, `ends_whole`: its epochs
- `write_weights`, `read_weights`, `weights_epoch`, `count_parameters`, `parse_weights`,
  `serialize_weights`, `fit_weights`, `unsound_weights`: its weights
- `choose_weights`, `best_of`, `files_of_weights`, `put_best_in_order`: those of the last and of the best epoch
- `is_finished`, `read_tested`: whether anything is left to do, and what the test part said
- `write_atomically`, `write_json`, `remove_partial_files`: any file, whole or not at all
- `FolderLock`, `FolderInUseError`, `holder`: one run a folder
- `environment`, `conditions`, `device_name`, `devices_used`, `in_words`, `note_start`, `differences`: where it ran, and
  what of it decides bits
"""

from jaxd2l.interop.digested import pack as pack_weights
from jaxd2l.interop.digested import parse as parse_weights
from jaxd2l.machine.conditions import conditions, device_name, devices_used, differences, in_words
from jaxd2l.machine.disk import write_atomically, write_json
from jaxd2l.run_folder.best import (
    KEPT_WEIGHTS,
    Chosen,
    best_of,
    choose_weights,
    files_of_weights,
    is_finished,
    put_best_in_order,
)
from jaxd2l.run_folder.files import (
    BEST,
    CHECKPOINTS,
    CONFIG,
    CURVES_PNG,
    CURVES_SVG,
    DAMAGED,
    DRAW,
    EMA,
    ENVIRONMENT,
    METRICS,
    REPORT,
    TEST,
    WEIGHTS,
    remove_partial_files,
)
from jaxd2l.run_folder.layout import begun, check_free, create, default_path, finished_epochs, read_config
from jaxd2l.run_folder.load import KeptRun, load_run
from jaxd2l.run_folder.lock import FolderInUseError, FolderLock, holder
from jaxd2l.run_folder.metrics import (
    append_metrics,
    ends_whole,
    read_metrics,
    read_tested,
    whole_rows,
    write_metrics,
)
from jaxd2l.run_folder.portable_names import folder_named
from jaxd2l.run_folder.provenance import environment, note_start
from jaxd2l.run_folder.settings import (
    configuration,
    plain_settings,
    recipe_of,
    refuse_other_run,
    refuse_other_settings,
    switched_off,
)
from jaxd2l.run_folder.training import fit
from jaxd2l.run_folder.weights import by_name as named_weights
from jaxd2l.run_folder.weights import count_parameters, read_weights, weights_epoch, write_weights
from jaxd2l.run_folder.weights import fit_to as fit_weights
from jaxd2l.run_folder.weights import serialize as serialize_weights
from jaxd2l.run_folder.weights import unsound as unsound_weights
from jaxd2l.run_folder.writer import require_pace

__all__ = [
    "BEST",
    "CHECKPOINTS",
    "CONFIG",
    "CURVES_PNG",
    "CURVES_SVG",
    "DAMAGED",
    "DRAW",
    "EMA",
    "ENVIRONMENT",
    "KEPT_WEIGHTS",
    "METRICS",
    "REPORT",
    "TEST",
    "WEIGHTS",
    "Chosen",
    "FolderInUseError",
    "FolderLock",
    "KeptRun",
    "append_metrics",
    "begun",
    "best_of",
    "check_free",
    "choose_weights",
    "conditions",
    "configuration",
    "count_parameters",
    "create",
    "default_path",
    "device_name",
    "devices_used",
    "differences",
    "ends_whole",
    "environment",
    "files_of_weights",
    "finished_epochs",
    "fit",
    "fit_weights",
    "folder_named",
    "holder",
    "in_words",
    "is_finished",
    "load_run",
    "named_weights",
    "note_start",
    "pack_weights",
    "parse_weights",
    "plain_settings",
    "put_best_in_order",
    "read_config",
    "read_metrics",
    "read_tested",
    "read_weights",
    "recipe_of",
    "refuse_other_run",
    "refuse_other_settings",
    "remove_partial_files",
    "require_pace",
    "serialize_weights",
    "switched_off",
    "unsound_weights",
    "weights_epoch",
    "whole_rows",
    "write_atomically",
    "write_json",
    "write_metrics",
    "write_weights",
]
