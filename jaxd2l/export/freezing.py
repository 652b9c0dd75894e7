"""A finished run as one file that trains again without its packages: written once its programs give the run's bits.

What reads it is `jaxd2l.frozen`. The programs are those that the run itself was compiled from, for the shapes of its
data, and not traced plainly: on the same machine and jax they give the same bits.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxd2l import run_folder
from jaxd2l.data import DATASETS, DataError, Dataset
from jaxd2l.export.beginning import compare_beginnings, named_state, starting_numbers
from jaxd2l.export.replayed import PLATFORMS, exported_programs
from jaxd2l.frozen.container import DATA, INITIAL, pack_frozen, program_entry
from jaxd2l.frozen.programs import compile_content, platform_here, require_flatbuffers
from jaxd2l.frozen.rows import arrays_of, described, limited
from jaxd2l.interop.digested import pack
from jaxd2l.machine.conditions import differences, environment
from jaxd2l.prediction import TrainedRun
from jaxd2l.run_folder.initial import fit_to_network, read_source
from jaxd2l.run_folder.settings import digest_of_rows
from jaxd2l.train.check_data import check_run
from jaxd2l.train.program import OPTIONS, Program, compile_program, initial_state
from jaxd2l.train.state import TrainState, run_keys
from jaxd2l.wording import counted

_README = Path(__file__).with_name("frozen.txt")
_NAMES = {
    "config": run_folder.CONFIG,
    "environment": run_folder.ENVIRONMENT,
    "metrics": run_folder.METRICS,
    "test": run_folder.TEST,
    "last": run_folder.WEIGHTS,
    "best": run_folder.BEST,
    "ema": run_folder.EMA,
}


class FrozenRun(NamedTuple):
    """What was written.

    Attributes:
        path: of the file.
        sizes: bytes of its parts before they are packed: "programs", "weights" and, where it is kept, "data".
        platforms: that its programs are for.
        compared: what was compared with the run's own to the last bit.
    """

    path: Path
    sizes: dict[str, int]
    platforms: tuple[str, ...]
    compared: tuple[str, ...]


def freeze_run(
    run: TrainedRun,
    path: Path,
    *,
    data: Dataset | None = None,
    with_data: bool = False,
    on_note: Callable[[str], None] = lambda line: None,
) -> FrozenRun:
    """Write a finished run as one file, once its programs begin as the run's own do, to the last bit.

    Args:
        run: of `jaxd2l.load_run`.
        path: of the file; one that is there is replaced.
        data: that it was trained on; opened again where None.
        with_data: keep the rows inside. Generated ones are always: another machine may round them otherwise.
        on_note: called with a line where the run was made under other conditions than its programs are.

    Raises:
        ValueError: it is not finished, ran on several devices, began with weights or was trained on data that only the
            caller in Python had, its network cannot be exported, or flatbuffers is missing.
        DataError: its data or weights are not to be had, or not as they were.
        ExportMismatchError: what was read back gives other bits than the run's own programs; nothing is written.
        OSError: the file cannot be written.
    """
    require_flatbuffers()
    record = require_freezable(run, data is None)
    found = check_run(run.recipe, limited(run.data(on_note=lambda line: None) if data is None else data, run.config))
    if run.config.get("data", {}).get("sha256") not in (None, digest_of_rows(found)):
        raise DataError(f"{run.folder} was not trained on these rows of {found.name}; restore those that it was on")
    for line in _other_makers(record):
        on_note(line)
    weights = _weights(run)
    own = compile_program(run.recipe, found)
    initial = _begun(run, own, found)
    here = platform_here()
    platforms = tuple(dict.fromkeys((here, *PLATFORMS)))
    programs = exported_programs(run.recipe, found, here)
    options = {name: OPTIONS.get(name) for name in programs}
    entries = {
        program_entry(platform, name): bytes(one[platform].serialize())
        for name, one in programs.items()
        for platform in platforms
    }
    read_back = {
        name: compile_content(entries[program_entry(here, name)], name, options[name])
        for name in programs
        if name != "test"
    }
    compared = compare_beginnings(run, own, read_back, arrays_of(found), initial)
    sizes = {"programs": sum(map(len, entries.values())), "weights": sum(map(len, weights.values()))}
    entries |= {_NAMES[which]: content for which, content in weights.items()}
    if "init_from" in run.config:
        entries[INITIAL] = pack(named_state(initial), 0)
    if with_data or _is_generated(found.name):
        entries[DATA] = pack(arrays_of(found), None)
        sizes["data"] = len(entries[DATA])
    facts = {
        **_facts(run, own, record),
        "drawn": INITIAL not in entries,
        "data": {"name": found.name, "arrays": {name: described(a) for name, a in arrays_of(found).items()}},
        "programs": {platform: options if platform == here else {} for platform in platforms},
        "files": {which: _NAMES[which] for which in weights},
        "names": _NAMES,
    }
    content = pack_frozen(facts, entries, _README.read_text(encoding="utf-8"))
    run_folder.write_atomically(path.resolve(), content)
    return FrozenRun(path, sizes, platforms, compared)


def require_freezable(run: TrainedRun, opens: bool = True) -> dict[str, Any]:
    """Refuse what cannot be frozen, before anything is compiled; where the run ran, as its folder says.

    Args:
        run: that is to be frozen.
        opens: whether its data are to be opened again.

    Raises:
        ValueError: see `freeze_run`.
        DataError: its folder does not say where it ran.
    """
    if not run.finished:
        raise ValueError(
            f"{run.folder} is not finished ({len(run.epochs)} of {counted(run.recipe.epochs, 'epoch')}); go on with it "
            "first: jaxd2l train --resume"
        )
    if opens and run.given_from_python:
        raise ValueError(
            f"{run.folder} was trained on data given from Python, which nobody could find again; freeze it there: "
            "jaxd2l.export.freeze_run(run, path, data=data, with_data=True)"
        )
    try:
        record = json.loads((run.folder / run_folder.ENVIRONMENT).read_bytes())
        used = run_folder.devices_used(record)
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(f"{run.folder / run_folder.ENVIRONMENT}: does not say where the run ran ({error})") from error
    if used > 1:
        raise ValueError(f"{run.folder} ran on {counted(used, 'device')}, and only a run of one device can be frozen")
    if run.config.get("init_from", {}).get("path", "") is None:
        raise ValueError(
            f"{run.folder} began with weights given from Python, which are kept nowhere; it cannot begin again"
        )
    return dict(record)


def _other_makers(record: Mapping[str, Any]) -> list[str]:
    """A line about what made the run and is another one now, when its programs are made; none where nothing is."""
    now = environment("", {})
    makers = [(name, record.get(name), now[name]) for name in ("jaxd2l", "commit")]
    found = [*differences(record, now), *(f"{name}: {then}, now {here}" for name, then, here in makers if then != here)]
    told = f"the run was made under other conditions than its programs are now ({'; '.join(found)}): "
    return [f"{told}`jaxd2l thaw FILE --check` tells whether they still give its bits"] if found else []


def _begun(run: TrainedRun, program: Program, data: Dataset) -> TrainState:
    """The state before the run's first update."""
    arguments = program, run.seed, run.recipe.learning_rate, run.recipe.weight_decay
    origin = run.config.get("init_from")
    if origin is None:
        return initial_state(*arguments)
    try:
        source = read_source(origin["path"], origin.get("weights"))
    except (OSError, DataError) as error:
        raise DataError(f"{run.folder} began with {origin['path']}, which is gone or damaged; put it back") from error
    if source.sha256 != origin.get("sha256"):
        raise DataError(f"{run.folder} began with {origin['path']}, which holds other weights by now; put them back")
    weights = fit_to_network(source, run.recipe, data).weights(initial_state(*arguments))
    return initial_state(*arguments, weights)


