"""`jaxd2l sweep RECIPE ...`: recipes at several learning rates, weight decays and seeds.

Each finished member is a small file, so a stopped sweep goes on where it was.
"""

import argparse
import itertools
import json
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from jax.sharding import Mesh

from jaxd2l import run_folder
from jaxd2l.cli.exit_code import ExitCode
from jaxd2l.commands.asked import settings
from jaxd2l.commands.asked.chosen_device import make_deterministic
from jaxd2l.commands.asked.class_weights import weighted
from jaxd2l.commands.asked.data import fitted, note, own_data
from jaxd2l.commands.asked.devices import first_devices, told_members
from jaxd2l.commands.asked.page import closing_page
from jaxd2l.commands.asked.page import named as named_page
from jaxd2l.commands.asked.recipe import named, with_config_of_many
from jaxd2l.commands.asked.start import beginning, check_start, told_start
from jaxd2l.data import Dataset
from jaxd2l.report import kept
from jaxd2l.report.console import Console
from jaxd2l.report.sweep import Summary, choice_line, chosen, divergence_map, markdown, summarise
from jaxd2l.report.write import SWEEP, write_results_report
from jaxd2l.selection.curves import Curves
from jaxd2l.selection.grid import Point
from jaxd2l.selection.points import points_of, varied
from jaxd2l.selection.sweep import Choice, Method, Sweep, sweep
from jaxd2l.train import Recipe
from jaxd2l.train.mesh import data_mesh
from jaxd2l.wording import counted

_FOREIGN = "no member of a sweep ({error}); remove it to train it again"
_CURVES = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
_VALIDATION = ("validation_loss", "validation_accuracy")


def run(args: argparse.Namespace) -> int:
    """Train what is missing, then print and write the results.

    Raises:
        DataError: a kept member was made with other settings.
        ValueError: a setting is out of range.
    """
    if args.seeds < 1:
        raise ValueError(f"--seeds must be at least 1, got {args.seeds}")
    if args.folds is not None and args.folds < 2:
        raise ValueError(f"--folds must be at least 2, got {args.folds}")
    if args.folds is not None and args.validation_fraction is not None:
        raise ValueError("--folds validates every training example in turn, --validation-fraction a share; give one")
    weighed = with_config_of_many(args)
    args.validation_fraction = None if args.folds is not None else args.validation_fraction
    if args.early_stop is not None:
        note(f"{args.config} stops early; members of a sweep go through all their epochs together")
        args.early_stop = None
    check_start(args, None)
    if args.deterministic:
        make_deterministic()
    settings.choose_device(args.device)
    say = (lambda text: None) if args.quiet else (lambda text: print(text, flush=True))
    own = own_data(args)
    limits = (args.limit_train, args.limit_test)
    bases = [named(name) for name in dict.fromkeys(args.recipes)]
    folds = [{}] if args.folds is None else [{"fold": (args.folds, number)} for number in range(args.folds)]

    def experiment(number: int, fold: Mapping[str, Any]) -> tuple[Recipe, Dataset, dict[str, Any]]:
        base, code = bases[number]
        return fitted(base, own, {**vars(args), **fold}, *limits, code=code)

    experiments = [experiment(number, folds[0]) for number in range(len(bases))]
    recipes = [recipe for recipe, _, _ in experiments]
    settings.require_different_names(recipes)
    if len({recipe.hits is None for recipe in recipes}) > 1:
        raise ValueError("one sweep compares accuracies or losses: give classifiers or regressions, not both")
    mesh = data_mesh(first_devices(args.devices or "all"))
    began = time.perf_counter()
    sweeps, summaries = {}, []
    with Console(quiet=args.quiet, epochs=1) as console:
        for number, (recipe, data, facts) in enumerate(experiments):
            members: Sweep = {}
            made: dict[int, Choice] = {}
            for place, fold in enumerate(folds):
                if place:
                    recipe, data, facts = experiment(number, fold)
                recipe = weighted(recipe, args.class_weights_from, data, weighed)
                of_fold = _sweep(recipe, data, facts, args, console, mesh, made, fold.get("fold"))
                members |= {(point, place * args.seeds + seed): curves for (point, seed), curves in of_fold.items()}
            sweeps[recipe.name] = members
            classes = len(data.classes) if recipe.hits is not None else None
            summaries += summarise(recipe.name, members, classes, folds=args.folds)
    table, fate = markdown(summaries), divergence_map(summaries)
    result = _result(summaries, sweeps, time.perf_counter() - began, args.seeds)
    choices = "".join(f"\n{choice_line(summary)}\n" for summary in chosen(summaries))
    run_folder.write_atomically(args.out / "sweep.md", f"{table}\n{choices}\n```\n{fate}\n```\n".encode())
    run_folder.write_json(args.out / "sweep.json", result)
    print(f"{table}\n{choices}\nwhere training failed, by learning rate:\n{fate}", flush=True)
    say(f"wrote {args.out}")
    page = named_page(closing_page(args, lambda: write_results_report(args.out, SWEEP), say, args.when_stopped))
    if args.json:
        more = {"chosen": result["chosen"]} if "chosen" in result else {}
        shown = {"points": result["points"], **more, "seconds": result["seconds"], "out": str(args.out), **page}
        print(json.dumps(shown), flush=True)
    return ExitCode.DONE


