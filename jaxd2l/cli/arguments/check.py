"""The arguments of `jaxd2l check`."""

import argparse
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Describe the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "check",
        help="verify every file of a run folder",
        description="Verify configuration, metrics, weights and every checkpoint of a run against their digests and "
        "each other; changes nothing. Exit code 65 where something is wrong.",
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="a folder that jaxd2l train wrote")
    return parser
