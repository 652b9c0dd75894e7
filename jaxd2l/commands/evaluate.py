"""`jaxd2l evaluate RUN_DIR`: judge the weights of a run on its test examples."""

import argparse
import json
import math
import sys
from pathlib import Path

from jaxd2l import run_folder
from jaxd2l.cli.exit_code import ExitCode
from jaxd2l.commands.asked import settings
from jaxd2l.commands.asked.data import decoding, note, other_data
from jaxd2l.commands.asked.recipe import tell_changed_code
from jaxd2l.data import Dataset
from jaxd2l.recipes import load_data
from jaxd2l.train import Recipe, evaluate
from jaxd2l.train.recipe import overridden
from jaxd2l.wording import counted


def which_weights(chosen: run_folder.Chosen, folder: Path) -> str:
    """Where weights come from, after which epoch, and whether another one was better."""
    if chosen.epoch is None:
        return f"{chosen.place}, whose epoch is not known"
    rows = run_folder.whole_rows(folder)
    best = run_folder.best_of(rows)
    if not chosen.epoch:
        return f"{chosen.place}, from before the first epoch"
    last = chosen.epoch >= len(rows)  # one more than the lines of metrics.jsonl after a kill between the two files
    raw = chosen.place == run_folder.WEIGHTS and run_folder.EMA in run_folder.files_of_weights(rows)
    names = [name for name, is_it in (("the last", last), ("the best", chosen.epoch == best and not raw)) if is_it]
    other = f"; epoch {best} was the best (--weights best)" if best not in (None, chosen.epoch) else ""
    return ", ".join([f"{chosen.place} after epoch {chosen.epoch}", " and ".join(names)]).removesuffix(", ") + other


def _data(args: argparse.Namespace, kept: run_folder.KeptRun, recipe: Recipe) -> tuple[Dataset, bool]:
    """What is judged on, and whether it is what --limit-test of the run was about."""
    if args.dataset is not None and (args.data is not None or "own_data" in kept.config):
        raise ValueError(f"{args.run_dir} was trained on data of your own; name others like them with --data")
    if args.data is not None:
        return other_data(kept, args.data, args.skip_unreadable)
    if args.skip_unreadable:
        raise ValueError("--skip-unreadable is about other data of your own; name them with --data")
    with decoding() as progress:
        return (load_data(recipe) if args.dataset is not None else kept.data(progress, note)), True


def run(args: argparse.Namespace) -> int:
    """Evaluate as asked."""
    kept = run_folder.load_run(args.run_dir)
    tell_changed_code(kept.config)
    recipe = overridden(kept.recipe, {"dataset": args.dataset})
    settings.choose_device(args.device)
    data, of_the_run = _data(args, kept, recipe)
    limit = kept.config.get("limit_test") if args.limit_test is None and of_the_run else args.limit_test
    data = settings.checked(settings.limited(data, None, limit), recipe)
    chosen = run_folder.choose_weights(args.run_dir, args.weights)
    params, batch_stats = kept.fitted(chosen)
    loss, accuracy = evaluate(recipe, params, batch_stats, data.test)
    shown = "" if accuracy is None else f", accuracy {accuracy:.4f}"
    print(f"{recipe.name} on {data.name}, {counted(len(data.test.x), 'test example')}: loss {loss:.4f}{shown}")
    print(f"weights: {which_weights(chosen, args.run_dir)}")
    if not math.isfinite(loss):
        print("warning: the loss is not finite though the weights are: outputs leave float32's range", file=sys.stderr)
    if args.json:
        summary = {
            "recipe": recipe.name,
            "dataset": data.name,
            "examples": len(data.test.x),
            "test_loss": loss if math.isfinite(loss) else None,
            "test_accuracy": accuracy,
            "device": run_folder.device_name(),
            "run_dir": str(args.run_dir),
            "weights": args.weights,
            "epoch": chosen.epoch,
            "best_epoch": run_folder.best_of(run_folder.whole_rows(args.run_dir)),
        }
        print(json.dumps(summary, allow_nan=False))
    return ExitCode.DONE
