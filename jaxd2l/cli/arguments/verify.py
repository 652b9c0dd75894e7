"""The arguments of `jaxd2l verify`."""

import argparse
from pathlib import Path
from typing import Any

from jaxd2l.cli import options


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Describe the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "verify",
        help="run every claim of the founding notes and compare",
        description="Run every claim of the founding notes: day, claim, value in the notes, value here, verdict. A "
        "slip of the notes is shown as one, by a run. Long trainings are read from stored results, whose origin is "
        "printed. The exit code is 1 where a claim fails.",
    )
    parser.add_argument(
        "--day", type=options.integer, metavar="N", help="only the claims of day N of the notes, 1 to 21"
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help="train again what is otherwise stored, and what only an accelerator trains in minutes: hours on a CPU; "
        "run it again to go on where it was stopped",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="a run folder for each training of --full; what is finished there is not trained again (default: "
        "runs/verify)",
    )
    options.add_device_option(parser)
    return parser
