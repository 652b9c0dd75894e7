"""The claims by subject, one module each, and all of them by day."""

import re

from jaxd2l.claims.claim import Claim, check, show
from jaxd2l.claims.rows import ROWS
from jaxd2l.claims.subjects import (
    arrays,
    building,
    calculus,
    classification,
    convolution,
    fitting,
    keeping,
    lenet,
    networks,
    normalisation,
    regression,
    tables,
)

_MARKUP = re.compile(r"[\\|*_<]")  # of Markdown, in a cell of a table
_SUBJECTS = (
    *(arrays, tables, calculus, regression, classification, fitting),
    *(building, keeping, convolution, lenet, networks, normalisation),
)
CLAIMS: tuple[Claim, ...] = tuple(
    sorted((claim for subject in _SUBJECTS for claim in subject.CLAIMS), key=lambda claim: claim.day)
)


def on_day(day: int) -> tuple[Claim, ...]:
    """The claims of one day of the notes; () where it has none.

    Raises:
        ValueError: the notes have 21 days.
    """
    if not 1 <= day <= 21:
        raise ValueError(f"the notes have days 1 to 21, got {day}")
    return tuple(claim for claim in CLAIMS if claim.day == day)


def of_rows(*rows: str) -> tuple[Claim, ...]:
    """The claims of some rows of `ROWS`, by their names.

    Raises:
        ValueError: there is no such row.
    """
    if unknown := [row for row in rows if row not in ROWS]:
        raise ValueError(f"unknown row {unknown[0]!r}; expected one of {', '.join(ROWS)}")
    return tuple(claim for claim in CLAIMS if claim.row in rows)


def beside(*rows: str) -> str:
    """Run the claims of some rows: a Markdown table with the notes' value and the value here, side by side."""
    lines = ["| the notes | value in the notes | value here | |", "|---|---|---|---|"]
    for outcome in map(check, of_rows(*rows)):
        value = outcome.remark if outcome.value is None else show(outcome.value)
        cells = (outcome.claim.says, show(outcome.claim.notes), value, str(outcome.verdict))
        lines.append(f"| {' | '.join(_MARKUP.sub(r'\\\g<0>', cell) for cell in cells)} |")
    return "\n".join(lines)
