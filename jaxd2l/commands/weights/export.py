"""`jaxd2l export RUN_DIR --to FORMAT --out PATH`: a run's network for use elsewhere, checked before it is written."""

import argparse
import json

from jaxd2l import run_folder
from jaxd2l.cli.exit_code import ExitCode
from jaxd2l.commands.asked import settings
from jaxd2l.commands.asked.data import decoding, note
from jaxd2l.commands.asked.recipe import tell_changed_code
from jaxd2l.commands.evaluate import which_weights
from jaxd2l.commands.weights.export_torch import require_free
from jaxd2l.data import DataError, Dataset
from jaxd2l.export.comparison import Comparison
from jaxd2l.export.onnx import OPSET
from jaxd2l.export.program import PLATFORMS
from jaxd2l.export.write import export_run, require_possible, state_file, steps_of
from jaxd2l.prediction import TrainedRun, load_run
from jaxd2l.wording import counted


def run(args: argparse.Namespace) -> int:
    """Export as asked.

    Raises:
        ValueError: a file exists, a library is missing, or the network cannot be had in this form.
        DataError: the run or its weights are damaged, not finite, or those of the best epoch were not kept.
        ExportMismatchError: what was made does not answer as the run does.
        OSError: they cannot be read, or the file cannot be written.
    """
    trains = args.what == "train-step"
    for file in (args.out, state_file(args.out)) if trains else (args.out,):
        require_free(file, args.overwrite, "file")
    if not args.out.resolve().parent.is_dir():
        raise FileNotFoundError(2, "no such folder to write to", str(args.out.resolve().parent))
    require_possible(args.to, args.what, args.prepared)
    settings.choose_device(args.device)
    kept = load_run(args.run_dir)
    tell_changed_code(kept.config)
    data, without = _data_of(kept)
    done = export_run(
        kept,
        args.to,
        args.out,
        weights=args.weights,
        what=args.what,
        prepared=args.prepared,
        test=None if data is None else data.test,
        steps=steps_of(kept, data) if trains else None,
    )
    platforms = PLATFORMS if args.to == "stablehlo" else ()
    sizes = {what: path.stat().st_size for what, path in done.files.items()}
    for what, path in done.files.items():
        print(f"{what}: {path} ({sizes[what]:,} bytes)")
    if done.inputs:
        where = f"for {', '.join(platforms)}" if platforms else f"ONNX, opset {OPSET}"
        print(where + ("" if trains else f": {done.inputs[0]} to {done.outputs[0]}"))
    print(f"weights: {which_weights(run_folder.Chosen({}, done.epoch, done.place), args.run_dir)}")
    print(_told(done.comparison, without, "in one update by" if trains else "on"))
    if args.json:
        found = done.comparison
        summary = {
            "run_dir": str(args.run_dir),
            "recipe": kept.recipe.name,
            "to": args.to,
            "what": args.what,
            "prepared": args.prepared,
            "files": {what: {"path": str(path), "bytes": sizes[what]} for what, path in done.files.items()},
            "platforms": list(platforms),
            "inputs": list(done.inputs),
            "outputs": list(done.outputs),
            "weights": args.weights,
            "epoch": done.epoch,
            "examples": found.examples,
            "random_examples": found.random,
            "largest_difference": found.largest,
            "differences": dict(found.differences),
            "allowed": dict(found.allowed),
            "device": run_folder.device_name(),
        }
        print(json.dumps(summary, allow_nan=False))
    return ExitCode.DONE


def _data_of(kept: TrainedRun) -> tuple[Dataset | None, str]:
    """The run's data, or None and why they cannot be had."""
    try:
        with decoding() as progress:
            return kept.data(progress, note), ""
    except (DataError, ValueError, OSError) as error:
        return None, " ".join(str(error).split())


def _told(found: Comparison, without: str, what: str) -> str:
    examples = (
        f"{counted(found.examples, 'random input')}, because {without}"
        if found.random
        else counted(found.examples, "test example")
    )
    parts = ", ".join(f"{name} {found.differences[name]:.2g} of {found.allowed[name]:.2g}" for name in found.allowed)
    return f"read back, largest difference to the run {what} {examples}: {found.largest:.2g} ({parts} allowed)"
