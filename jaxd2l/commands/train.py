"""`jaxd2l train RECIPE`: train a network on its data and keep everything about the run in a folder."""

import argparse
import json
import sys
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import jax

from jaxd2l import run_folder
from jaxd2l.cli.exit_code import ExitCode
from jaxd2l.cli.signals import StopSignals
from jaxd2l.commands.asked import settings
from jaxd2l.commands.asked.chosen_device import make_deterministic
from jaxd2l.commands.asked.class_weights import weighted
from jaxd2l.commands.asked.data import fitted, in_range, own_data
from jaxd2l.commands.asked.devices import chosen_devices, free_on_each, told_devices
from jaxd2l.commands.asked.page import closing_page
from jaxd2l.commands.asked.page import named as named_page
from jaxd2l.commands.asked.processes import agreed_ending, joined
from jaxd2l.commands.asked.recipe import named, tell_changed_code, with_config
from jaxd2l.commands.asked.start import check_start, told_start
from jaxd2l.commands.asked.streaming import streaming_of_own, told_streaming, told_waiting
from jaxd2l.cost.budget import advice, foreseen_shortage, ran_out, require_memory, windows_alone
from jaxd2l.data import Dataset
from jaxd2l.data.own import kept_data
from jaxd2l.nn.parameters import count
from jaxd2l.report.closing import at_chance, closing_table, kept_weights, summary
from jaxd2l.report.console import Console
from jaxd2l.report.watch.tensorboard import Board, events_folder
from jaxd2l.report.write import write_run_report
from jaxd2l.train import EpochResult, Progress, Recipe, Run, TrainState, compile_program, run_keys
from jaxd2l.train.check_data import require_validation
from jaxd2l.train.recipe import OVERRIDABLE
from jaxd2l.wording import counted

_RUN_SETTINGS = ("seed", "limit_train", "limit_test", "deterministic")
_SPLIT = ("validation_fraction", "split_seed")


def run(args: argparse.Namespace) -> int:
    """Train as asked.

    Raises:
        DivergenceError: the loss became non-finite; the folder holds the last finite weights.
        KeyboardInterrupt: naming the folder and what was finished; the run is saved.
        Terminated: likewise, after SIGTERM.
    """
    if args.resume and args.out is None:
        raise ValueError("--resume goes on with the run in --out DIR; name its folder")
    if args.resume and args.overwrite:
        raise ValueError("--resume keeps the run that --overwrite would replace; give one of them")
    run_folder.require_pace(args.checkpoint_every, args.keep, ("--checkpoint-every", "--keep"))
    with StopSignals() as signals, joined(args) as peers, ExitStack() as stack:
        first = peers is None or peers.first
        if not first:
            args.quiet, args.json, args.no_report, args.tensorboard = True, False, True, None
        return _run(args, signals, stack, first)


