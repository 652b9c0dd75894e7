"""`jaxd2l thaw FILE`: a frozen run trained again and compared; imports no network, no recipe and no Flax."""

import argparse
import json
import math
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from jaxd2l.cli.exit_code import ExitCode
from jaxd2l.cli.output import bar_on_stderr
from jaxd2l.cli.signals import StopSignals
from jaxd2l.commands.asked.chosen_device import choose_device, make_deterministic
from jaxd2l.frozen.container import Frozen, read_frozen
from jaxd2l.frozen.folder import Folder, default_folder, require_free
from jaxd2l.frozen.outcome import Outcome, compare, not_promised
from jaxd2l.frozen.programs import compile_programs, require_flatbuffers
from jaxd2l.frozen.replay import Standing, Thawed, thaw
from jaxd2l.frozen.rows import find_rows
from jaxd2l.machine.conditions import device_name
from jaxd2l.wording import counted


def run(args: argparse.Namespace) -> int:
    """Thaw as asked.

    Raises:
        ValueError: the folder holds something, or an option that means nothing here.
        DataError: the file, its data or the folder are damaged, gone or others.
        ArithmeticError: the loss became non-finite.
        KeyboardInterrupt: naming what is kept; Terminated likewise, after SIGTERM.
        OSError: something cannot be read or written.
    """
    if args.check and (args.resume or args.out is not None):
        raise ValueError("--check writes nothing; leave --out and --resume out")
    require_flatbuffers()
    frozen = read_frozen(args.file)
    out = args.out or default_folder(args.file)
    if not args.check and not args.resume:
        require_free(out, frozen)
    with StopSignals() as signals:
        return _run(args, frozen, None if args.check else Folder(out, frozen, signals.ending), signals)


def _run(args: argparse.Namespace, frozen: Frozen, folder: Folder | None, signals: StopSignals) -> int:
    say: Callable[[str], None] = (lambda text: None) if args.quiet else (lambda text: print(text, flush=True))
    facts = frozen.facts
    if facts["config"].get("deterministic"):
        make_deterministic()
    choose_device(args.device)
    jax, device = (facts["environment"].get(name, "unknown") for name in ("jax", "device"))
    run_of = f"{facts['recipe']} on {facts['data']['name']}, seed {facts['config'].get('seed', 0)}"
    say(f"{run_of}, {counted(facts['epochs'], 'epoch')}, recorded with jax {jax} on {device}; here {device_name()}")
    elsewhere = not_promised(frozen)
    if elsewhere:
        _note(f"the recorded bits are not promised here: {'; '.join(elsewhere)}")
    rows = find_rows(frozen, args.data, _note)
    programs = compile_programs(frozen, _note)
    start, best = None, None
    if folder is not None:
        kept = folder.restore() if args.resume and folder.path.exists() else None
        if kept is None:
            folder.begin()
        else:
            start, best = kept
            say(f"going on at epoch {start.epoch}, step {start.step} of {facts['train_steps']}")
        signals.deferred = True
    with _bar(args.quiet, facts) as progress:
        done = thaw(
            frozen,
            rows,
            programs=programs,
            start=start,
            best=best,
            on_epoch=lambda row, state: _epoch(row, state, frozen, folder, say),
            on_piece=lambda now: _piece(now, folder, progress),
            on_note=_note,
        )
    if folder is not None:
        folder.close(done)
    outcome = compare(frozen, done)
    say(str(outcome))
    if folder is not None:
        say(f"run folder: {folder.path}")
    if args.json:
        print(json.dumps(_summary(args, frozen, folder, done, outcome, elsewhere), allow_nan=False), flush=True)
    return ExitCode.DONE if outcome.same or (elsewhere and not args.check) else ExitCode.REFUTED


def _epoch(row: dict[str, Any], state: Any, frozen: Frozen, folder: Folder | None, say: Callable[[str], None]) -> None:
    if folder is not None:
        folder.epoch(row, state)
    recorded = frozen.facts["rows"][row["epoch"] - 1]
    names = [name for name in row if name.endswith(("_loss", "_accuracy")) and row[name] is not None]
    same = all(row[name] == recorded[name] for name in names)
    figures = "  ".join(f"{name.replace('_', ' ')} {row[name]:.4g}" for name in names)
    say(
        f"epoch {row['epoch']:>{len(str(frozen.facts['epochs']))}}/{frozen.facts['epochs']}  {figures}  "
        f"{row['images_per_second']:,.0f} images/s  {'as recorded' if same else 'not as recorded'}"
    )


def _piece(now: Standing, folder: Folder | None, progress: Callable[[int], None]) -> None:
    progress(len(now.rows) * now.record["loss"].shape[0] + now.step)
    if folder is not None:
        folder.piece(now)


def _note(line: str) -> None:
    print(f"note: {line}", file=sys.stderr, flush=True)


def _bar(quiet: bool, facts: dict[str, Any]) -> AbstractContextManager[Callable[[int], None]]:
    """A bar on stderr for all updates, where that is a terminal."""
    return bar_on_stderr("training again", facts["epochs"] * facts["train_steps"], quiet=quiet)


def _summary(
    args: argparse.Namespace,
    frozen: Frozen,
    folder: Folder | None,
    done: Thawed,
    outcome: Outcome,
    elsewhere: list[str],
) -> dict[str, Any]:
    finite = lambda apart: {name: by if math.isfinite(by) else None for name, by in apart.items()}  # noqa: E731
    return {
        "file": str(args.file),
        "run_dir": None if folder is None else str(folder.path),
        "recipe": frozen.facts["recipe"],
        "epochs": outcome.epochs,
        "same": outcome.same,
        "promised": not elsewhere,
        "not_promised": elsewhere,
        "figures": finite(outcome.figures),
        "weights": finite(outcome.weights),
        "last": done.rows[-1],
        "tested": done.tested,
        "seconds": round(done.seconds, 3),
        "device": device_name(),
    }
