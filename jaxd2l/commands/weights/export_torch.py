"""`jaxd2l export-torch RUN_DIR FILE`: a run's weights as a PyTorch state_dict."""

import argparse
import json
from pathlib import Path

from jaxd2l import run_folder
from jaxd2l.cli.exit_code import ExitCode
from jaxd2l.commands.evaluate import which_weights
from jaxd2l.interop.torch import serialize_torch


def run(args: argparse.Namespace) -> int:
    """Convert as asked.

    Raises:
        ValueError: the file exists, or no PyTorch names are known for the network.
        DataError: the weights are damaged, not finite, or those of the best epoch were not kept.
        OSError: they cannot be read, or the file cannot be written.
    """
    require_free(args.file, args.overwrite)
    kept = run_folder.load_run(args.run_dir)
    chosen = run_folder.choose_weights(args.run_dir, args.weights)
    params, batch_stats = kept.fitted(chosen)
    content = serialize_torch(kept.recipe.model, params, batch_stats, kept.input_shape)
    run_folder.write_atomically(args.file.resolve(), content)
    print(f"{kept.recipe.name}: weights of {args.run_dir} are in {args.file}")
    print(f"weights: {which_weights(chosen, args.run_dir)}")
    if args.json:
        summary = {"run_dir": str(args.run_dir), "recipe": kept.recipe.name, "weights": args.weights}
        print(json.dumps({**summary, "epoch": chosen.epoch, "file": str(args.file), "bytes": len(content)}))
    return ExitCode.DONE


def require_free(file: Path, overwrite: bool, kind: str = ".safetensors file") -> None:
    """Refuse a file that cannot be written, or that is there unasked.

    Raises:
        ValueError: the file exists, or is no regular one.
        IsADirectoryError: it is a folder.
    """
    if file.is_dir():
        raise IsADirectoryError(f"{file} is a folder; name the {kind} to write")
    if file.exists() and not file.is_file():
        raise ValueError(f"{file} is no regular file; name the {kind} to write")
    if file.exists() and not overwrite:
        raise ValueError(f"{file} exists; name another file or give --overwrite")
