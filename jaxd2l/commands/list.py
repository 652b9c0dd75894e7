"""`jaxd2l list`: every recipe, its settings and what has been published for it."""

import argparse
import json

from jaxd2l.catalogue import EXPERIMENTS
from jaxd2l.cli.exit_code import ExitCode
from jaxd2l.report.text import columns, short


def run(args: argparse.Namespace) -> int:
    """Print the table, or with --json the values alone."""
    if args.json:
        from jaxd2l.recipes import RECIPES  # the table for people needs neither JAX nor the networks

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
            name,
            short(recipe.parameters),
            short(recipe.macs),
            recipe.dataset,
            str(recipe.image_size or ""),
            str(recipe.batch_size),
            f"{recipe.learning_rate:g}",
            str(recipe.epochs),
            ", ".join(f"{p.test_accuracy:.3f} {p.source}" for p in recipe.published if p.test_accuracy is not None),
        )
        for name, recipe in EXPERIMENTS.items()
    ]
    print(columns(header, rows))
    return ExitCode.DONE
