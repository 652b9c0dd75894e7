"""The arguments of `jaxd2l web`."""

import argparse
from pathlib import Path
from typing import Any

from jaxd2l.cli import options


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Describe the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "web",
        help="write a page to draw on, with the network inside",
        description="Write one HTML file that holds a run's network and opens without a server or a connection: draw "
        "on it or drop a picture, and see the most probable classes and every layer at work. Networks up to the size "
        "of ResNet-18 fit.",
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="a folder that jaxd2l train wrote")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the page goes (default: RUN_DIR/draw.html)")
    options.add_weights_option(parser)
    options.add_device_option(parser)
    return parser
