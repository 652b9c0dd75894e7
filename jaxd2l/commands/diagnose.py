"""`jaxd2l diagnose`: pasted lines of a training against stored ones with known mistakes; imports no JAX."""

import argparse
import json
import sys
from pathlib import Path

from jaxd2l.cli.exit_code import ExitCode
from jaxd2l.diagnosis import curves_of, diagnose
from jaxd2l.diagnosis.curve import text_of

_METRICS = "metrics.jsonl"  # of a run folder


def run(args: argparse.Namespace) -> int:
    """Read, compare, print.

    Raises:
        CurveError: the lines cannot be read.
        ValueError: no curves of the recipe are stored.
        OSError: the file cannot be read.
    """
    curves_of(args.recipe)  # refused before anybody types ten lines
    answer = diagnose(args.recipe, _text(args.file), columns=args.columns, first_epoch=args.first_epoch)
    print(answer)
    if args.json:
        print(json.dumps(answer.as_json(), allow_nan=False))
    return ExitCode.DONE


def _text(path: Path | None) -> str:
    if path is not None and str(path) != "-":
        return text_of(path / _METRICS if path.is_dir() else path)
    if sys.stdin is None:
        raise ValueError("no standard input to read; give a file")
    if sys.stdin.isatty():
        print(
            "paste the lines, then end with Ctrl-D on a line of its own (Ctrl-Z and Enter on Windows)", file=sys.stderr
        )
    return text_of(sys.stdin.buffer)
