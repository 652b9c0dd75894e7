"""The arguments of `jaxd2l evaluate`."""

import argparse
from pathlib import Path
from typing import Any

from jaxd2l.cli import options


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Describe the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "evaluate",
        help="judge a run's weights on its test examples",
        description="Load the weights of a run and print loss and accuracy on the test examples it was judged by.",
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="a folder that jaxd2l train wrote")
    parser.add_argument("--dataset", metavar="NAME", help="another data set of the same kind")
    parser.add_argument(
        "--data",
        metavar="WHERE",
        help="other data of your own with the same classes: their test part, or all where there is none",
    )
    parser.add_argument("--skip-unreadable", action="store_true", help="go on without pictures that cannot be read")
    parser.add_argument("--limit-test", type=options.integer, metavar="N", help="use the first N test examples")
    options.add_weights_option(parser)
    options.add_device_option(parser)
    return parser
