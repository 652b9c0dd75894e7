"""Which recipe was asked for: by its name, by a file of the user's own, by the configuration of a run."""

import argparse
import itertools
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxd2l.data import DataError
from jaxd2l.data.own import kept_data
from jaxd2l.data.own.open import PREFIX
from jaxd2l.recipes import Code, code_of, find, is_code, kept_code
from jaxd2l.run_folder import plain_settings
from jaxd2l.run_folder.initial import read_source
from jaxd2l.train import Recipe

# Which run is to be written where, and what is kept of it, is no setting of the run.
_NOT_SETTINGS = (
    "recipe",
    "config",
    "init_from",
    "weights",
    "data",
    "dataset",
    "image_size",
    "out",
    "parser",
    "module",
    "command",
)

_OF_A_CHOICE = {"schedule": ("step_epochs", "step_factor"), "optimizer": ("momentum", "nesterov")}


def named(name: str) -> tuple[Recipe, Code | None]:
    """The recipe called `name`, and where it comes from if it is none of this package.

    Raises:
        ValueError, FileNotFoundError: see `find`.
    """
    return find(name), code_of(name) if is_code(name) else None


def tell_changed_code(config: Mapping[str, Any]) -> None:
    """Say where the file with a run's network is another one than when the run began, though it still fits."""
    code = kept_code(config)
    if code is not None and code.changed:
        print(f"note: {code.name} has changed since the run began", file=sys.stderr, flush=True)


def with_config(args: argparse.Namespace) -> tuple[str, ...]:
    """Fill in what `args` leaves out by the configuration of a run; what was typed wins.

    Returns:
        The classes of that run, of which its class weights are; () where none is named.

    Raises:
        DataError: the file is no configuration of a run.
        ValueError: --resume is given too.
        OSError: it cannot be read.
    """
    if args.config is None:
        return ()
    if args.resume:
        raise ValueError("--resume goes on with a run by its own settings, --config begins one anew; give one of them")
    config = _read(args.config)
    code, kept = kept_code(config), kept_data(config)
    if args.recipe is None:
        if code is not None and code.folder and code.folder not in sys.path:
            sys.path.append(code.folder)
        args.recipe = config["recipe"] if code is None else code.name
    given, kept_settings = vars(args), plain_settings(config)
    left = of_another_choice(given, kept_settings)
    for name, value in kept_settings.items():
        if name in given and given[name] is None and name not in (*_NOT_SETTINGS, *left):
            given[name] = value
    if args.init_from is None and isinstance(record := config.get("init_from"), Mapping):
        _with_its_start(args, record)
    if kept is not None and args.dataset is None:
        other = _of_another_kind(args)
        for name, value in vars(kept.own).items():
            given[name] = value if given[name] is None and name not in other else given[name]
    elif args.data is None:
        for name in ("dataset", "image_size"):
            given[name] = config.get(name) if given[name] is None else given[name]
    described = config.get("data")
    return tuple(described.get("classes", ())) if isinstance(described, Mapping) else ()


def with_config_of_many(args: argparse.Namespace) -> tuple[str, ...]:
    """`with_config` for a command that takes several recipes: the configuration's where none is named.

    Raises:
        DataError, ValueError, OSError: see `with_config`.
    """
    args.recipe, args.resume = None, False
    weighed = with_config(args)
    args.recipes = args.recipes or [name for name in (args.recipe,) if name is not None]
    return weighed


def of_another_choice(given: Mapping[str, Any], config: Mapping[str, Any]) -> tuple[str, ...]:
    """Settings of a run that mean nothing with what was typed instead: another schedule or optimizer, or a table."""
    left = [names for name, names in _OF_A_CHOICE.items() if given.get(name) not in (None, config.get(name))]
    return tuple(itertools.chain(*left, ["augment"] if given.get("target") is not None else []))


def _of_another_kind(args: argparse.Namespace) -> tuple[str, ...]:
    """Settings of a run's data that mean nothing for those that were typed: of a table for pictures, or of pictures."""
    if args.target is not None:
        return ("image_size", "channels", "skip_unreadable")
    typed = args.data or ""
    pictures = typed.startswith(PREFIX) or typed.endswith(".npz") or os.path.isdir(os.path.expanduser(typed))
    return ("target", "task", "ignore") if typed and pictures else ()


def _with_its_start(args: argparse.Namespace, record: Mapping[str, Any]) -> None:
    if record.get("path") is None:
        raise ValueError(f"the run of {args.config} began with weights given from Python; name them with --init-from")
    args.init_from, args.weights = Path(record["path"]), args.weights or record.get("weights")
    if read_source(args.init_from, args.weights).sha256 != record.get("sha256"):
        print(f"note: {args.init_from} holds other weights than when that run began", file=sys.stderr, flush=True)


def _read(path: Path) -> dict[str, Any]:
    file = path / "config.json" if path.is_dir() else path
    try:
        config = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: not JSON ({error}); expected the config.json of a run") from error
    if not isinstance(config, dict) or not isinstance(config.get("recipe"), str):
        raise DataError(f"{file}: names no recipe; expected the config.json of a run")
    return config
