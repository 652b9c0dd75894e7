"""`jaxd2l verify`: every claim of the founding notes, run and compared."""

import argparse
import json
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jaxd2l.cli.exit_code import ExitCode
from jaxd2l.cli.signals import StopSignals, Terminated
from jaxd2l.commands.asked import settings
from jaxd2l.report.text import wrapped
from jaxd2l.wording import counted

if TYPE_CHECKING:
    from jaxd2l.claims import Claim, Outcome
    from jaxd2l.claims.claim import Seeds
    from jaxd2l.claims.trained import Trainings

OUT = Path("runs/verify")
_WIDEST = 120
_DAY, _VERDICT, _GAPS = 3, 9, 8


def run(args: argparse.Namespace) -> int:
    """Run the claims one after another, a row of the table each.

    Raises:
        ValueError: the notes have no such day.
    """
    if args.day is not None and not 1 <= args.day <= 21:
        raise ValueError(f"--day must be 1 to 21, the days of the notes, got {args.day}")
    if args.out is not None and not args.full:
        raise ValueError("--out is where --full keeps its trainings; give --full too")
    settings.choose_device(args.device)
    from jaxd2l.claims import CLAIMS, Verdict, on_day

    claims = CLAIMS if args.day is None else on_day(args.day)
    began = time.perf_counter()
    with StopSignals() as signals:
        trainings = _trainings(args.out or OUT, signals) if args.full else None
        try:
            outcomes = _run(claims, trainings)
        except (KeyboardInterrupt, Terminated) as stop:
            raise (type(stop)(signals.where) if args.full else stop) from None
    seconds = time.perf_counter() - began
    for verdict, heading in _HEADINGS.items():
        _list(
            heading,
            [f"day {o.claim.day}: {o.claim.says.rstrip('.')}: {o.remark}" for o in outcomes if o.verdict == verdict],
        )
    _list("Stored results, which --full trains again:", sorted({o.remark for o in outcomes if o.stored}))
    if trainings is not None and trainings.made:
        _list(f"Trained again, kept in {trainings.folder}:", [_told(*one) for one in trainings.made.items()])
    counts = Counter(outcome.verdict for outcome in outcomes)
    summary = ", ".join(f"{counts[verdict]} {_WORDS[verdict]}" for verdict in Verdict)
    print(
        f"\n{counted(len(outcomes), 'claim')} in {seconds:.0f} s: {summary}"
        if outcomes
        else f"day {args.day} has no claim to run"
    )
    if args.json:
        found = {
            "claims": [outcome.as_json() for outcome in outcomes],
            "counts": {str(verdict): counts[verdict] for verdict in Verdict},
            "seconds": round(seconds, 3),
        }
        print(json.dumps(found, allow_nan=False))
    return ExitCode.REFUTED if counts[Verdict.FAILS] else ExitCode.DONE


def _run(claims: Sequence["Claim"], trainings: "Trainings | None") -> list["Outcome"]:
    """A row of the table each, as it comes."""
    from jaxd2l.claims import check, show

    widths, outcomes = _widths(), []
    print(wrapped(widths, ("day", "claim", "in the notes", "here", "verdict")))
    for claim in claims:
        outcome = check(claim, trainings)
        outcomes.append(outcome)
        verdict = f"{outcome.verdict} (stored)" if outcome.stored else str(outcome.verdict)
        cells = (str(claim.day), claim.says, show(claim.notes), show(outcome.value), verdict)
        print(wrapped(widths, cells), flush=True)
    return outcomes


def _trainings(out: Path, signals: StopSignals) -> "Trainings":
    """Long trainings in a folder, shown while they go; a signal stops them once they are saved."""
    from jaxd2l.claims.trained import Trainings
    from jaxd2l.report.console import Console

    signals.where = f"what is trained is kept in {out}; run the same command to go on"

    def deferred(begun: bool) -> None:
        signals.deferred = begun

    return Trainings(
        out,
        watched=lambda recipe, runs: Console(
            quiet=False, epochs=recipe.epochs, classified=recipe.hits is not None, runs=max(runs, 1)
        ),
        stop=signals.ending,
        on_start=deferred,
    )


def _told(called: str, figures: "Seeds") -> str:
    """Such as `lenet: 5 seeds, 10 epochs`."""
    number, epochs, _ = figures.shape
    return f"{called}: {counted(number, 'seed')}, {counted(epochs, 'epoch')}"


_HEADINGS = {"slip": "Slips of the notes:", "FAILS": "FAILS:", "not run": "Not run:"}
_WORDS = {"agrees": "agree", "slip": "slip in the notes", "FAILS": "fail", "not run": "not run"}


def _widths() -> tuple[int, ...]:
    """Of the five columns, by the width of the terminal; half of what is free for the claim."""
    free = min(shutil.get_terminal_size().columns, _WIDEST) - _DAY - _VERDICT - _GAPS
    value = max(free // 4, 8)
    return _DAY, max(free - 2 * value, 8), value, value, _VERDICT


def _list(heading: str, lines: Sequence[str]) -> None:
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    if lines:
        print(f"\n{heading}")
    for line in lines:
        print(wrapped((1, width - 4), ("-", line)))
