"""The arguments of `jaxd2l freeze`."""

import argparse
from pathlib import Path
from typing import Any

from jaxd2l.cli import options

WHEN_STOPPED = "nothing was written"


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Describe the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "freeze",
        help="keep a finished run as one file that trains again without its packages",
        description="Write a finished run as one file: initialisation, epoch and evaluation as StableHLO, with seed, "
        "digests of the data, environment, results and weights. The programs are read back first and have to begin as "
        "the run's own do, to the last bit. `jaxd2l thaw` trains the file again.",
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="a folder that jaxd2l train wrote")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the file to write (default: RUN_DIR.frozen)")
    parser.add_argument("--overwrite", action="store_true", help="replace FILE where it exists")
    parser.add_argument(
        "--with-data",
        action="store_true",
        help="keep the rows inside too, so that thawing looks for none; generated data always are",
    )
    options.add_device_option(parser)
    return parser
