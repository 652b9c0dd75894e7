"""`jaxd2l web RUN_DIR`: a page to draw on, with a run's network inside."""

import argparse
import json

from jaxd2l.cli.exit_code import ExitCode
from jaxd2l.commands.asked import settings
from jaxd2l.commands.asked.page import require_page_file
from jaxd2l.run_folder import DRAW
from jaxd2l.web import write_page


def run(args: argparse.Namespace) -> int:
    """Write the page.

    Raises:
        DataError: see `write_page`.
        ValueError: likewise, or --out is a folder.
        OSError: the page cannot be written.
    """
    require_page_file(args.out, DRAW)
    settings.choose_device(args.device)
    path = write_page(args.run_dir, args.out, weights=args.weights)
    size = path.stat().st_size
    print(f"page: {path} ({size / 1e6:.1f} MB)" if size >= 1e6 else f"page: {path} ({size / 1e3:.0f} kB)")
    if args.json:
        print(json.dumps({"page": str(path), "bytes": size}))
    return ExitCode.DONE
