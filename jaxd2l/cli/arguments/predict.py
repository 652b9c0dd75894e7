"""The arguments of `jaxd2l predict`."""

import argparse
from pathlib import Path
from typing import Any

from jaxd2l.cli import options


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Describe the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "predict",
        help="name what is on pictures",
        description="Convert pictures as a run's data are and print the most probable classes. A network of pictures "
        "on a dark ground (Fashion-MNIST, MNIST) gets one on a light ground inverted, which is said.",
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="a folder that jaxd2l train wrote")
    parser.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="picture files, and folders of them")
    parser.add_argument("--top", type=options.integer, default=3, metavar="K", help="classes shown (default: 3)")
    parser.add_argument("--invert", choices=options.INVERT, default="auto", help="exchange dark and light (auto)")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options.add_weights_option(parser)
    options.add_device_option(parser)
    return parser
