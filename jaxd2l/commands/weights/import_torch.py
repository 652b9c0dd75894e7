"""`jaxd2l import-torch RECIPE FILE --out RUN_DIR`: PyTorch's weights as a run folder that `evaluate` takes."""

import argparse
import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l import run_folder
from jaxd2l.cli.exit_code import ExitCode
from jaxd2l.commands.asked.class_weights import weighted
from jaxd2l.data import Dataset, Examples
from jaxd2l.data.own import OwnData
from jaxd2l.interop.torch import load_torch, read_state_dict, torch_shapes
from jaxd2l.nn.parameters import count
from jaxd2l.recipes import code_of, find, fitted_to, load_data
from jaxd2l.recipes.torchvision import TORCHVISION
from jaxd2l.train import Recipe
from jaxd2l.train.recipe import overridden
from jaxd2l.wording import command_line, counted

_MODULE = "jaxd2l.recipes.torchvision:"
_ENDS = (("conv1.weight", "fc.weight"), ("features.0.weight", "classifier.6.weight"))  # first and last array of each


def run(args: argparse.Namespace) -> int:
    """Convert as asked.

    Raises:
        DataError: the file is no safetensors file, or its names and shapes are not the network's, all of them listed,
            or its numbers are not finite.
    """
    theirs = args.recipe.startswith(_MODULE)
    name = args.recipe.removeprefix(_MODULE)
    recipe = find(args.recipe) if theirs else overridden(find(name), vars(args))
    run_folder.check_free(args.out, args.overwrite)
    state = read_state_dict(args.file)
    data: Dataset | None = None
    facts: dict[str, Any] = {}
    if theirs or (name in TORCHVISION and not args.by_order and _is_torchvisions(recipe, state)):
        for option, value in (("--dataset", args.dataset), ("--class-weights", args.class_weights_from)):
            if value is not None:
                raise ValueError(f"{name} of torchvision is imported without data; leave {option} to train or evaluate")
        recipe, data, facts = _of_torchvision(name, state, vars(args))
        print(f"{name}: torchvision's network, {counted(len(data.classes), 'class')}, 3 channels")
    data = load_data(recipe) if data is None else data
    recipe = weighted(recipe, args.class_weights_from, data)
    shape = recipe.input_shape(data.train.x)
    params, batch_stats = load_torch(args.file, recipe.model, shape, on_remark=print, by_order=args.by_order)
    run_folder.create(args.out, args.overwrite)
    config = {"recipe": recipe.name, **recipe.settings(), "model": repr(recipe.model), "imported_from": args.file.name}
    run_folder.write_json(args.out / run_folder.CONFIG, {**config, **facts})
    run_folder.write_json(args.out / run_folder.ENVIRONMENT, run_folder.environment(data))
    run_folder.write_weights(args.out, params, batch_stats)
    on = command_line("jaxd2l", "train", f"{_MODULE}{name}", "--init-from", args.out, "--data", "WHERE")
    next_ = f"train it on with `{on}`"
    judge = f"judge them with `{command_line('jaxd2l', 'evaluate', args.out)}`"
    print(f"{recipe.name}: weights of {args.file} are in {args.out}; {next_ if facts else judge}")
    if args.json:
        summary = {"recipe": recipe.name, "imported_from": str(args.file), "run_dir": str(args.out)}
        print(json.dumps({**summary, "parameters": count(params)}))
    return ExitCode.DONE


def _is_torchvisions(recipe: Recipe, state: Mapping[str, np.ndarray]) -> bool:
    """Whether a state_dict has torchvision's names, and is not of the recipe's own network all the same."""
    if not any(all(any(n.endswith(end) for n in state) for end in ends) for ends in _ENDS):
        return False
    own = torch_shapes(recipe.model, recipe.input_shape(load_data(recipe).train.x))
    return sorted(own.values()) != sorted(
        a.shape for key, a in state.items() if not key.endswith("num_batches_tracked")
    )


def _of_torchvision(
    name: str, state: Mapping[str, np.ndarray], values: Mapping[str, Any]
) -> tuple[Recipe, Dataset, dict[str, Any]]:
    """The recipe for as many classes as the last layer has, the shapes of its data, and what a run keeps of both."""
    last = [a.shape[0] for key, a in state.items() for _, end in _ENDS if key.endswith(end) and a.ndim == 2]
    base = find(f"{_MODULE}{name}")
    classes = tuple(map(str, range(last[0] if last else base.model.num_classes)))
    base = overridden(base, {**values, "dataset": None})
    size = base.image_size
    sides = size if isinstance(size, tuple) else (size, size)
    x = jax.ShapeDtypeStruct((1, *sides, 3), jnp.uint8)
    part = Examples(x, jax.ShapeDtypeStruct((1,), jnp.int32))  # type: ignore[arg-type]
    data = Dataset("imagenet", part, part, classes)
    recipe = fitted_to(base, data)
    assert recipe.statistics is not None  # of ImageNet
    own = {**dataclasses.asdict(OwnData(data.name, channels=3)), "examples": [0, 0], "sha256": {}}
    described = {"name": data.name, "classes": list(classes), "input": ["uint8", *x.shape[1:]], "target": ["int32"]}
    code = code_of(f"{_MODULE}{name}")._asdict()
    return recipe, data, {"code": code, "own_data": own, "data": described, "statistics": recipe.statistics.plain()}
