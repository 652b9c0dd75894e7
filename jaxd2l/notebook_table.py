"""A table as notebooks show it; imports nothing, so that everything may have one."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any


def html_table(caption: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """An HTML table with every text escaped.

    Args:
        caption: above it.
        header: of each column.
        rows: cells; None is a dash, a float has four digits.
    """

    def line(tag: str, cells: Iterable[Any]) -> str:
        return f"<tr>{''.join(f'<{tag}>{escape(_text(cell))}</{tag}>' for cell in cells)}</tr>"

    body = "".join(line("td", row) for row in rows)
    return f"<table><caption>{escape(caption)}</caption>{line('th', header)}{body}</table>"


def _text(cell: Any) -> str:
    if cell is None:
        return "\u2013"
    return f"{cell:.4g}" if isinstance(cell, float) else f"{cell:,}" if type(cell) is int else str(cell)
