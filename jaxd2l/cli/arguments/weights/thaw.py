"""The arguments of `jaxd2l thaw`."""

import argparse
from pathlib import Path
from typing import Any

from jaxd2l.cli import options

WHEN_STOPPED = "nothing is kept"


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Describe the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "thaw",
        help="train a frozen run again and compare it with its record",
        description="Train a run that `jaxd2l freeze` wrote, by the programs in the file, without its recipe, Flax or "
        "this package's networks, and compare every figure and weight with the recorded ones. On the same machine and "
        "jax they are the same bits; elsewhere it says why they are not promised, and how far they are. A program is "
        "code: thaw a file only from where you would run code from.",
        epilog="exit code 1: other bits where the recorded ones are promised; with --check wherever they differ",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="what jaxd2l freeze wrote")
    parser.add_argument(
        "--out", type=Path, metavar="RUN_DIR", help="the run folder to write (default: beside FILE, NAME-thawed)"
    )
    parser.add_argument("--resume", action="store_true", help="go on with a thawing that was stopped in RUN_DIR")
    parser.add_argument("--check", action="store_true", help="train and compare, and write nothing")
    parser.add_argument(
        "--data",
        metavar="WHERE",
        help="the run's data where they are not found by their name: a .npz of x_train, y_train, x_test and y_test, of "
        "data of your own also what train --data takes; their digests have to be the recorded ones",
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors and --json's line")
    options.add_device_option(parser)
    return parser
