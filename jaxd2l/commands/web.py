"""`jaxd2l web RUN_DIR`: a page to draw on, with a run's network inside."""

import argparse
import json

from jaxd2l.cli.exit_code import ExitCode
from jaxd2l.commands.asked import settings
from jaxd2l.web import write_page


def run(args: argparse.Namespace) -> int:
    """Write the page.

    Raises:
        DataError: see `write_page`.
        ValueError: likewise, or --out is a folder.
        OSError: the page cannot be written.
    """
    if args.out is not None and args.out.is_dir():
        raise ValueError(f"--out {args.out} is a folder; name the file, such as {args.out / 'draw.html'}")
    settings.choose_device(args.device)
    path = write_page(args.run_dir, args.out, weights=args.weights)
    size = path.stat().st_size
    print(f"page: {path} ({size / 1e6:.1f} MB)" if size >= 1e6 else f"page: {path} ({size / 1e3:.0f} kB)")
    if args.json:
        print(json.dumps({"page": str(path), "bytes": size}))
    return ExitCode.DONE
