"""The arguments of `jaxd2l predict`."""

import argparse
from pathlib import Path
from typing import Any

from jaxd2l.cli import options


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Describe the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "predict",
        help="name what is on pictures, or predict the target of a table's rows",
        description="Convert pictures as a run's data are and print the most probable classes. A network of pictures "
        "on a dark ground (Fashion-MNIST, MNIST) gets one on a light ground inverted, which is said. A run on a table "
        "(train --target) takes a CSV of rows instead and prints a CSV of predictions.",
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="a folder that jaxd2l train wrote")
    parser.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="pictures, and folders of them; or a CSV")
    parser.add_argument(
        "--top", type=options.integer, default=3, metavar="K", help="classes shown, of rows in --json (3)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="write a CSV: each picture or row, what is predicted and, for classes, the probability of each",
    )
    parser.add_argument(
        "--id",
        metavar="COLUMN",
        help="of a table: the column that names its rows in the CSV, as it stands there (default: numbers from 1)",
    )
    parser.add_argument("--invert", choices=options.INVERT, default="auto", help="exchange dark and light (auto)")
    options.add_weights_option(parser)
    options.add_device_option(parser)
    return parser
