"""`jaxd2l train RECIPE`: train a network on its data and keep everything about the run in a folder."""

import argparse
import json
from pathlib import Path
from typing import Any

import jax

from jaxd2l import run_folder
from jaxd2l.commands import settings
from jaxd2l.commands.exit_code import ExitCode
from jaxd2l.recipes import RECIPES, find, load_data
from jaxd2l.report.console import Console, closing_table
from jaxd2l.train import DivergenceError, EpochResult, Recipe, Run, TrainState, compile_program, fit, run_keys


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Describe the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "train",
        help="train a recipe and write a run folder",
        description="Train a recipe. Writes config.json, environment.json, metrics.jsonl and weights.safetensors "
        "into the run's folder.",
        epilog=f"recipes: {', '.join(RECIPES)} (see jaxd2l list)",
    )
    parser.add_argument("recipe", metavar="RECIPE", help="which network and settings")
    parser.add_argument("--seed", type=settings.integer, default=0, help="0 to 4294967295 (default: 0)")
    settings.add_recipe_options(parser)
    settings.add_data_options(parser)
    output = parser.add_argument_group("output")
    output.add_argument("--out", type=Path, metavar="DIR", help="the run's folder (default: runs/RECIPE/TIME-seedK)")
    output.add_argument("--overwrite", action="store_true", help="replace the run that --out holds")
    output.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    output.add_argument("--quiet", action="store_true", help="print nothing but errors and --json's line")
    settings.add_device_option(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Train as asked.

    Raises:
        DivergenceError: the loss became non-finite; the folder holds the last finite weights.
        KeyboardInterrupt: naming the folder and what was finished.
    """
    recipe = settings.overridden(find(args.recipe), vars(args))
    run_keys(args.seed)  # refuses a seed out of range before the data is read
    folder = args.out or run_folder.default_path(recipe.name, args.seed)
    run_folder.check_free(folder, args.overwrite)
    settings.choose_device(args.device)
    data = settings.checked(settings.limited(load_data(recipe), args.limit_train, args.limit_test), recipe)
    config = {
        "recipe": recipe.name,
        "seed": args.seed,
        **recipe.settings(),
        "limit_train": args.limit_train,
        "limit_test": args.limit_test,
        "model": repr(recipe.model),
    }
    with Console(quiet=args.quiet, epochs=recipe.epochs) as console:
        console.say(
            f"{recipe.name} on {data.name}, {len(data.train.x):,} training and {len(data.test.x):,} test "
            f"examples, seed {args.seed}, {run_folder.device_name()}"
        )
        program = compile_program(recipe, data)
        console.say(f"compiled in {program.compile_seconds:.1f} s")
        if program.dropped:
            console.say(
                f"{program.dropped} examples of each epoch fill no batch of {recipe.batch_size} and are left out"
            )
        run_folder.create(folder, args.overwrite)
        run_folder.write_json(folder / run_folder.CONFIG, config)
        run_folder.write_json(folder / run_folder.ENVIRONMENT, run_folder.environment(data))
        finished = 0

        def on_epoch(result: EpochResult, state: TrainState) -> None:
            nonlocal finished
            run_folder.write_weights(folder, state.params, state.batch_stats)
            run_folder.append_metrics(folder, result)
            finished = result.epoch
            console.epoch(result)

        try:
            done = fit(recipe, data, args.seed, program=program, on_epoch=on_epoch, on_progress=console.progress)
        except DivergenceError as error:
            run_folder.write_weights(folder, error.state.params, error.state.batch_stats)
            error.args = (f"{error}; the last finite weights are in {folder}",)
            raise
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"{finished} of {recipe.epochs} epochs are kept in {folder}") from None
        console.say(closing_table(recipe, done))
        console.say(f"run folder: {folder}")
    if args.json:
        print(
            json.dumps(_summary(recipe, data.name, done, program.compile_seconds, folder), allow_nan=False), flush=True
        )
    return ExitCode.DONE


def _summary(recipe: Recipe, dataset: str, done: Run, compile_seconds: float, folder: Path) -> dict[str, Any]:
    last = done.epochs[-1]
    return {
        "recipe": recipe.name,
        "dataset": dataset,
        "seed": done.seed,
        "epochs": len(done.epochs),
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(done.state.params)),
        "train_loss": last.train_loss,
        "train_accuracy": last.train_accuracy,
        "test_loss": last.test_loss,
        "test_accuracy": last.test_accuracy,
        "best_test_accuracy": done.best_test_accuracy,
        "compile_seconds": round(compile_seconds, 3),
        "train_seconds": round(done.train_seconds, 3),
        "images_per_second": round(done.images_per_second, 1),
        "device": run_folder.device_name(),
        "run_dir": str(folder),
    }
