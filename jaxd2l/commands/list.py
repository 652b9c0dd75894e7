"""`jaxd2l list`: every recipe, its settings and what has been published for it."""

import argparse
import json
from typing import Any

from jaxd2l.commands.exit_code import ExitCode
from jaxd2l.recipes import RECIPES
from jaxd2l.report.console import columns, short


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Describe the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "list", help="show every recipe", description="Show every recipe with its settings and published results."
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    return parser


def run(args: argparse.Namespace) -> int:
    """Print the table, or with --json the values alone."""
    if args.json:
        recipes = [
            {
                "recipe": recipe.name,
                **recipe.settings(),
                "parameters": recipe.parameters,
                "macs": recipe.macs,
                "source": recipe.source,
                "published": [published._asdict() for published in recipe.published],
            }
            for recipe in RECIPES.values()
        ]
        print(json.dumps({"recipes": recipes}))
        return ExitCode.DONE
    header = ("recipe", "parameters", "MACs", "data", "pixels", "batch", "rate", "epochs", "published test accuracy")
    rows = [
        (
            recipe.name,
            short(recipe.parameters),
            short(recipe.macs),
            recipe.dataset,
            str(recipe.image_size or ""),
            str(recipe.batch_size),
            f"{recipe.learning_rate:g}",
            str(recipe.epochs),
            ", ".join(f"{p.test_accuracy:.3f} {p.source}" for p in recipe.published if p.test_accuracy is not None),
        )
        for recipe in RECIPES.values()
    ]
    print(columns(header, rows))
    return ExitCode.DONE
