"""`jaxd2l reproduce [RECIPE ...]`: train the book's table over several seeds, beside the published figures.

Each finished seed is one small file, so a stopped reproduction goes on where it was.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from jaxd2l import run_folder
from jaxd2l.cli.exit_code import ExitCode
from jaxd2l.commands import settings
from jaxd2l.commands.asked.class_weights import weighted
from jaxd2l.commands.asked.data import fitted, in_range, own_data
from jaxd2l.commands.asked.recipe import named
from jaxd2l.cost.budget import require_memory
from jaxd2l.data import DataError, Dataset
from jaxd2l.nn.parameters import count
from jaxd2l.recipes import RECIPES
from jaxd2l.report.console import Console, epoch_line
from jaxd2l.report.table import markdown, summarise
from jaxd2l.train import Program, Recipe, compile_program, fit, run_keys
from jaxd2l.train.device import default_device
from jaxd2l.train.recipe import complete

SMALL_MACS = 1e6  # what a laptop's CPU trains in minutes


def run(args: argparse.Namespace) -> int:
    """Train what is missing, then print and write the table.

    Raises:
        DataError: a kept seed was made with other settings.
        DivergenceError: the loss became non-finite.
    """
    if args.seeds < 1:
        raise ValueError(f"--seeds must be at least 1, got {args.seeds}")
    settings.choose_device(args.device)
    own = own_data(args)
    bases = [named(name) for name in args.recipes or _default_names()]
    for base, code in bases:
        in_range(base, own, code, vars(args))  # refused before the first one runs
    settings.require_different_names([base for base, _ in bases])
    outcomes = []
    for base, code in bases:
        recipe, data, facts = fitted(base, own, vars(args), args.limit_train, args.limit_test, code=code)
        recipe = weighted(recipe, args.class_weights_from, data)
        outcomes.append((recipe, _runs_of(recipe, data, facts, args)))
    rows = [summarise(recipe, runs) for recipe, runs in outcomes]
    table = markdown(rows)
    results = {recipe.name: runs for recipe, runs in outcomes}
    run_folder.write_atomically(args.out / "table.md", (table + "\n").encode())
    run_folder.write_json(args.out / "results.json", results)
    print(table)
    if args.json:
        print(json.dumps({"rows": [row._asdict() for row in rows], "out": str(args.out)}, allow_nan=False))
    return ExitCode.DONE


def _default_names() -> list[str]:
    everything = default_device().platform != "cpu"
    return [name for name, recipe in RECIPES.items() if everything or (recipe.macs or 0) < SMALL_MACS]


def _runs_of(recipe: Recipe, data: Dataset, facts: dict[str, Any], args: argparse.Namespace) -> list[dict[str, Any]]:
    """The runs of all seeds: the kept ones read, the missing ones trained with one compiled program."""
    asked = settings.of_members(recipe, data, facts)
    folder = args.out / recipe.name
    runs: dict[int, dict[str, Any]] = {}
    for seed in range(args.seeds):
        run_keys(seed)
        if (folder / f"seed{seed}.json").exists():
            runs[seed] = _kept(folder / f"seed{seed}.json", asked)
    settings.warn_of_other_conditions(folder / f"seed{seed}.json" for seed in runs)
    missing = [seed for seed in range(args.seeds) if seed not in runs]
    if not missing:
        return [runs[seed] for seed in range(args.seeds)]
    folder.mkdir(parents=True, exist_ok=True)
    with Console(quiet=args.quiet, epochs=recipe.epochs, rate=recipe.follows_a_schedule) as console:
        console.say(f"{recipe.name}: {len(runs)} of {args.seeds} seeds are there; training {len(missing)}")
        program: Program = compile_program(recipe, data)
        console.say(f"{recipe.name}: compiled in {program.compile_seconds:.1f} s")
        require_memory(program, data)
        for seed in missing:
            done = fit(recipe, data, seed, program=program, on_progress=console.progress)
            runs[seed] = {
                "recipe": recipe.name,
                "seed": seed,
                "settings": asked,
                "parameters": count(done.state.params),
                "compile_seconds": program.compile_seconds,
                "epochs": [result._asdict() for result in done.epochs],
                "environment": run_folder.environment(data),
            }
            run_folder.write_json(folder / f"seed{seed}.json", runs[seed])
            console.say(f"{recipe.name} seed {seed}: {epoch_line(done.epochs[-1], recipe.epochs)}")
    return [runs[seed] for seed in range(args.seeds)]


def _kept(path: Path, asked: dict[str, Any]) -> dict[str, Any]:
    try:
        run: dict[str, Any] = json.loads(path.read_bytes())
        found = complete(run["settings"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: no result of this command ({error!r}); remove it to run that seed again") from error
    differing = sorted(name for name in {*asked, *found} if asked.get(name) != found.get(name))
    if differing:
        name = differing[0]
        raise DataError(
            f"{path} was made with {name} {found.get(name)!r}, asked is {asked.get(name)!r}; "
            "name another --out, or remove the file"
        )
    return run
