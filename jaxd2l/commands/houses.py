"""`jaxd2l houses`: house prices by K-fold cross-validation, every fold and grid point in one program a family."""

import argparse
import errno
import json
import math
import os
import time
from pathlib import Path
from typing import Any

from jaxd2l.catalogue import AMES_CITATION
from jaxd2l.cli.exit_code import ExitCode
from jaxd2l.commands.asked import settings
from jaxd2l.commands.asked.chosen_device import make_deterministic
from jaxd2l.commands.asked.devices import first_devices, told_members
from jaxd2l.commands.asked.page import closing_page
from jaxd2l.commands.asked.page import named as named_page
from jaxd2l.commands.asked.written import check_writable
from jaxd2l.data import DataError
from jaxd2l.data.houses import Houses, load_ames, read_houses, write_submission
from jaxd2l.data.table import apply_table, fit_table
from jaxd2l.experiments.house_peers import peers
from jaxd2l.experiments.houses import BOOK, LINEAR, SMALL_MLP, Family, Outcome, cross_validate
from jaxd2l.report.console import Console
from jaxd2l.report.text import columns
from jaxd2l.report.write import write_houses_report
from jaxd2l.run_folder import REPORT, device_name
from jaxd2l.selection.folds import assign_folds
from jaxd2l.train import run_keys
from jaxd2l.train.mesh import data_mesh
from jaxd2l.wording import counted


def run(args: argparse.Namespace) -> int:
    """Cross-validate, choose, predict.

    Raises:
        DataError: a file is not what it claims, the two files' columns differ, or every training diverged.
        OSError: a file cannot be read, or the submission not be written; that is asked before anything trains.
    """
    run_keys(args.seed)
    if args.epochs is not None and args.epochs < 1:
        raise ValueError(f"--epochs must be at least 1, got {args.epochs}")
    if (args.train is None) != (args.test is None):
        raise ValueError("--train and --test go together: a training file and the rows to predict")
    submission = args.submission or (Path("submission.csv") if args.test is not None else None)
    if submission is not None:
        check_writable(submission, "--submission", "the submission", (args.train, args.test))
    if not args.no_report and args.out.exists() and not args.out.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(args.out))
    if args.deterministic:
        make_deterministic()
    settings.choose_device(args.device)
    say = (lambda text: None) if args.quiet else (lambda text: print(text, flush=True))
    train, test = load_ames() if args.train is None else _files(args.train, args.test)
    fold = assign_folds(len(train.ids), args.folds, args.seed)
    source = AMES_CITATION if args.train is None else str(args.train)
    mesh = data_mesh(first_devices(args.devices or "all"))
    say(
        f"{source}: {len(train.ids):,} training and {counted(len(test.ids), 'test row')}, {args.folds} folds, "
        f"{device_name()}"
    )
    remarks = _remarks(train, test, (args.train, args.test))
    for line in [*told_members(mesh), *remarks]:
        say(line)

    began = time.perf_counter()
    outcomes = []
    families = _families(args.epochs)
    with Console(quiet=args.quiet, epochs=1) as console:
        for number, family in enumerate(families):
            console.phase(f"{family.name} ({number + 1} of {len(families)})")
            try:
                outcome = cross_validate(family, train, test, fold, mesh)
            except ArithmeticError as error:  # one family's trainings; the others may do
                console.say(f"{family.name} is left out: {error}")
                continue
            outcomes.append(outcome)
            console.say(
                f"{family.name}: {counted(outcome.scores.size, 'training')}, compiled in "
                f"{outcome.compile_seconds:.1f} s, run in {outcome.seconds:.1f} s"
            )
    seconds = time.perf_counter() - began
    if not outcomes:
        raise DataError("every training of every model diverged; look for values far beyond all others")
    chosen = min(outcomes, key=lambda outcome: outcome.log_rmse)
    if submission is not None:
        write_submission(submission, test.ids, chosen.test_price)
    beside = [] if args.no_peers else _peers(train, test, fold, say)
    say(_table([*outcomes, *beside], chosen))
    say(
        f"chosen by out-of-fold error: {chosen.name}, {_settings(chosen)}; the test rows are predicted by the mean of "
        f"its {chosen.scores.shape[1] * chosen.scores.shape[2]} fold models"
    )
    if submission is not None:
        say(f"wrote {submission}")

    def write() -> Path:
        points = {family.name: family.points for family in _families(args.epochs)}
        all_of_them = [*outcomes, *beside]
        return write_houses_report(
            args.out / REPORT, all_of_them, chosen, remarks, points=points, test_price=test.price
        )

    kept = "nothing else is left to do" if submission is None else f"{submission} is written"
    page = named_page(closing_page(args, write, say, kept))
    if args.json:
        found = _summary(chosen, outcomes, beside, seconds, args) | page
        print(json.dumps(found, allow_nan=False), flush=True)
    return ExitCode.DONE


