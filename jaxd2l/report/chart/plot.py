"""Charts: curves over epochs, bars by name, a reliability diagram, points. Values in, a `Drawing` out."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from jaxd2l.report.chart.drawing import CHARACTER, Bar, Dot, Drawing, Line, Mark, Words, shortened, width_of
from jaxd2l.report.chart.scale import Scale, label, linear_ticks, scale_of, wants_log, whole_ticks
from jaxd2l.report.page.style import SERIES
from jaxd2l.wording import counted

WIDTH = 420.0
_LEFT, _RIGHT, _TOP, _PLOT = 54.0, 12.0, 34.0, 200.0  # of left and right at least; more where a label needs it
_BEFORE = 6.0  # between the labels of y and its axis
_DASHES = ((7.0, 4.0), (2.0, 4.0), (10.0, 3.0, 2.0, 3.0), (4.0, 2.0), (1.0, 3.0), (12.0, 5.0))
_Entry = tuple[str, int | None, tuple[float, ...]]
_MARKED = 30  # points up to which each has a marker


class Series(NamedTuple):
    """A curve: a value for each x, NaN where there is none; `colour` picks colour and marker."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int
    thin: bool = False


class Level(NamedTuple):
    """A figure to compare with: a dashed line across the plot in the colour of its curve."""

    source: str
    value: float
    colour: int


def lines(
    title: str,
    series: Sequence[Series],
    *,
    x_label: str = "epoch",
    y_label: str = "",
    levels: Sequence[Level] = (),
    share: bool = False,
) -> Drawing:
    """Draw curves over whole numbers, such as epochs, or over any others.

    Args:
        title: above the plot.
        series: curves; those without a finite value stand in the legend alone.
        x_label: what x counts or measures.
        y_label: what y is.
        levels: published figures; each source has its own dashes, in the legend.
        share: y is a share in [0, 1].

    Returns:
        The chart; its y axis is logarithmic where positive values lie further apart than a factor of 50.
    """
    values = [v for s in series for v in s.y] + [level.value for level in levels]
    log = not share and wants_log(values)
    y = scale_of(values, _TOP + _PLOT, _TOP, log=log, zero=not log and not share)
    if share:
        y = y._replace(low=max(0.0, y.low), high=min(1.0, max(y.high, 1e-3)))
    steps = [v for s in series for v in s.x]
    first, last = min(steps, default=1), max(steps, default=1)
    whole = all(float(v).is_integer() for v in steps)
    alone = 0.5 if first == last else 0
    ticks = whole_ticks(int(first), int(last)) if whole else linear_ticks(first, last)
    x = _beside(Scale(first - alone, last + alone, _LEFT, WIDTH - _RIGHT), ticks, y)
    marks = _axes(title, x, y, ticks, x_label, ", ".join(filter(None, (y_label, "logarithmic" if log else ""))))
    sources = list(dict.fromkeys(level.source for level in levels))
    for level in levels:
        if math.isfinite(level.value):
            at, dash = y(level.value), _DASHES[sources.index(level.source) % len(_DASHES)]
            marks.append(Line(((x.start, at), (x.stop, at)), f"line thin series-{level.colour % SERIES}", dash))
    for s in series:
        marks += _curve(s, x, y)
    legend: list[_Entry] = [(s.name, s.colour % SERIES, ()) for s in series if s.name]
    legend += [(source, None, _DASHES[i % len(_DASHES)]) for i, source in enumerate(sources)]
    drawn, height = _legend(legend, _TOP + _PLOT + 46)
    return Drawing(WIDTH, height, title, _described(title, series, levels), (*marks, *drawn))


def _beside(x: Scale, x_ticks: Sequence[float], y: Scale) -> Scale:
    """The x axis as far from the edges as the labels of both axes need."""
    left = _BEFORE + max(width_of(label(tick)) for tick in y.ticks())
    right = max(width_of(label(tick)) for tick in x_ticks) / 2
    return x._replace(start=max(_LEFT, left), stop=WIDTH - max(_RIGHT, right))


def _axes(title: str, x: Scale, y: Scale, x_ticks: Sequence[float], x_label: str, y_label: str) -> list[Mark]:
    marks: list[Mark] = [Words((0, 14), title, style="title")]
    for tick in y.ticks():
        marks.append(Line(((x.start, y(tick)), (x.stop, y(tick))), "grid"))
        marks.append(Words((x.start - _BEFORE, y(tick) + 4.5), label(tick), "end", "quiet"))
    marks.append(Line(((x.start, y.stop), (x.start, y.start), (x.stop, y.start)), "axis"))
    for tick in x_ticks:
        marks.append(Line(((x(tick), y.start), (x(tick), y.start + 4)), "axis"))
        marks.append(Words((x(tick), y.start + 18), label(tick), "middle", "quiet"))
    middle = (x.start + x.stop) / 2
    marks.append(Words((middle, y.start + 34), x_label, "middle", "quiet"))
    if y_label:
        marks.append(Words((WIDTH - _RIGHT, 14), y_label, "end", "quiet"))
    return marks


def _curve(series: Series, x: Scale, y: Scale) -> list[Mark]:
    colour = series.colour % SERIES
    marks: list[Mark] = []
    piece: list[tuple[float, float]] = []
    for i, value in [*zip(series.x, series.y, strict=True), (0, math.nan)]:
        if math.isfinite(value) and (value > 0 or not y.log):
            piece.append((x(i), y(value)))
        else:
            if len(piece) > 1:
                marks.append(Line(tuple(piece), f"{'thin' if series.thin else 'line'} series-{colour}"))
            if piece and not series.thin and len(series.x) <= _MARKED:
                marks += [Dot(at, colour) for at in piece]
            elif len(piece) == 1:
                marks.append(Dot(piece[0], colour, 2.5))
            piece = []
    return marks


