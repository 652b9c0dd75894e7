"""`jaxd2l report DIR...`: a page to look at for a run, a sweep, a reproduction or house prices, or for several runs."""

import argparse
import json
from pathlib import Path

from jaxd2l import run_folder
from jaxd2l.cli.exit_code import ExitCode
from jaxd2l.commands.asked import settings
from jaxd2l.commands.asked.page import require_page_file
from jaxd2l.data import DataError
from jaxd2l.report.write import (
    HOUSES,
    RESULTS,
    SWEEP,
    write_comparison,
    write_results_report,
    write_run_report,
)


def run(args: argparse.Namespace) -> int:
    """Write the page that fits the folders.

    Raises:
        DataError: a folder is none of train, sweep, reproduce or houses, or its results are damaged.
        ValueError: --out is no file, or --weights is given for a page of more than one run, or names what it has not.
        OSError: a page cannot be written.
    """
    folders: list[Path] = args.run_dirs
    for folder in folders:
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; give one that jaxd2l train, sweep, reproduce or houses wrote")
    require_page_file(args.out, run_folder.REPORT)
    folder = folders[0]
    results = next((name for name in (SWEEP, RESULTS, HOUSES) if (folder / name).is_file()), None)
    if args.weights != "last" and (len(folders) > 1 or results is not None):
        raise ValueError(f"--weights {args.weights} is about the page of one run of train; leave it out")
    if len(folders) > 1:
        path = write_comparison(folders, args.out or Path("comparison.html"))
    elif results is not None:
        path = write_results_report(folder, results, args.out)
    else:
        run_folder.read_config(folder)
        _require_weights(folder, args.weights)
        settings.choose_device(args.device)
        path = write_run_report(folder, args.out, weights=args.weights)
    print(f"report: {path}")
    if args.json:
        print(json.dumps({"report": str(path), "bytes": path.stat().st_size}))
    return ExitCode.DONE


def _require_weights(folder: Path, weights: str) -> None:
    """Refuse weights that a run does not keep, before its page is replaced by one without; damage the page tells.

    Raises:
        ValueError: the run averages none, or has no epoch to choose the best of.
    """
    try:
        if weights != "last":
            run_folder.choose_weights(folder, weights)
    except (DataError, OSError):
        return
