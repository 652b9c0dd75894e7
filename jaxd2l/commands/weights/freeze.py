"""`jaxd2l freeze RUN_DIR`: a finished run as one file that trains again without its packages."""

import argparse
import json
from pathlib import Path

from jaxd2l.cli.exit_code import ExitCode
from jaxd2l.commands.asked import settings
from jaxd2l.commands.asked.data import note
from jaxd2l.commands.asked.recipe import tell_changed_code
from jaxd2l.commands.weights.export_torch import require_free
from jaxd2l.export.freezing import freeze_run, require_freezable
from jaxd2l.frozen.programs import require_flatbuffers
from jaxd2l.prediction import load_run
from jaxd2l.wording import command_line

SUFFIX = ".frozen"


def run(args: argparse.Namespace) -> int:
    """Freeze as asked.

    Raises:
        ValueError: the file exists, or the run cannot be frozen.
        DataError: the run, its data or weights are damaged or gone.
        ExportMismatchError: what was made does not begin as the run does; nothing is written.
        OSError: something cannot be read, or the file cannot be written.
    """
    file = args.out or beside(args.run_dir)
    require_free(file, args.overwrite, "file")
    if not file.resolve().parent.is_dir():
        raise FileNotFoundError(2, "no such folder to write to", str(file.resolve().parent))
    require_flatbuffers()
    settings.choose_device(args.device)
    kept = load_run(args.run_dir)
    require_freezable(kept)
    tell_changed_code(kept.config)
    done = freeze_run(kept, file, with_data=args.with_data, on_note=note)
    size = file.stat().st_size
    parts = ", ".join(f"{what} {bytes_:,}" for what, bytes_ in done.sizes.items())
    print(f"frozen: {file} ({size:,} bytes; unpacked: {parts})")
    print(
        f"programs for {', '.join(done.platforms)}; read back they give the run's own bits: {', '.join(done.compared)}"
    )
    if "data" not in done.sizes:
        print(f"data: by name and digest, {kept.config.get('data', {}).get('name', kept.recipe.dataset)}")
    print(f"train it again: {command_line('jaxd2l', 'thaw', file)}")
    if args.json:
        summary = {
            "run_dir": str(args.run_dir),
            "file": str(file),
            "bytes": size,
            "unpacked": done.sizes,
            "platforms": list(done.platforms),
            "compared": list(done.compared),
        }
        print(json.dumps(summary, allow_nan=False))
    return ExitCode.DONE


def beside(run_dir: Path) -> Path:
    """Where a run is frozen to unless another file is named."""
    named = run_dir if run_dir.name not in ("", "..") else run_dir.resolve()
    return named.with_name(f"{named.name}{SUFFIX}")
