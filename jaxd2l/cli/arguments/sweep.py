"""The arguments of `jaxd2l sweep`."""

import argparse
from pathlib import Path
from typing import Any

from jaxd2l.catalogue import EXPERIMENTS
from jaxd2l.cli import options
from jaxd2l.cli.devices import add_devices_option
from jaxd2l.cli.start import add_config_option, add_deterministic_option, add_start_options

WHEN_STOPPED = "finished members are kept; run the same command to go on"


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Describe the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "sweep",
        help="train recipes at several rates and seeds; mean, deviation, 95%% interval, map of divergence",
        description="Train recipes at every learning rate, weight decay and seed. Prints mean, deviation and 95% "
        "interval of the last and best test accuracy and a map of where training diverged; writes OUT/sweep.md, "
        "OUT/sweep.json and a page of both with all curves, OUT/report.html. Run it again to go on: finished "
        "members are kept. It takes train's options but for those of one run's folder (checkpoints, TensorBoard), "
        "--early-stop, since members go through all their epochs together, --shard-parameters and --dist, since a "
        "member has a device to itself, and --stream, since members share the data on it.",
        epilog=f"recipes: {', '.join(EXPERIMENTS)}",
    )
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help="networks and settings (default: --config's)")
    parser.add_argument("--seeds", type=options.integer, default=5, metavar="N", help="seeds 0 to N-1 (default: 5)")
    parser.add_argument("--learning-rates", type=options.number, nargs="+", metavar="RATE", help="default: its own")
    parser.add_argument("--weight-decays", type=options.number, nargs="+", metavar="LAMBDA", help="default: its own")
    parser.add_argument(
        "--method",
        choices=options.METHODS,
        default=options.METHODS[0],
        help="vmap: members as one program; loop: one after another; measure: time both first (default)",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/sweep"), metavar="DIR", help="default: %(default)s")
    add_config_option(parser)
    parser.set_defaults(learning_rate=None, weight_decay=None, early_stop=None)  # those of a configuration
    options.add_recipe_options(parser, rates=False)
    add_start_options(parser)
    options.add_own_data_options(parser)
    options.add_data_options(parser)
    options.add_validation_options(parser, early_stop=False)
    parser.add_argument(
        "--folds",
        type=options.integer,
        metavar="K",
        help="cross-validate: deal the training part out to K folds, of each class alike, and train every point on all "
        "but one of them, K times; pictures and tables are standardised and class weights balanced by what trains",
    )
    options.add_report_option(parser)
    parser.add_argument("--quiet", action="store_true", help="print only the table and the map")
    options.add_device_option(parser)
    add_deterministic_option(parser)
    add_devices_option(
        parser, "spread the members over so many devices, as far as seeds or points can be cut evenly (all)"
    )
    return parser
