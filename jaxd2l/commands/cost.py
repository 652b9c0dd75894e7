"""`jaxd2l cost RECIPE`: parameters, computation, memory to train and to predict, before anything is allocated."""

import argparse
import dataclasses
import json
from typing import Any

from jaxd2l.cli.exit_code import ExitCode
from jaxd2l.commands.asked import settings
from jaxd2l.commands.asked.data import fitted, named_data, own_data
from jaxd2l.commands.asked.recipe import named
from jaxd2l.commands.asked.written import check_writable
from jaxd2l.cost.answer import Cost, Memory
from jaxd2l.cost.budget import gib, largest_batch
from jaxd2l.cost.estimate import cost
from jaxd2l.data import Dataset, shapes
from jaxd2l.recipes import RECIPES, check_fit, fitted_to
from jaxd2l.report.cost_plot import draw, require_drawable
from jaxd2l.report.text import columns, short
from jaxd2l.train import Recipe
from jaxd2l.train.mesh import require_divisible
from jaxd2l.train.recipe import overridden
from jaxd2l.wording import counted


def run(args: argparse.Namespace) -> int:
    """Answer for one recipe, or for all."""
    if args.all == (args.recipe is not None):
        raise ValueError("name one recipe, or give --all")
    if args.plot is not None and not args.all:
        raise ValueError("--plot draws all recipes; give --all")
    of_one = {"--data": args.data, "--memory": args.memory, "--rate": args.rate, "--measure": args.measure or None}
    for option, value in of_one.items():
        if value is not None and args.all:
            raise ValueError(f"{option} takes one recipe, not --all")
    if args.all and len(args.batch_size or ()) > 1:
        raise ValueError(f"--all shows one batch size, got {' '.join(map(str, args.batch_size))}")
    if args.devices is None and args.shard_parameters:
        raise ValueError("--shard-parameters divides them over several devices; say how many: --devices N")
    if args.devices is not None and (args.devices < 1 or args.all):
        raise ValueError(f"--devices takes 1 or more devices and one recipe, got {args.devices}")
    settings.choose_device(args.device)
    return _all(args) if args.all else _one(args)


def _one(args: argparse.Namespace) -> int:
    own, asked, data = _asked(args)
    sizes = args.batch_size or [own.batch_size]
    pieces = own.accumulate if args.accumulate is None else args.accumulate
    variants = [dataclasses.replace(asked, batch_size=n, accumulate=pieces) for n in sizes]
    found = [cost(recipe, data) for recipe in variants]
    first = found[0]
    if args.devices is not None:
        require_divisible(args.devices, len(data.train.x), first.recipe.batch_size, first.recipe.accumulate)
    print(_layer_table(first))
    print(
        f"\n{own.name}: {counted(first.parameters, 'parameter')}, {first.macs:,} multiply-adds and "
        f"{first.forward_flops:,} FLOPs to predict one example"
    )
    rows = [(_label(one.recipe, own), one) for one in found]
    plain = dataclasses.replace(variants[0], remat=own.remat, accumulate=own.accumulate, precision=own.precision)
    before = cost(plain, data) if plain != variants[0] else None
    if before is not None:
        rows.insert(0, ("as it is", before))
    print("\n" + _total_table(rows))
    answer: dict[str, Any] = {**summary(first), "layers": [_layer(one) for one in first.layers]}
    if len(found) > 1:
        answer["batches"] = [summary(one) for one in found]
    if before is not None:
        answer["as_it_is"] = summary(before)
    if args.devices is not None:
        answer["each_device"] = _each_device(variants[0], data, args.devices, args.shard_parameters)
    if args.memory is not None:
        fits = largest_batch(variants[0], args.memory, data)
        answer["memory_bytes"], answer["largest_batch"] = args.memory, fits
        print(f"\nlargest batch that trains in {gib(args.memory)}: {fits if fits is not None else 'none'}")
    if args.rate is not None:
        answer["epoch_seconds"] = first.epoch_seconds(args.rate)
        print(f"\nan epoch at {short(args.rate)}FLOP/s: {first.epoch_seconds(args.rate):.3g} s")
    if args.measure:
        answer["measured"] = _measure(first, data)
    if args.json:
        print(json.dumps(answer, allow_nan=False))
    return ExitCode.DONE


def _each_device(recipe: Recipe, data: Dataset, devices: int, shard_parameters: bool) -> dict[str, Any]:
    from jaxd2l.cost.each_device import each_device

    found = each_device(recipe, data, devices, shard_parameters=shard_parameters)
    print(
        f"\non each of {devices} devices, of the {counted(recipe.batch_size, 'row')} of a batch; a step sums "
        f"{gib(found.reduced_bytes)} of gradient over them"
        + (f" and collects {gib(found.gathered_bytes)} of kernels" if found.gathered_bytes else "")
    )
    print(_total_table([(counted(found.rows, "row"), found.cost)]))
    bytes_said = {"reduced_bytes": found.reduced_bytes, "gathered_bytes": found.gathered_bytes}
    return {"devices": devices, "rows": found.rows, **bytes_said, **summary(found.cost)}


