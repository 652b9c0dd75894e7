"""`jaxd2l import-torch RECIPE FILE --out RUN_DIR`: PyTorch's weights as a run folder that `evaluate` takes."""

import argparse

from jaxd2l import run_folder
from jaxd2l.cli.exit_code import ExitCode
from jaxd2l.interop.torch import load_torch
from jaxd2l.recipes import find, load_data
from jaxd2l.train.recipe import overridden


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
