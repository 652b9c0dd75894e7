"""The page that a command ends with: written last, when everything else is on disk, unless --no-report."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from jaxd2l.cli.signals import StopSignals
from jaxd2l.report.write import attempt


def closing_page(
    args: argparse.Namespace, write: Callable[[], Path], say: Callable[[str], None], kept: str
) -> Path | None:
    """Write a page to look at and say where it is; a page that fails is a warning, since the results are there.

    A signal ends the command at once here, as it would have before there was anything to save. One that has come
    already leaves the page out.

    Args:
        args: with `no_report`.
        write: the page, see `jaxd2l.report.write`.
        say: prints a line.
        kept: said where a signal ends the command here.

    Returns:
        Its path, None where there is none.
    """
    if args.no_report:
        return None
    with StopSignals() as signals:
        if signals.received is not None:
            return None
        deferred, signals.deferred, signals.where = signals.deferred, False, kept
        try:
            path, warning = attempt(write)
        finally:
            signals.deferred = deferred
    if path is None:
        print(f"warning: {warning}", file=sys.stderr, flush=True)
    else:
        say(f"report: {path}")
    return path


def require_page_file(path: Path | None, name: str) -> None:
    """Refuse what no page can be written to.

    Args:
        path: by --out; None where it is left out.
        name: what a page is called in a folder.

    Raises:
        ValueError: a folder, a device or a pipe.
    """
    if path is not None and path.is_dir():
        raise ValueError(f"--out {path} is a folder; name the file, such as {path / name}")
    if path is not None and path.exists() and not path.is_file():
        raise ValueError(f"--out {path} is no regular file; name the page to write, such as {name}")


def named(path: Path | None) -> dict[str, str | None]:
    """The entry of a command's --json."""
    return {"report": None if path is None else str(path)}