def _families(epochs: int | None) -> tuple[Family, ...]:
    families = (BOOK, LINEAR, SMALL_MLP)
    return families if epochs is None else tuple(family._replace(epochs=epochs) for family in families)


def _files(train: Path, test: Path) -> tuple[Houses, Houses]:
    houses, rows = read_houses(train), read_houses(test, needs_price=False)
    return houses, rows


def _remarks(train: Houses, test: Houses, files: tuple[Path | None, Path | None]) -> list[str]:
    """What the tables leave out or have not seen; the check of the columns comes before any training."""
    try:
        table = fit_table(train.features)
    except DataError as error:
        raise DataError(f"{files[0]}: {error}") from error
    try:
        unseen = apply_table(table, test.features).unseen
    except DataError as error:
        raise DataError(f"{files[1]}: {error}") from error
    lines = list(table.notes)
    if unseen:
        counts = ", ".join(f"{name} {count}" for name, count in unseen.items())
        lines.append(f"test values that no training row has, taken as none of the known: {counts}")
    return lines


def _peers(train: Houses, test: Houses, fold: Any, say: Any) -> list[Outcome]:
    try:
        return peers(train, test, fold)
    except ModuleNotFoundError:
        say("scikit-learn is not installed: its rows are left out (pip install scikit-learn)")
        return []


def _settings(outcome: Outcome) -> str:
    if outcome.point is None:
        return ""
    rate, decay, dropout = outcome.point
    return f"learning rate {rate:g}, weight decay {decay:g}, dropout {dropout:g}"


def _table(outcomes: list[Outcome], chosen: Outcome) -> str:
    rows = [
        (
            ("* " if outcome is chosen else "  ") + outcome.name,
            f"{outcome.log_rmse:.4f}",
            f"{outcome.deviation:.4f}",
            "" if outcome.test_log_rmse is None else f"{outcome.test_log_rmse:.4f}",
            str(outcome.scores.size),
            f"{outcome.seconds:.1f}",
            _settings(outcome),
        )
        for outcome in outcomes
    ]
    return columns(("  model", "log-RMSE", "deviation", "test", "fits", "seconds", "best settings"), rows)


def _summary(
    chosen: Outcome,
    outcomes: list[Outcome],
    beside: list[Outcome],
    seconds: float,
    args: argparse.Namespace,
) -> dict[str, Any]:
    def row(outcome: Outcome) -> dict[str, Any]:
        return {
            "model": outcome.name,
            "configuration": None if outcome.point is None else dict(outcome.point._asdict()),
            "log_rmse": _finite(outcome.log_rmse),
            "log_rmse_deviation": _finite(outcome.deviation),
            "test_log_rmse": _finite(outcome.test_log_rmse),
            "fits": outcome.scores.size,
            "compile_seconds": round(outcome.compile_seconds, 3),
            "seconds": round(outcome.seconds, 3),
        }

    return {
        "log_rmse": _finite(chosen.log_rmse),
        "log_rmse_deviation": _finite(chosen.deviation),
        "test_log_rmse": _finite(chosen.test_log_rmse),
        "configuration": {"model": chosen.name, **(chosen.point._asdict() if chosen.point else {})},
        "seconds": round(seconds, 3),
        "folds": args.folds,
        "seed": args.seed,
        "device": device_name(),
        "models": [row(outcome) for outcome in [*outcomes, *beside]],
    }


def _finite(value: float | None) -> float | None:
    """None for what JSON cannot hold: the error of a model whose prices are beyond all bounds."""
    return value if value is not None and math.isfinite(value) else None
