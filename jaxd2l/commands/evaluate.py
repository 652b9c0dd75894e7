"""`jaxd2l evaluate RUN_DIR`: judge the weights of a run on its test examples."""

import argparse
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxd2l import run_folder
from jaxd2l.commands import settings
from jaxd2l.commands.exit_code import ExitCode
from jaxd2l.data import DataError, Dataset
from jaxd2l.recipes import find, load_data
from jaxd2l.train import Recipe, evaluate


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Describe the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "evaluate",
        help="judge a run's weights on its test examples",
        description="Load the weights of a run and print loss and accuracy on the test examples it was judged by.",
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="a folder that jaxd2l train wrote")
    parser.add_argument("--dataset", metavar="NAME", help="another data set of the same kind")
    parser.add_argument("--limit-test", type=settings.integer, metavar="N", help="use the first N test examples")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    settings.add_device_option(parser)
    return parser


def recipe_of(folder: Path) -> tuple[Recipe, dict[str, Any]]:
    """The recipe that a run folder's configuration describes, and the configuration.

    Raises:
        DataError: the folder is no run folder, or its configuration is not what `train` writes.
    """
    config = run_folder.read_config(folder)
    try:
        return settings.overridden(find(config.get("recipe", "")), config), config
    except (ValueError, TypeError) as error:
        raise DataError(f"{folder / run_folder.CONFIG}: {error}") from error


def load_weights(folder: Path, recipe: Recipe, data: Dataset) -> tuple[Any, Any]:
    """A run's `(params, batch_stats)`.

    Raises:
        DataError: the file is damaged or does not fit the recipe's network.
    """
    x = jnp.zeros((1, *settings.prepared_shape(recipe, data)))
    expected = jax.eval_shape(lambda: recipe.model.init(jax.random.key(0), x, train=False))
    return run_folder.read_weights(folder, expected["params"], expected.get("batch_stats", {}))


def run(args: argparse.Namespace) -> int:
    """Evaluate as asked."""
    recipe, config = recipe_of(args.run_dir)
    recipe = settings.overridden(recipe, {"dataset": args.dataset})
    settings.choose_device(args.device)
    limit = config.get("limit_test") if args.limit_test is None else args.limit_test
    data = settings.checked(settings.limited(load_data(recipe), None, limit), recipe)
    params, batch_stats = load_weights(args.run_dir, recipe, data)
    loss, accuracy = evaluate(recipe, params, batch_stats, data.test)
    shown = "" if accuracy is None else f", accuracy {accuracy:.4f}"
    print(f"{recipe.name} on {data.name}, {len(data.test.x):,} test examples: loss {loss:.4f}{shown}")
    if args.json:
        summary = {
            "recipe": recipe.name,
            "dataset": data.name,
            "examples": len(data.test.x),
            "test_loss": loss,
            "test_accuracy": accuracy,
            "device": run_folder.device_name(),
            "run_dir": str(args.run_dir),
        }
        print(json.dumps(summary, allow_nan=False))
    return ExitCode.DONE
