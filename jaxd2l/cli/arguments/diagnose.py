"""The arguments of `jaxd2l diagnose`."""

import argparse
from pathlib import Path
from typing import Any

from jaxd2l.cli import options


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Describe the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "diagnose",
        help="is this curve normal, and if not, what was done?",
        description="Compare pasted lines of a training (loss, training accuracy and test accuracy of each epoch, as "
        "PyTorch, Keras or anything else prints them) with stored trainings of the recipe, right ones and such with "
        "known mistakes: the percentile among right ones, the likeliest causes, or that it cannot be told.",
    )
    parser.add_argument("recipe", metavar="RECIPE", help="softmax, mlp or lenet: what was trained")
    parser.add_argument(
        "file",
        nargs="?",
        type=Path,
        metavar="FILE",
        help="the lines, or a run folder of jaxd2l train; standard input unless given, or for -",
    )
    parser.add_argument(
        "--columns",
        type=_columns,
        metavar="LIST",
        help="what columns of bare numbers are: some of epoch, loss, train, test and - for others, with commas between "
        "(default: loss,train,test)",
    )
    parser.add_argument(
        "--first-epoch", type=options.integer, metavar="N", help="the epoch of the first line, where none is told (1)"
    )
    return parser


def _columns(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]
