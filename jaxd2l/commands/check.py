"""`jaxd2l check RUN_DIR`: is everything in a run folder what it claims to be?"""

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

from jaxd2l import run_folder
from jaxd2l.cli.exit_code import ExitCode
from jaxd2l.data import DataError
from jaxd2l.recipes import kept_code
from jaxd2l.run_folder.checkpoint import Checkpoint, Checkpoints
from jaxd2l.run_folder.settings import fingerprint, refuse_other_settings
from jaxd2l.run_folder.writer import reproduced
from jaxd2l.train.mesh import local_devices
from jaxd2l.wording import command_line, counted


class Finding(NamedTuple):
    """One file or folder: what was found, and whether it is not what it claims."""

    what: str
    text: str
    wrong: bool = False


def run(args: argparse.Namespace) -> int:
    """Check and report, a line a finding.

    Raises:
        DataError: there is no run folder, or its configuration is damaged.
    """
    folder: Path = args.run_dir
    config = run_folder.read_config(folder)
    findings = check(folder, config)
    wrong = [finding for finding in findings if finding.wrong]
    state = _state(folder, config)
    for finding in findings:
        print(f"{'WRONG' if finding.wrong else 'ok':<5}  {finding.what}: {finding.text}")
    print(f"{folder}: {state}; " + (f"{len(wrong)} of {len(findings)} wrong" if wrong else "nothing wrong"))
    if args.json:
        problems = [f"{finding.what}: {finding.text}" for finding in wrong]
        print(json.dumps({"run_dir": str(folder), "state": state, "checked": len(findings), "problems": problems}))
    return ExitCode.DATA if wrong else ExitCode.DONE


def check(folder: Path, config: dict[str, Any]) -> list[Finding]:
    """Everything that can be said about the files of a run folder, without changing any.

    Raises:
        OSError: a file is there but cannot be read.
    """
    rows = run_folder.whole_rows(folder)
    findings = [_config(config)]
    findings += [_environment(folder, "imported_from" not in config and len(rows) != config.get("epochs"))]
    findings += [_metrics(folder, rows)]
    findings += [_weights(folder, name, len(rows)) for name in run_folder.files_of_weights(rows)]
    findings += [*_best(folder, rows), *_tested(folder, len(rows))]
    if (process := run_folder.holder(folder)) is not None:
        return [*findings, Finding(run_folder.CHECKPOINTS, f"not read: process {process} is writing here")]
    return [*findings, *_checkpoints(folder, config, rows)]


def _config(config: dict[str, Any]) -> Finding:
    """What was asked; a run of any version, and an import, says of which recipe it is."""
    if not isinstance(config.get("recipe"), str):
        return Finding(run_folder.CONFIG, "does not say which recipe was trained", wrong=True)
    return Finding(run_folder.CONFIG, f"{config['recipe']}, seed {config.get('seed')}")


def _state(folder: Path, config: dict[str, Any]) -> str:
    if _config(config).wrong:
        return "no run that could go on"
    if run_folder.holder(folder) is not None:
        return "running"
    if "imported_from" in config:
        return f"weights imported from {config['imported_from']}"
    done, epochs = run_folder.finished_epochs(folder)
    again = going_on(folder, config)
    if done != epochs:
        return f"unfinished ({done} of {_epochs(epochs)}), go on with: {again}"
    if _validated(config) and not run_folder.read_tested(folder, done):
        return f"trained, but the test part is not judged yet, which does: {again}"
    asked = config.get("epochs")
    return "finished" if done == asked else f"finished early, after {done} of {_epochs(asked)}"


def going_on(folder: Path, config: dict[str, Any]) -> str:
    """The command that goes on with a run; a network of one's own has the name by which it is found."""
    try:
        code = kept_code(config)
    except ValueError:
        code = None
    name = str(config.get("recipe")) if code is None else code.name
    return command_line("jaxd2l", "train", name, "--resume", "--out", folder)


def _epochs(number: object) -> str:
    return "an unknown number of epochs" if number is None else counted(number, "epoch")


def _validated(config: dict[str, Any]) -> bool:
    described = config.get("data")
    return isinstance(described, dict) and "validation" in described


def _environment(folder: Path, unfinished: bool) -> Finding:
    try:
        found = json.loads((folder / run_folder.ENVIRONMENT).read_bytes())
        text = f"{run_folder.in_words(found)}, jax {found['jax']}, commit {found['commit']}"
        resumed = [start for start in found.get("resumed", []) if start.get("differing")]
        if resumed:
            what = "; ".join(dict.fromkeys(line for start in resumed for line in start["differing"]))
            text += f"; went on under other conditions ({what}): the last bits may differ from an unbroken run's"
        elif unfinished and (differing := run_folder.differences(found, _conditions(found))):
            text += f"; going on here would change its last bits ({'; '.join(differing)})"
        return Finding(run_folder.ENVIRONMENT, text)
    except FileNotFoundError:
        return Finding(run_folder.ENVIRONMENT, "missing: the run was killed before its first step")
    except (ValueError, OverflowError, TypeError, KeyError, AttributeError, RecursionError) as error:
        return Finding(run_folder.ENVIRONMENT, f"damaged ({error!r})", wrong=True)


def _conditions(found: dict[str, Any]) -> dict[str, Any]:
    """Those of going on here, on as many devices as the run began with where they are there."""
    return run_folder.conditions(min(run_folder.devices_used(found), len(local_devices())))


