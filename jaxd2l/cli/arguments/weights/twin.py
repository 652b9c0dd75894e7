"""The arguments of `jaxd2l twin`."""

import argparse
from pathlib import Path
from typing import Any

from jaxd2l.cli import options


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Describe the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "twin",
        help="write a recipe's training as a script of PyTorch",
        description="Write a readable script that trains a recipe's network in PyTorch as the book writes it, from the "
        "same initial weights, by the same order of examples, masks of dropout and learning rates, and prints the loss "
        "of each step beside that of this package. What it reads lies beside it as .npz. PyTorch is needed to run it.",
    )
    parser.add_argument(
        "recipe",
        metavar="RECIPE",
        help="linear, softmax, mlp, dropout_mlp, lenet, lenet_relu, lenet_conv_relu or lenet_bn",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.py", help="the script to write")
    parser.add_argument("--overwrite", action="store_true", help="replace both files where they exist")
    parser.add_argument("--steps", type=options.integer, default=50, metavar="N", help="updates (default: 50)")
    parser.add_argument("--seed", type=options.integer, default=0, metavar="N", help="of the run (default: 0)")
    options.add_recipe_options(parser)
    options.add_device_option(parser)
    return parser