def _all(args: argparse.Namespace) -> int:
    own_data(args)  # refuses what says how data of one's own are read
    plot = None if args.plot is None else require_drawable(args.plot)
    if plot is not None:
        check_writable(plot, "--plot", "the picture", ())
    found = []
    for own in RECIPES.values():
        values = {**vars(args), "batch_size": args.batch_size[0] if args.batch_size else None}
        if own.image_size is None:
            values = {**values, "image_size": None, "dataset": None}
        asked = overridden(own, values)
        found.append(cost(asked, shapes(asked.dataset)))
    header = ("recipe", "parameters", "MACs", "FLOPs to predict", "batch", "FLOPs a step", "to predict", "to train")
    rows = [
        (
            *(one.recipe.name, f"{one.parameters:,}", short(one.macs), short(one.forward_flops)),
            *(str(one.recipe.batch_size), short(one.step_flops), gib(one.predict.total), gib(one.train.total)),
        )
        for one in found
    ]
    print(columns(header, rows))
    if plot is not None:
        draw(found, plot)
        print(f"\nplot: {plot}")
    if args.json:
        print(json.dumps({"recipes": [summary(one) for one in found]}, allow_nan=False))
    return ExitCode.DONE


def summary(one: Cost) -> dict[str, Any]:
    """The totals as plain numbers: FLOPs of one prediction and of one step, bytes at the peak."""
    recipe = one.recipe
    return {
        "recipe": recipe.name,
        "batch_size": recipe.batch_size,
        "image_size": recipe.image_size,
        "precision": recipe.precision,
        "remat": recipe.remat,
        "accumulate": recipe.accumulate,
        "parameters": one.parameters,
        "macs": one.macs,
        "forward_flops": one.forward_flops,
        "step_flops": one.step_flops,
        "padding_flops": one.padding_flops,
        "predict_bytes": one.predict.total,
        "train_bytes": one.train.total,
        "kept_activation_bytes": one.kept_activations,
        "predict_memory": one.predict._asdict(),
        "train_memory": one.train._asdict(),
        "steps_per_epoch": one.steps,
    }


def _asked(args: argparse.Namespace) -> tuple[Recipe, Recipe, Dataset]:
    """The recipe as it is named, with the settings asked for, and the data or their shapes."""
    own, (base, code) = own_data(args), named(args.recipe)
    values = {**vars(args), "batch_size": None, "accumulate": None}
    if own is None and code is None:
        asked = overridden(base, values)
        return base, asked, shapes(asked.dataset)
    if own is None:
        data = shapes(named_data(base, values))
        asked = overridden(fitted_to(base, data), values)
        check_fit(asked, data)
        return base, asked, data
    asked, data, _ = fitted(base, own, values, None, None, code=code)
    return dataclasses.replace(base, batch_size=asked.batch_size), asked, data


def _layer(layer: Any) -> dict[str, Any]:
    return {**layer._asdict(), "output_shape": [*layer.output_shape], "receptive_field": [*layer.receptive_field]}


def _layer_table(one: Cost) -> str:
    header = ("layer", "output", "parameters", "MACs", "share", "output bytes", "receptive field")
    rows = [
        (
            *(layer.name, "x".join(map(str, layer.output_shape)), f"{layer.parameters:,}", f"{layer.macs:,}"),
            *(f"{layer.macs / max(one.macs, 1):.1%}", gib(layer.activation_bytes)),
            "x".join(map(str, layer.receptive_field)),
        )
        for layer in one.layers
    ]
    return columns(header, rows)


def _total_table(rows: list[tuple[str, Cost]]) -> str:
    """A column for each variant: FLOPs, then memory by what it holds."""
    header = ("", *(label for label, _ in rows), "")
    lines = [("FLOPs a step", *(short(one.step_flops) for _, one in rows), "")]
    lines.append(("memory to predict", *(gib(one.predict.total) for _, one in rows), ""))
    lines.append(("memory to train", *(gib(one.train.total) for _, one in rows), ""))
    for field in Memory._fields:
        cells = (gib(getattr(one.train, field)) for _, one in rows)
        lines.append((f"  {field.replace('_', ' ')}", *cells, ""))
    return columns(header, lines)


def _label(recipe: Recipe, own: Recipe) -> str:
    parts = [f"batch {recipe.batch_size}"]
    parts += ["remat"] if recipe.remat and not own.remat else []
    parts += [f"{recipe.accumulate} pieces"] if recipe.accumulate != own.accumulate else []
    parts += [recipe.precision] if recipe.precision != own.precision else []
    return ", ".join(parts)


def _measure(one: Cost, data: Dataset) -> dict[str, Any]:
    from jaxd2l.cost.measured import measure

    found = measure(one, data)
    seconds = one.epoch_seconds(found.flops_per_second)
    peak = "not reported by this device" if found.peak_bytes is None else gib(found.peak_bytes)
    print(
        f"\nmeasured: {found.step_seconds * 1e3:.3g} ms a step, {short(found.flops_per_second)}FLOP/s, "
        f"{seconds:.3g} s an epoch; peak memory {peak}"
    )
    return {**found._asdict(), "epoch_seconds": seconds}
