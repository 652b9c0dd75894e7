"""`jaxd2l import-torch RECIPE FILE --out RUN_DIR`: PyTorch's weights as a run folder that `evaluate` takes."""

import argparse
from pathlib import Path
from typing import Any

from jaxd2l import run_folder
from jaxd2l.commands import settings
from jaxd2l.commands.exit_code import ExitCode
from jaxd2l.interop.torch import load_torch
from jaxd2l.recipes import find, load_data
from jaxd2l.train.recipe import overridden


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Describe the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "import-torch",
        help="make a run folder from a PyTorch state_dict",
        description="Convert the state_dict of a network of the book, saved as safetensors, into a run folder. "
        "In PyTorch: safetensors.torch.save_file(net.state_dict(), 'net.safetensors'). Pickles (.pt, .pth) are "
        "refused, because loading one runs what is in it.",
    )
    parser.add_argument("recipe", metavar="RECIPE", help="which network and data")
    parser.add_argument("file", type=Path, metavar="FILE", help="a .safetensors file")
    parser.add_argument("--out", type=Path, metavar="RUN_DIR", required=True, help="the run folder to write")
    parser.add_argument("--overwrite", action="store_true", help="replace the run that --out holds")
    settings.add_recipe_options(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Convert as asked.

    Raises:
        DataError: the file is no safetensors file, or its names and shapes are not the network's, all of them listed,
            or its numbers are not finite.
    """
    recipe = overridden(find(args.recipe), vars(args))
    run_folder.check_free(args.out, args.overwrite)
    data = load_data(recipe)
    shape = recipe.input_shape(data.train.x)
    params, batch_stats = load_torch(args.file, recipe.model, shape, on_remark=print)
    run_folder.create(args.out, args.overwrite)
    config = {"recipe": recipe.name, **recipe.settings(), "model": repr(recipe.model), "imported_from": args.file.name}
    run_folder.write_json(args.out / run_folder.CONFIG, config)
    run_folder.write_json(args.out / run_folder.ENVIRONMENT, run_folder.environment(data))
    run_folder.write_weights(args.out, params, batch_stats)
    print(f"{recipe.name}: weights of {args.file} are in {args.out}; judge them with `jaxd2l evaluate {args.out}`")
    return ExitCode.DONE
