"""`jaxd2l reproduce [RECIPE ...]`: train the book's table over several seeds, beside the published figures.

A sweep over seeds at each recipe's own rates. Each finished seed is one small file, so a stopped reproduction goes on
where it was.
"""

import argparse
import json
from typing import Any

from jaxd2l import run_folder
from jaxd2l.catalogue import BOOK
from jaxd2l.cli.exit_code import ExitCode
from jaxd2l.commands.asked import settings
from jaxd2l.commands.asked.chosen_device import make_deterministic
from jaxd2l.commands.asked.class_weights import weighted
from jaxd2l.commands.asked.data import fitted, in_range, own_data
from jaxd2l.commands.asked.page import closing_page
from jaxd2l.commands.asked.page import named as named_page
from jaxd2l.commands.asked.recipe import named, with_config_of_many
from jaxd2l.commands.asked.start import Beginning, beginning, check_start, told_start
from jaxd2l.cost.budget import require_memory
from jaxd2l.data import Dataset
from jaxd2l.machine.device import default_device
from jaxd2l.nn.parameters import count
from jaxd2l.recipes import RECIPES
from jaxd2l.report import kept
from jaxd2l.report.console import Console, epoch_line
from jaxd2l.report.table import markdown, summarise
from jaxd2l.report.write import RESULTS, write_results_report
from jaxd2l.train import DivergenceError, Recipe, compile_program, fit, run_keys
from jaxd2l.train.check_data import require_validation
from jaxd2l.train.program import initial_state
from jaxd2l.wording import counted

_FOREIGN = "no result of this command ({error}); remove it to run that seed again"
SMALL_MACS = 1e6  # what a laptop's CPU trains in minutes


def run(args: argparse.Namespace) -> int:
    """Train what is missing, then print and write the table.

    Raises:
        DataError: a kept seed was made with other settings.
        DivergenceError: the loss became non-finite.
    """
    if args.seeds < 1:
        raise ValueError(f"--seeds must be at least 1, got {args.seeds}")
    weighed = with_config_of_many(args)
    check_start(args, None)
    if args.deterministic:
        make_deterministic()
    settings.choose_device(args.device)
    own = own_data(args)
    bases = [named(name) for name in args.recipes or _default_names()]
    for base, code in bases:
        in_range(base, own, code, vars(args))  # refused before the first one runs
    settings.require_different_names([base for base, _ in bases])
    outcomes = []
    for base, code in bases:
        recipe, data, facts = fitted(base, own, vars(args), args.limit_train, args.limit_test, code=code)
        recipe = weighted(recipe, args.class_weights_from, data, weighed)
        require_validation(recipe, data)
        outcomes.append((recipe, _runs_of(recipe, data, facts, beginning(args, recipe, data), args)))
    rows = [summarise(recipe, runs) for recipe, runs in outcomes]
    table = markdown(rows)
    results = {recipe.name: runs for recipe, runs in outcomes}
    run_folder.write_atomically(args.out / "table.md", (table + "\n").encode())
    run_folder.write_json(args.out / "results.json", results)
    print(table, flush=True)
    say = (lambda text: None) if args.quiet else (lambda text: print(text, flush=True))
    page = named_page(closing_page(args, lambda: write_results_report(args.out, RESULTS), say, args.when_stopped))
    if args.json:
        print(json.dumps({"rows": [row.as_json() for row in rows], "out": str(args.out), **page}, allow_nan=False))
    return ExitCode.DONE


def _default_names() -> list[str]:
    """The book's recipes; on a CPU those that are known to be small."""
    everything = default_device().platform != "cpu"
    return [name for name in BOOK if everything or (RECIPES[name].macs or SMALL_MACS) < SMALL_MACS]


def _runs_of(
    recipe: Recipe, data: Dataset, facts: dict[str, Any], start: Beginning, args: argparse.Namespace
) -> list[dict[str, Any]]:
    """The runs of all seeds: the kept ones read, the missing ones trained with one compiled program.

    One after another, never as one program: how long a run takes is one of the figures.
    """
    asked = settings.of_members(recipe, data, facts, {"init_from": start.sha256, "deterministic": args.deterministic})
    folder = args.out / run_folder.folder_named(recipe.name)
    paths = {seed: folder / f"seed{seed}.json" for seed in range(args.seeds)}
    for seed in paths:
        run_keys(seed)
    runs = kept.read_kept(paths, lambda seed: asked, dict[str, Any], _FOREIGN)
    settings.warn_of_other_conditions(paths[seed] for seed in runs)
    missing = [seed for seed in paths if seed not in runs]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        shown = {"rate": recipe.follows_a_schedule, "classified": recipe.hits is not None}
        with Console(quiet=args.quiet, epochs=recipe.epochs, runs=len(missing), **shown) as console:
            console.say(
                f"{recipe.name}: {len(runs)} of {counted(args.seeds, 'seed')} are there; training {len(missing)}"
            )
            for line in told_start(args, None, recipe, data):
                console.say(line)
            program = compile_program(recipe, data)
            console.say(f"{recipe.name}: compiled in {program.compile_seconds:.1f} s")
            require_memory(program, data)
            for number, seed in enumerate(missing):
                console.next_run(number)
                weights = None
                if start.weights is not None:
                    drawn = initial_state(program, seed, recipe.learning_rate, recipe.weight_decay)
                    weights = start.weights(drawn)
                try:
                    done = fit(
                        recipe,
                        data,
                        seed,
                        program=program,
                        weights=weights,
                        on_progress=console.progress,
                        on_chunk=console.chunk,
                    )
                except DivergenceError as error:
                    error.args = (f"{recipe.name} seed {seed}: {error} (--clip-norm 1)",)
                    raise
                tested = {name: judged._asdict() for name, judged in done.tested.items()}
                runs[seed] = {
                    "recipe": recipe.name,
                    "seed": seed,
                    "settings": asked,
                    "parameters": count(done.state.params),
                    "compile_seconds": program.compile_seconds,
                    "epochs": [result.row() for result in done.epochs],
                    **({"tested": tested} if tested else {}),
                    "environment": run_folder.environment(data),
                }
                run_folder.write_json(paths[seed], runs[seed])
                console.say(f"{recipe.name} seed {seed}: {epoch_line(done.epochs[-1], recipe.epochs)}")
    return [runs[seed] for seed in paths]