def _run(args: argparse.Namespace, signals: StopSignals, stack: ExitStack, first: bool) -> int:
    """Do so; of several processes the first one alone writes and speaks."""
    warn = _warn if first else _say_nothing
    weighed = with_config(args)
    base, code = named(args.recipe)
    found: dict[str, Any] | None = None
    if args.resume and run_folder.begun(args.out):
        with run_folder.FolderLock(args.out) if first else nullcontext():  # refused at once where another run writes
            found = run_folder.read_config(args.out)
    given, before = vars(args), run_folder.plain_settings(found or {})
    names = (*OVERRIDABLE, *_RUN_SETTINGS, *_SPLIT)
    values = {n: before.get(n) if given.get(n) is None else given[n] for n in names}
    values["pictures_together"] = found is None or bool(before.get("pictures_together"))  # as it was divided then
    seed, kept = values["seed"] or 0, kept_data(before)
    base = run_folder.switched_off(base, before)
    own = own_data(args, kept)
    if found is not None and kept is None and own is not None:
        raise ValueError(f"{args.out} holds a run on {found.get('dataset')}; leave --data out or name another folder")
    run_keys(seed)  # refuses a seed out of range before the data is read
    stream = streaming_of_own(args)
    asked = in_range(base, own, code, values)
    if own is None and code is None:
        _configured(args, found, asked, values)  # refuses other settings likewise
    check_start(args, found)
    folder = args.out or run_folder.default_path(base.name, seed)
    if found is None:
        run_folder.check_free(folder, args.overwrite or args.resume)
    events = events_folder(args.tensorboard, folder)
    if values["deterministic"]:
        make_deterministic()
    settings.choose_device(args.device)
    recipe, data, facts = fitted(base, own, values, values["limit_train"], values["limit_test"], kept, code, stream)
    recipe = weighted(recipe, args.class_weights_from, data, weighed)
    tell_changed_code(before)
    config = _configured(args, found, recipe, values)
    require_validation(recipe, data)
    if found is not None and run_folder.is_finished(folder, recipe, data):
        return _report_finished(args, recipe, data, seed, folder) if first else ExitCode.DONE

    mesh = chosen_devices(args.devices, recipe, len(data.train.x), folder if found else None, args.shard_parameters)
    free, devices = free_on_each(mesh), 1 if mesh is None else mesh.size
    streaming = told_streaming(args, recipe, data, free, mesh)
    on_it = data if streaming is None else windows_alone(recipe, data, devices)
    start = [*told_devices(mesh, recipe), *told_start(args, found, recipe, data), *([streaming] if streaming else [])]
    shown = {"rate": recipe.follows_a_schedule, "classified": recipe.hits is not None}
    console = stack.enter_context(Console(quiet=args.quiet, epochs=recipe.epochs, **shown))
    validation = "" if data.validation is None else f", {len(data.validation.x):,} validation"
    parts = f"{len(data.train.x):,} training{validation} and {counted(len(data.test.x), 'test example')}"
    console.say(f"{recipe.name} on {data.name}, {parts}, seed {seed}, {run_folder.device_name()}")
    for line in start:
        console.say(line)
    if free is not None and (shortage := foreseen_shortage(recipe, on_it, free, devices)):
        warn(shortage)
    program = compile_program(recipe, data, mesh=mesh, stream=streaming is not None)
    console.say(f"compiled in {program.compile_seconds:.1f} s")
    console.phase("beginning")
    require_memory(program, data, free_on_each(mesh))
    if program.dropped:
        fills, are = ("fills", "is") if program.dropped == 1 else ("fill", "are")
        dropped = f"{counted(program.dropped, 'example')} of each epoch {fills} no batch of {recipe.batch_size}"
        console.say(f"{dropped} and {are} left out")

    board = None if events is None else Board(events, config, warn)

    def on_epoch(result: EpochResult, state: TrainState) -> None:
        console.epoch(result)
        if board is not None:
            board.epoch(result)

    def on_start(begun: Progress | None) -> None:
        if found is not None and begun is None:
            console.say("no checkpoint yet: beginning again")
        elif begun is not None:
            console.say(f"going on at epoch {begun.epoch}, step {begun.step} of {program.train_steps}")
        signals.deferred = True

    try:
        done = run_folder.fit(
            recipe,
            data,
            seed,
            run_dir=folder,
            resume=args.resume,
            overwrite=args.overwrite,
            init_from=args.init_from,
            init_weights=args.weights,
            checkpoint_every=args.checkpoint_every,
            keep=args.keep,
            settings={**{name: config[name] for name in _RUN_SETTINGS[1:]}, **facts},
            stop=lambda: agreed_ending(signals, mesh),
            warn=warn,
            on_start=on_start,
            on_epoch=on_epoch,
            on_chunk=console.chunk,
            on_progress=console.progress,
            program=program,
            workers=args.workers,
        )
    except jax.errors.JaxRuntimeError as error:
        if not ran_out(error):
            raise
        raise ValueError(
            f"memory ran out at batch size {recipe.batch_size}; {advice(recipe, on_it, free or 0, devices)}"
        ) from error
    if done.stopped_early:
        console.say(f"stopped early: no better epoch in the {recipe.early_stop} after epoch {done.best_epoch}")
    for line in (closing_table(recipe, done), *told_waiting(streaming, done)):
        console.say(line)
    if warning := at_chance(data, done.epochs[-1]):
        console.say(f"warning: {warning}")
    console.say(f"run folder: {folder}")
    console.say(kept_weights(folder, done.epochs))
    if board is not None:
        board.close(folder)
        console.say(f"tensorboard: {events}")
    console.phase("writing the report")
    page = _page(args, recipe, data, folder, console.say)
    console.end()  # a bar wraps what is printed beside it at the terminal's width
    if args.json:
        _print_json(summary(data.name, done, count(done.state.params), program.compile_seconds, folder, devices) | page)
    return ExitCode.DONE


def _configured(
    args: argparse.Namespace, found: dict[str, Any] | None, recipe: Recipe, values: dict[str, Any]
) -> dict[str, Any]:
    """The run's configuration, but for what it says of the data.

    Raises:
        ValueError: another setting than the run `found` began with.
    """
    config = run_folder.configuration(
        recipe,
        values["seed"] or 0,
        limit_train=values["limit_train"],
        limit_test=values["limit_test"],
        deterministic=bool(values["deterministic"]),
        validation_fraction=values["validation_fraction"],
        split_seed=None if values["validation_fraction"] is None else values["split_seed"] or 0,
    )
    if found is not None:
        run_folder.refuse_other_run(args.out, found, config, recipe)
        done, _ = run_folder.finished_epochs(args.out)
        if recipe.epochs < done:
            finished = f"{args.out} has finished {counted(done, 'epoch')} already"
            raise ValueError(f"{finished}; --epochs must be at least that")
    return config


def _report_finished(args: argparse.Namespace, recipe: Recipe, data: Dataset, seed: int, folder: Path) -> int:
    rows = run_folder.whole_rows(folder)
    results = tuple(EpochResult(**row) for row in rows)
    state: Any = None  # not read: the weights file has what the summary tells
    done = Run(recipe, seed, state, results, 0.0, run_folder.read_tested(folder, len(rows)))
    if not args.quiet:
        early = f", stopped early (patience {recipe.early_stop})" if done.stopped_early else ""
        print(f"{folder} is finished: {len(rows)} of {counted(recipe.epochs, 'epoch')}{early}", flush=True)
    run_folder.put_best_in_order(folder, rows, _warn)
    if not args.quiet:
        print(kept_weights(folder, results), flush=True)
    page = named_page(folder / run_folder.REPORT)
    if not (folder / run_folder.REPORT).exists():
        page = _page(args, recipe, data, folder, lambda text: None if args.quiet else print(text, flush=True))
    if args.json:
        _print_json(summary(data.name, done, run_folder.count_parameters(folder), 0.0, folder) | page)
    return ExitCode.DONE


def _page(
    args: argparse.Namespace, recipe: Recipe, data: Dataset, folder: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    kept = f"the run is kept in {folder}; `jaxd2l report` writes its page"
    return named_page(closing_page(args, lambda: write_run_report(folder, data=data, recipe=recipe), say, kept))


def _say_nothing(text: str) -> None:
    """Of several processes the first speaks for all."""


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr, flush=True)


def _print_json(value: dict[str, Any]) -> None:
    print(json.dumps(value, allow_nan=False), flush=True)