def _legend(entries: Sequence[_Entry], top: float) -> tuple[list[Mark], float]:
    """Entries in rows below the plot, and the height with them."""
    marks: list[Mark] = []
    left, row = _LEFT - 20, top + 6
    for name, colour, dash in entries:
        text = shortened(name, 48)
        needed = 40 + CHARACTER * len(text)
        if left > _LEFT and left + needed > WIDTH:
            left, row = _LEFT - 20, row + 20
        style = "axis" if colour is None else f"line series-{colour}"
        marks.append(Line(((left, row - 4), (left + 22, row - 4)), style, dash))
        if colour is not None:
            marks.append(Dot((left + 11, row - 4), colour))
        marks.append(Words((left + 28, row), text))
        left += needed
    return marks, row + 8


def _described(title: str, series: Sequence[Series], levels: Sequence[Level]) -> str:
    parts = []
    for s in [s for s in series if s.name]:
        kept = [v for v in s.y if math.isfinite(v)]
        parts.append(f"{s.name}: {kept[0]:.4g} to {kept[-1]:.4g}" if kept else f"{s.name}: no finite value")
    parts += [f"{level.source}: {level.value:.4g}" for level in levels]
    return f"{title}. {'; '.join(parts)}." if parts else f"{title}."


def bars(title: str, names: Sequence[str], values: Sequence[float], texts: Sequence[str]) -> Drawing:
    """Horizontal bars of shares in [0, 1], each with its name before and its text behind it."""
    left, step = 124.0, 22.0
    x = Scale(0.0, 1.0, left, WIDTH - 70)
    marks: list[Mark] = [Words((0, 14), title, style="title")]
    for i, (name, value, text) in enumerate(zip(names, values, texts, strict=True)):
        top = _TOP + i * step
        marks.append(Words((left - 8, top + 12), shortened(name, 16), "end"))
        marks.append(Line(((x.start, top + 8), (x.stop, top + 8)), "grid"))
        width = x(value) - left if math.isfinite(value) else 0.0
        marks.append(Bar((left, top), width, 15))
        marks.append(Words((x.stop + 8, top + 12), text))
    described = "; ".join(f"{name} {text}" for name, text in zip(names, texts, strict=True))
    return Drawing(WIDTH, _TOP + len(names) * step + 6, title, f"{title}: {described}.", tuple(marks))


def reliability(title: str, edges: Sequence[float], accuracy: Sequence[float], counts: Sequence[int]) -> Drawing:
    """Accuracy of the examples in each band of confidence; a calibrated network's bars end on the diagonal.

    Args:
        title: above the plot.
        edges: of the bands, from 0 to 1, one more than bands.
        accuracy: share right in each band, NaN where it is empty.
        counts: examples in each band; a band's faint column grows with them.

    Returns:
        The chart.
    """
    x = Scale(0.0, 1.0, _LEFT, WIDTH - _RIGHT)
    y = Scale(0.0, 1.0, _TOP + _PLOT, _TOP)
    marks = _axes(title, x, y, linear_ticks(0, 1), "confidence: probability of the predicted class", "accuracy")
    for low, high, value in zip(edges[:-1], edges[1:], accuracy, strict=True):
        if math.isfinite(value):
            marks.append(Bar((x(low) + 1, y(value)), x(high) - x(low) - 2, y(0) - y(value)))
    marks.append(Line(((x(0), y(0)), (x(1), y(1))), "ideal", (4.0, 4.0)))
    bands = [
        f"confidence {low:.1f} to {high:.1f}: accuracy {value:.3f} of {count}"
        for low, high, value, count in zip(edges[:-1], edges[1:], accuracy, counts, strict=True)
        if count
    ]
    drawn, height = _legend([("calibrated", None, (4.0, 4.0))], _TOP + _PLOT + 46)
    return Drawing(WIDTH, height, title, f"{title}. {'; '.join(bands)}.", (*marks, *drawn))


def points(title: str, x_values: Sequence[float], y_values: Sequence[float], *, x_label: str, y_label: str) -> Drawing:
    """A point for each pair of finite values, and a dashed line at y = 0 where it is in the range."""
    pairs = [(a, b) for a, b in zip(x_values, y_values, strict=True) if math.isfinite(a) and math.isfinite(b)]
    log = wants_log([a for a, _ in pairs], ratio=5.0)
    y = scale_of([b for _, b in pairs], _TOP + _PLOT, _TOP)
    x = scale_of([a for a, _ in pairs], _LEFT, WIDTH - _RIGHT, log=log)
    x = _beside(x, x.ticks(), y)
    marks = _axes(title, x, y, x.ticks(), x_label, y_label)
    marks += [Dot((x(a), y(b)), 0, 1.8) for a, b in pairs]
    if y.low < 0 < y.high:
        marks.append(Line(((x.start, y(0)), (x.stop, y(0))), "ideal", (4.0, 4.0)))
    lowest, highest = (f(b for _, b in pairs) if pairs else math.nan for f in (min, max))
    described = f"{title}. {counted(len(pairs), 'point')}; {y_label} from {lowest:.3g} to {highest:.3g}."
    return Drawing(WIDTH, _TOP + _PLOT + 42, title, described, tuple(marks))