def _sweep(
    recipe: Recipe,
    data: Dataset,
    facts: dict[str, Any],
    args: argparse.Namespace,
    console: Console,
    mesh: Mesh | None,
    made: dict[int, Choice],
    fold: tuple[int, int] | None,
) -> Sweep:
    """Sweep one recipe, on one fold where there are any, keeping each member as it is done, and the choice made."""
    points = points_of(args.learning_rates or [recipe.learning_rate], args.weight_decays or [recipe.weight_decay])
    start = beginning(args, recipe, data)
    which = None if fold is None else f"{fold[1] + 1} of {fold[0]}"
    of_fold = None if which is None else f"{which}, split seed {args.split_seed or 0}"
    more = {"init_from": start.sha256, "deterministic": args.deterministic, "fold": of_fold}
    asked = settings.of_members(recipe, data, facts, more)
    folder = args.out / run_folder.folder_named(recipe.name)
    part, title = ("", recipe.name) if fold is None else (f"-fold{fold[1] + 1}", f"{recipe.name}, fold {which}")
    paths = {(point, seed): folder / _name(point, seed, part) for point in points for seed in range(args.seeds)}
    finished = kept.read_kept(paths, lambda member: _at(asked, member[0]), _curves, _FOREIGN)
    settings.warn_of_other_conditions(paths[member] for member in finished)
    made_under = run_folder.conditions()
    console.say(
        f"{title}: {counted(len(paths), 'member')}, {len(finished)} of them are there, {run_folder.device_name()}"
    )
    began_with = [] if args.init_from is None else told_start(args, None, recipe, data)
    for line in [*told_members(mesh), *began_with]:
        console.say(line)
    missing = len(paths) - len(finished)
    console.phase(f"{title}: {counted(missing, 'member')}", 0, missing)
    trained = itertools.count(1)
    folder.mkdir(parents=True, exist_ok=True)

    def keep(point: Point, seed: int, curves: Curves) -> None:
        lists = {name: [_finite(v) for v in values] for name, values in curves.columns().items()}
        run_folder.write_json(
            paths[point, seed],
            {
                "settings": _at(asked, point),
                "seed": seed,
                "diverged": curves.diverged,
                **lists,
                "environment": made_under,
            },
        )
        end = f"diverged in epoch {curves.diverged}" if curves.diverged else f"{curves.judged_on} {_last(curves):.4f}"
        console.phase(f"{title}: {counted(missing, 'member')}", next(trained), missing)
        console.say(f"{title} rate {point.learning_rate:g} decay {point.weight_decay:g} seed {seed}: {end}")

    return sweep(
        recipe,
        data,
        points,
        range(args.seeds),
        method=Method(args.method),
        choices=made,
        weights=start.weights,
        finished=finished,
        on_curves=keep,
        on_choice=lambda choice: console.say(f"{title}: {choice.reason}"),
        mesh=mesh,
    )


def _name(point: Point, seed: int, part: str) -> str:
    return f"rate{point.learning_rate!r}-decay{point.weight_decay!r}{part}-seed{seed}.json"


def _at(asked: dict[str, Any], point: Point) -> dict[str, Any]:
    return {**asked, **varied(point)}


def _curves(member: dict[str, Any]) -> Curves:
    names = [*_CURVES, *(name for name in _VALIDATION if name in member)]
    lists = {name: np.array([np.nan if v is None else v for v in member[name]], float) for name in names}
    curves = Curves(**lists, diverged=member["diverged"])
    overflown = np.flatnonzero(~np.isfinite(curves.judged(False)))
    return curves._replace(diverged=int(overflown[0]) + 1) if overflown.size else curves


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _last(curves: Curves) -> float:
    accuracy = float(curves.judged(True)[-1])
    return float(curves.judged(False)[-1]) if np.isnan(accuracy) else accuracy


def _result(summaries: list[Summary], sweeps: dict[str, Sweep], seconds: float, seeds: int) -> dict[str, Any]:
    points = [
        {
            "recipe": s.recipe,
            **varied(s.point),
            "seeds": s.seeds,
            **({} if s.folds is None else {"folds": s.folds}),
            "diverged": list(s.diverged),
            "at_chance": s.at_chance,
            **{name: figure._asdict() for name, figure in s.figures._asdict().items()},
        }
        for s in summaries
    ]
    folded = any(s.folds is not None for s in summaries)
    members = [
        {
            "recipe": name,
            **varied(point),
            "seed": number % seeds,
            **({"fold": number // seeds + 1} if folded else {}),
            "diverged": curves.diverged,
            **{
                key: [_finite(v) for v in values]
                for key, values in curves.columns().items()
                if curves.judged_on == "test" or not key.startswith("test_")
            },
        }
        for name, result in sweeps.items()
        for (point, number), curves in result.items()
    ]
    choices = [
        {"recipe": s.recipe, **varied(s.point), "test": s.tested._asdict()} for s in chosen(summaries) if s.tested
    ]
    more = {"chosen": choices} if any(s.tested is not None for s in summaries) else {}
    return {
        "points": points,
        "members": members,
        **more,
        "device": run_folder.device_name(),
        "seconds": round(seconds, 3),
    }