def _weights(run: TrainedRun) -> dict[str, bytes]:
    """The run's weights as files, verified."""
    averaged = ("ema",) if run.recipe.ema is not None else ()
    chosen = {which: run_folder.choose_weights(run.folder, which) for which in ("last", "best", *averaged)}
    for one in chosen.values():
        run.fitted(one)
    return {which: pack(one.tensors, one.epoch) for which, one in chosen.items()}


def _is_generated(name: str) -> bool:
    return name in DATASETS and DATASETS[name].generate is not None


def _facts(run: TrainedRun, program: Program, record: Mapping[str, Any]) -> dict[str, Any]:
    recipe = run.recipe
    learning_rate, weight_decay = starting_numbers(recipe)
    keys = {name: np.asarray(jax.random.key_data(key)).tolist() for name, key in run_keys(run.seed)._asdict().items()}
    return {
        "recipe": recipe.name,
        "network": repr(recipe.model),
        "config": run.config,
        "environment": dict(record),
        "keys": keys,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "epochs": len(run.epochs),
        "train_steps": program.train_steps,
        "batch_size": recipe.batch_size,
        "classified": recipe.hits is not None,
        "rows": [result.row() for result in run.epochs],
        "tested": {name: judged._asdict() for name, judged in run.tested.items()} or None,
    }
