"""The arguments of `jaxd2l report`."""

import argparse
from pathlib import Path
from typing import Any

from jaxd2l.cli import options


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Describe the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "report",
        help="write report.html: curves, mistakes, what is inside the network; or compare runs",
        description="Write DIR/report.html, with curves.svg and curves.png, for a folder of train, sweep, reproduce or "
        "houses. Several runs become one page that compares them. A page is one file that opens without a network.",
    )
    parser.add_argument(
        "run_dirs", type=Path, nargs="+", metavar="DIR", help="what train, sweep, reproduce or houses wrote"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="where the page goes (default: DIR/report.html; several: comparison.html)",
    )
    options.add_weights_option(parser)
    options.add_device_option(parser)
    return parser
