"""`--init-from`, `--weights` and `--freeze`: what a run begins with and what of it stays, told before it begins."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxd2l.data import Dataset
from jaxd2l.nn.parameters import count, divided, flat
from jaxd2l.run_folder import read_config
from jaxd2l.run_folder.initial import fit_to_network, read_source, refuse_other_source
from jaxd2l.run_folder.initial.source import Source
from jaxd2l.train import Recipe, TrainState
from jaxd2l.train.program import Weights
from jaxd2l.train.state import variables_like
from jaxd2l.wording import counted, some


class Beginning(NamedTuple):
    """What many trainings begin with.

    Attributes:
        sha256: of the weights that --init-from names; None where they are drawn.
        weights: from the state that a seed draws to `(params, batch_stats)`; None where nothing is changed.
    """

    sha256: str | None = None
    weights: Callable[[TrainState], Weights] | None = None


def beginning(args: argparse.Namespace, recipe: Recipe, data: Dataset) -> Beginning:
    """What the trainings of a recipe begin with.

    Raises:
        DataError, OSError: see `read_source` and `fit_to_network`.
    """
    if args.init_from is None:
        return Beginning()
    source = read_source(args.init_from, args.weights)
    return Beginning(source.sha256, fit_to_network(source, recipe, data).weights)


def check_start(args: argparse.Namespace, found: Mapping[str, Any] | None) -> None:
    """Refuse what can be refused before the data are read.

    Raises:
        ValueError: --weights without --init-from, or another --init-from than the run `found` began with.
        DataError, OSError: see `read_source`.
    """
    if args.init_from is None:
        if args.weights is not None:
            raise ValueError(f"--weights {args.weights} is about the run that --init-from names; name it")
    elif found is None:
        read_source(args.init_from, args.weights)
    else:
        refuse_other_source(args.out, found.get("init_from"), args.init_from, args.weights)


def told_start(args: argparse.Namespace, found: Mapping[str, Any] | None, recipe: Recipe, data: Dataset) -> list[str]:
    """What to say of the start of a run, a line each.

    Raises:
        ValueError: a pattern of --freeze matches no parameter, or together they match all.
        DataError: the weights do not fit the network.
    """
    if args.init_from is None and not recipe.freeze:
        return []
    x = jax.ShapeDtypeStruct((1, *recipe.input_shape(data.train.x)), jnp.float32)
    params = variables_like(recipe.model, x)["params"]
    _, frozen = divided(params, recipe.freeze)
    lines = []
    if args.init_from is not None and found is None:
        source = read_source(args.init_from, args.weights)
        fit = fit_to_network(source, recipe, data)
        of = "" if source.weights is None else f" ({source.weights} weights)"
        lines += [f"beginning with {args.init_from}{of}", *([fit.note] if fit.note else [])]
        if data.classes and not fit.anew and (classes := _classes_of(source)) not in ((), data.classes):
            lines.append(f"note: the last layer is taken over from classes {some(classes)} for {some(data.classes)}")
        if still := [name for name in fit.anew if name.removeprefix("params.") in flat(frozen, ".")]:
            names = ", ".join(name.removeprefix("params.").replace(".", "/") for name in still)
            lines.append(f"warning: drawn anew and frozen, so never trained: {names}")
    if recipe.freeze:
        lines.append(f"frozen: {count(frozen):,} of {counted(count(params), 'parameter')}")
    return lines


def _classes_of(source: Source) -> tuple[str, ...]:
    """The classes of the run that weights come from, () where that is not known."""
    if source.path is None or source.weights is None:
        return ()
    described = read_config(Path(source.path)).get("data")
    return tuple(map(str, described.get("classes", ()))) if isinstance(described, Mapping) else ()
