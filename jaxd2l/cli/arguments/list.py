"""The arguments of `jaxd2l list`."""

import argparse
from typing import Any


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Describe the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "list", help="show every recipe", description="Show every recipe with its settings and published results."
    )
    return parser
