"""The arguments of `jaxd2l cost`."""

import argparse
from pathlib import Path
from typing import Any

from jaxd2l.catalogue import EXPERIMENTS
from jaxd2l.cli import options
from jaxd2l.cli.devices import add_shard_option
from jaxd2l.cli.start import add_freeze_option


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Describe the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "cost",
        help="count parameters, computation and memory of a recipe",
        description="Count parameters, multiply-adds, FLOPs and peak memory, layer by layer, from shapes alone. "
        "Counts of layers and of a prediction are for one example, those of a step for a batch.",
        epilog=f"recipes: {', '.join(EXPERIMENTS)} (see jaxd2l list)",
    )
    parser.add_argument("recipe", metavar="RECIPE", nargs="?", help="which network and settings")
    parser.add_argument("--all", action="store_true", help="one line for each recipe")
    group = parser.add_argument_group("what if (default: the recipe's own settings)")
    group.add_argument("--batch-size", type=options.integer, nargs="+", metavar="N", help="one or more")
    group.add_argument("--image-size", type=options.integer, metavar="PIXELS", help="a side")
    group.add_argument("--precision", choices=options.PRECISIONS, help="what the network computes in")
    group.add_argument("--remat", action="store_true", default=None, help="with rematerialisation")
    group.add_argument("--accumulate", type=options.integer, metavar="N", help="with batches cut into N pieces")
    group.add_argument("--dataset", metavar="NAME", help="another image data set")
    group.add_argument(
        "--devices", type=options.integer, metavar="N", help="on N devices: memory, work and traffic of each of them"
    )
    add_shard_option(group)
    options.add_optimizer_options(parser)
    add_freeze_option(parser)
    options.add_own_data_options(parser)
    more = parser.add_argument_group("more answers")
    more.add_argument(
        "--memory", type=options.memory, metavar="SIZE", help="name the largest batch that trains in SIZE: 8GiB"
    )
    more.add_argument("--rate", type=options.number, metavar="FLOPS", help="time of an epoch at FLOPS a second")
    more.add_argument("--measure", action="store_true", help="run a few updates: rate, time of an epoch, peak memory")
    more.add_argument("--plot", type=Path, metavar="FILE", help="with --all: draw parameters, FLOPs and accuracy")
    options.add_device_option(parser)
    return parser
