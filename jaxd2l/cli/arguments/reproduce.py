"""The arguments of `jaxd2l reproduce`."""

import argparse
from pathlib import Path
from typing import Any

from jaxd2l.cli import options
from jaxd2l.cli.start import add_config_option, add_deterministic_option, add_start_options

WHEN_STOPPED = "finished seeds are kept; run the same command to go on"


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Describe the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "reproduce",
        help="train recipes over several seeds and compare with the published figures",
        description="Train recipes over several seeds; print mean and standard deviation beside the published "
        "figures; write OUT/table.md, OUT/results.json and OUT/report.html. "
        "Run it again to go on: finished seeds are kept, and one that was stopped begins again. It takes train's "
        "options but for those of one run's folder (checkpoints, TensorBoard), of several devices and --stream: how "
        "long a seed takes on one device that holds the data is among the figures.",
    )
    parser.add_argument(
        "recipes",
        nargs="*",
        metavar="RECIPE",
        help="default: --config's; else the book's, on a CPU those below a million multiply-adds",
    )
    parser.set_defaults(has_recipes=True)
    parser.add_argument("--seeds", type=options.integer, default=5, metavar="N", help="seeds 0 to N-1 (default: 5)")
    parser.add_argument("--out", type=Path, default=Path("runs/reproduce"), metavar="DIR", help="default: %(default)s")
    add_config_option(parser)
    options.add_recipe_options(parser)
    add_start_options(parser)
    options.add_own_data_options(parser)
    options.add_data_options(parser)
    options.add_validation_options(parser)
    options.add_report_option(parser)
    parser.add_argument("--quiet", action="store_true", help="print only the table")
    options.add_device_option(parser)
    add_deterministic_option(parser)
    return parser
