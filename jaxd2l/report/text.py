"""Numbers and tables as text of a fixed width; nothing but the standard library is imported."""

import itertools
import textwrap
from collections.abc import Sequence


def short(number: float | None) -> str:
    """A count in at most five characters: 7,850 -> 7.85k; empty for None."""
    if number is None:
        return ""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:g}"


def short_loss(value: float | None) -> str:
    """A loss in three digits; a dash for None."""
    if value is None:
        return "-"
    return f"{value:.3f}" if value >= 0.01 else f"{value:.3g}"


def columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lines with the cells of each column aligned: the first and last to the left, the others to the right."""
    table = [tuple(header), *(tuple(row) for row in rows)]
    widths = [max(len(row[i]) for row in table) for i in range(len(header))]
    last = len(header) - 1
    lines = [
        "  ".join(cell.ljust(widths[i]) if i in (0, last) else cell.rjust(widths[i]) for i, cell in enumerate(row))
        for row in table
    ]
    return "\n".join(line.rstrip() for line in lines)


def wrapped(widths: Sequence[int], cells: Sequence[str]) -> str:
    """One row of a table, two blanks between its columns, each cell broken into lines of its column's width."""
    parts = [textwrap.wrap(cell, width, break_on_hyphens=False) for cell, width in zip(cells, widths, strict=True)]
    lines = itertools.zip_longest(*parts, fillvalue="")
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