def _metrics(folder: Path, rows: list[dict[str, Any]]) -> Finding:
    file = folder / run_folder.METRICS
    if not file.exists():
        return Finding(run_folder.METRICS, "missing", wrong=True)
    lines = file.read_bytes().split(b"\n")
    if len(lines) - 1 > len(rows):
        return Finding(run_folder.METRICS, f"line {len(rows) + 1} is not that of epoch {len(rows) + 1}", wrong=True)
    if lines[-1]:
        return Finding(run_folder.METRICS, f"{counted(len(rows), 'epoch')} and a torn line, which --resume takes away")
    return Finding(run_folder.METRICS, counted(len(rows), "epoch"))


def _weights(folder: Path, name: str, epochs: int) -> Finding:
    file = folder / name
    if not file.exists():
        return Finding(name, "none yet" if not epochs else "missing", wrong=bool(epochs))
    try:
        tensors, epoch = run_folder.parse_weights(file.read_bytes(), name)
    except DataError as error:
        return Finding(name, str(error), wrong=True)
    text = counted(len(tensors), "tensor") + ("" if epoch is None else f" after epoch {epoch}")
    if problem := run_folder.unsound_weights(tensors):
        return Finding(name, f"{text}, {problem}", wrong=True)
    # a kill between the two files leaves the weights one epoch ahead
    if epoch is not None and epoch not in (epochs, epochs + 1):
        return Finding(name, f"{text}, but {run_folder.METRICS} has {counted(epochs, 'epoch')}", wrong=True)
    return Finding(name, text)


def _tested(folder: Path, epochs: int) -> list[Finding]:
    """What `test.json` says; nothing before the end of a run with a validation part."""
    if not (folder / run_folder.TEST).exists():
        return []
    tested = run_folder.read_tested(folder, epochs)
    if not tested:  # a run that was made longer keeps it until its new end
        earlier = any(run_folder.read_tested(folder, epoch) for epoch in range(epochs))
        return [Finding(run_folder.TEST, "of fewer epochs" if earlier else "damaged", wrong=not earlier)]
    return [Finding(run_folder.TEST, ", ".join(f"{name} weights of epoch {one.epoch}" for name, one in tested.items()))]


def _best(folder: Path, rows: list[dict[str, Any]]) -> list[Finding]:
    """What `best.safetensors` is; nothing where no epoch is finished and it is not there."""
    file = folder / run_folder.BEST
    try:
        best = run_folder.best_of(rows)
        if not file.exists():
            text = f"none of epoch {best}, the best: a run of an earlier version, or killed just before it was written"
            return [Finding(run_folder.BEST, text)] if rows else []
        tensors, epoch = run_folder.parse_weights(file.read_bytes(), run_folder.BEST)
    except DataError as error:
        return [Finding(run_folder.BEST, str(error), wrong=True)]
    text = counted(len(tensors), "tensor") + ("" if epoch is None else f" after epoch {epoch}")
    if problem := run_folder.unsound_weights(tensors):
        return [Finding(run_folder.BEST, f"{text}, {problem}", wrong=True)]
    if epoch == best:
        return [Finding(run_folder.BEST, f"{text}, the best")]
    if (
        run_folder.weights_epoch(folder, run_folder.files_of_weights(rows)[-1]) == best
    ):  # a kill between the line of an epoch and the copy of its weights
        return [Finding(run_folder.BEST, f"{text}; epoch {best} is better, and --resume copies its weights")]
    return [Finding(run_folder.BEST, f"{text}, but epoch {best} of {run_folder.METRICS} is the best", wrong=True)]


def _checkpoints(folder: Path, config: dict[str, Any], rows: list[dict[str, Any]]) -> list[Finding]:
    findings = []
    if (folder / run_folder.CHECKPOINTS).is_dir():
        checkpoints = Checkpoints(folder / run_folder.CHECKPOINTS, read_only=True)
        for number in checkpoints.numbers():
            name = f"{run_folder.CHECKPOINTS}/{number}"
            try:
                found = checkpoints.read(number)
                findings.append(Finding(name, _agree(folder, found, config, rows)))
            except (ValueError, OverflowError, KeyError, TypeError) as error:
                findings.append(Finding(name, str(error), wrong=True))
        checkpoints.close()
    aside = sorted((folder / run_folder.DAMAGED).iterdir()) if (folder / run_folder.DAMAGED).is_dir() else []
    lost = bool(aside) and not any(not finding.wrong for finding in findings)
    findings += [Finding(f"{run_folder.DAMAGED}/{path.name}", "set aside by --resume", wrong=lost) for path in aside]
    return findings


def _agree(folder: Path, found: Checkpoint, config: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """What a sound checkpoint holds.

    Raises:
        ValueError: it is of other settings than the folder, or of epochs that came out differently.
    """
    facts = found.facts
    refuse_other_settings(folder, facts["fingerprint"], fingerprint(config, facts["fingerprint"]["data"]))
    for kept, row in zip(facts["results"], rows, strict=False):
        if reproduced(kept) != reproduced(row):
            raise ValueError(f"its epoch {row['epoch']} is not that of {run_folder.METRICS}: one of them was altered")
    return f"epoch {facts['epoch']}, step {facts['step']}, {counted(len(found.arrays), 'array')}"
