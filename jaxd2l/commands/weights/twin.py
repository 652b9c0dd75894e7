"""`jaxd2l twin RECIPE --out FILE.py`: a training as a script of PyTorch, with its numbers and our losses beside it."""

import argparse
import json

import numpy as np

from jaxd2l.cli.exit_code import ExitCode
from jaxd2l.commands.asked import settings
from jaxd2l.commands.asked.class_weights import weighted
from jaxd2l.commands.weights.export_torch import require_free
from jaxd2l.export.twin import data_file, write_twin
from jaxd2l.recipes import find, load_data
from jaxd2l.train.recipe import overridden
from jaxd2l.train.state import run_keys
from jaxd2l.wording import command_line, counted


def run(args: argparse.Namespace) -> int:
    """Train our side and write both files.

    Raises:
        ValueError: a file exists, a setting is out of range, or the recipe has no twin.
        DataError: its data are not what they claim.
        OSError: they cannot be read, or a file cannot be written.
    """
    if args.out.suffix != ".py":
        raise ValueError(f"a twin is a script of Python; give --out a name that ends in .py, got {args.out}")
    numbers = data_file(args.out)
    require_free(args.out, args.overwrite, "script")
    require_free(numbers, args.overwrite, "file")
    if not args.out.resolve().parent.is_dir():
        raise FileNotFoundError(2, "no such folder to write to", str(args.out.resolve().parent))
    run_keys(args.seed)
    recipe = overridden(find(args.recipe), vars(args))
    settings.choose_device(args.device)
    data = load_data(recipe)
    recipe = weighted(recipe, args.class_weights_from, data)
    twin = write_twin(recipe, data, args.out, steps=args.steps, seed=args.seed)
    first, last = (twin.numbers.losses["float32"][i] for i in (0, -1))
    print(f"{recipe.name}: {counted(args.steps, 'update')}, loss {first:.4f} to {last:.4f}")
    for path in (args.out, numbers):
        print(f"{path} ({path.stat().st_size:,} bytes)")
    script = command_line("python", args.out)
    print(f"where PyTorch is: {script}, or {script} float32")
    if args.json:
        named = {"script": args.out, "data": numbers}
        summary = {
            "recipe": recipe.name,
            "seed": args.seed,
            "files": {what: {"path": str(path), "bytes": path.stat().st_size} for what, path in named.items()},
            "losses": {
                name: [float(loss) if np.isfinite(loss) else None for loss in losses]
                for name, losses in twin.numbers.losses.items()
            },
        }
        print(json.dumps(summary, allow_nan=False))
    return ExitCode.DONE
