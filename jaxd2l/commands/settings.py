"""Options that several commands share, and how they become a recipe and its data."""

import argparse
import json
import math
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import jax

from jaxd2l import run_folder
from jaxd2l.commands import compilation_cache
from jaxd2l.data import AUGMENTATIONS, Dataset, Examples, check_examples
from jaxd2l.train.device import default_device
from jaxd2l.train.recipe import PRECISIONS, Recipe


def integer(text: str) -> int:
    """An integer, or argparse's one-line error."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected an integer, got {text!r}") from None


def number(text: str) -> float:
    """A finite number, or argparse's one-line error."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}")
    return value


def add_recipe_options(parser: argparse.ArgumentParser) -> None:
    """Every field of a recipe that may be overridden; unset means the recipe's own."""
    group = parser.add_argument_group("settings (default: the recipe's own)")
    group.add_argument("--epochs", type=integer, metavar="N", help="passes over the training examples")
    group.add_argument("--batch-size", type=integer, metavar="N", help="examples an update")
    group.add_argument("--learning-rate", type=number, metavar="RATE", help="step size")
    group.add_argument("--weight-decay", type=number, metavar="LAMBDA", help="penalty lambda/2 |kernel|^2")
    group.add_argument("--clip-norm", type=number, metavar="NORM", help="scale longer gradients down to this L2 norm")
    group.add_argument("--image-size", type=integer, metavar="PIXELS", help="images are resized to this, a side")
    group.add_argument("--augment", choices=tuple(AUGMENTATIONS), help="change training images at random in each step")
    group.add_argument("--dataset", metavar="NAME", help="fashion_mnist (embedded), mnist, kmnist, cifar10")
    group.add_argument("--precision", choices=tuple(PRECISIONS), help="what the network computes in")
    group.add_argument(
        "--remat", action="store_true", default=None, help="keep few activations, compute the others twice"
    )
    group.add_argument("--accumulate", type=integer, metavar="N", help="cut each batch into N pieces to save memory")


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """How much of the data to use."""
    group = parser.add_argument_group("data")
    group.add_argument("--limit-train", type=integer, metavar="N", help="use the first N training examples")
    group.add_argument("--limit-test", type=integer, metavar="N", help="use the first N test examples")


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Where to run."""
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "gpu", "tpu"),
        default="auto",
        help="auto takes the best there is; the others fail where there is none",
    )


def choose_device(name: str) -> None:
    """Make `name` the default device and keep compiled programs; call it before anything runs.

    `JAX_DISABLE_JIT` is switched off, with a word: what runs here is compiled ahead, and would not be the same run.

    Raises:
        ValueError: no such device is there; JAX itself would fall back to the CPU, or fail with an assertion.
    """
    compilation_cache.use()
    if jax.config.jax_disable_jit:
        jax.config.update("jax_disable_jit", False)
        print("warning: JAX_DISABLE_JIT has no effect here: programs are compiled ahead", file=sys.stderr, flush=True)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        default_device()
        devices = None if name == "auto" else jax.local_devices(backend=name)
    except (RuntimeError, AssertionError) as error:
        if asked := os.environ.get("JAX_PLATFORMS"):
            raise ValueError(
                f"--device {name}: JAX_PLATFORMS={asked} leaves no such device here; unset it, or set JAX_PLATFORMS=cpu"
            ) from error
        raise ValueError(f"--device {name}: there is none here; leave it out or use --device cpu") from error
    if devices:
        jax.config.update("jax_default_device", devices[0])


def warn_of_other_conditions(paths: Iterable[Path]) -> None:
    """Say once under which other conditions kept results were made; their last bits would come out otherwise here.

    Args:
        paths: of JSON files with `environment`, as `run_folder.conditions` gives it; others are passed over.
    """
    now = run_folder.conditions()
    told: dict[str, Path] = {}
    for path in paths:
        made = json.loads(path.read_bytes()).get("environment")
        for line in run_folder.differences(made if isinstance(made, dict) else {}, now):
            told.setdefault(line, path)
    if told:
        first = next(iter(told.values()))
        print(
            f"warning: kept results such as {first} were made under other conditions ({'; '.join(told)}); their last "
            "bits may differ from what is computed here",
            file=sys.stderr,
            flush=True,
        )


def limited(data: Dataset, limit_train: int | None, limit_test: int | None) -> Dataset:
    """The first rows of each part.

    Raises:
        ValueError: a limit is not between 1 and the rows there are.
    """

    def first(part: Examples, limit: int | None, option: str) -> Examples:
        if limit is None:
            return part
        if not 1 <= limit <= len(part.x):
            raise ValueError(f"{option} must be between 1 and the {len(part.x)} examples there are, got {limit}")
        return Examples(part.x[:limit], part.y[:limit])

    return data._replace(
        train=first(data.train, limit_train, "--limit-train"), test=first(data.test, limit_test, "--limit-test")
    )


def checked(data: Dataset, recipe: Recipe) -> Dataset:
    """The data, refused where the recipe cannot train on it.

    Raises:
        DataError: see `check_examples`.
    """
    classes = len(data.classes) if recipe.hits is not None else None
    check_examples(data.train, classes, f"{data.name} training part")
    check_examples(data.test, classes, f"{data.name} test part")
    return data
