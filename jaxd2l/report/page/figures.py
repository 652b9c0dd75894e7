"""Figures as text: losses, shares, counts and bytes as every page writes them."""

import math
from typing import Any

from jaxd2l.report.page.html import Markup, element


def share(value: float | None, digits: int = 3) -> str:
    """A share in [0, 1] such as 0.823; a dash where there is none."""
    return "\u2013" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def loss(value: float | None) -> str:
    """A loss with three decimals, or three digits below 0.01."""
    if value is None or not math.isfinite(value):
        return "\u2013"
    return f"{value:.3f}" if 0.01 <= abs(value) < 1e5 or value == 0 else f"{value:.3g}"


def amount(value: Any) -> str:
    """A whole number with separators; other values as they are."""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def in_bytes(value: float) -> str:
    """Bytes in the unit that leaves one to four digits before the point."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.3g} {unit}" if value < 1000 else f"{value:.0f} {unit}"
        value /= 1024
    return f"{value:.3g} TiB"


def duration(seconds: float) -> str:
    """Seconds as a person says them: 12.3 s, 4 min 5 s, 2 h 3 min."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def key_figures(entries: list[tuple[str, str, str]]) -> Markup:
    """The figures that a reader looks for first: `(what, figure, remark)` each."""
    cells = [
        element("div", element("dt", what), element("dd", figure, element("small", remark) if remark else None))
        for what, figure, remark in entries
    ]
    return element("dl", cells, class_="figures")
