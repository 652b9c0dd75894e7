"""`jaxd2l export-torch RUN_DIR FILE`: a run's weights as a PyTorch state_dict."""

import argparse

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
    if args.file.is_dir():
        raise IsADirectoryError(f"{args.file} is a folder; name the .safetensors file to write")
    if args.file.exists() and not args.file.is_file():
        raise ValueError(f"{args.file} is no regular file; name the .safetensors file to write")
    if args.file.exists() and not args.overwrite:
        raise ValueError(f"{args.file} exists; name another file or give --overwrite")
    kept = run_folder.load_run(args.run_dir)
    chosen = run_folder.choose_weights(args.run_dir, args.weights)
    params, batch_stats = kept.fitted(chosen)
    content = serialize_torch(kept.recipe.model, params, batch_stats, kept.input_shape)
    run_folder.write_atomically(args.file.resolve(), content)
    print(f"{kept.recipe.name}: weights of {args.run_dir} are in {args.file}")
    print(f"weights: {which_weights(chosen, args.run_dir)}")
    return ExitCode.DONE
