"""The page of a sweep: means with intervals, where training failed, and the curves of all members."""

import math
from collections.abc import Mapping
from typing import Any

from jaxd2l.report.chart import plot
from jaxd2l.report.chart.drawing import Drawing
from jaxd2l.report.chart.plot import Series
from jaxd2l.report.chart.svg import svg
from jaxd2l.report.page.figures import duration
from jaxd2l.report.page.html import Markup, document, element, figure, note, paragraph, table
from jaxd2l.report.page.run import shown_or_said
from jaxd2l.report.page.style import SERIES
from jaxd2l.report.spread import Interval
from jaxd2l.wording import counted


def sweep_page(result: Mapping[str, Any]) -> tuple[str, list[Drawing]]:
    """The page of what `jaxd2l sweep` wrote into sweep.json, and its charts."""
    points, members, drawings = result["points"], result["members"], _drawings(result)
    part = _judged_on(members)
    recipes = list(dict.fromkeys(point["recipe"] for point in points))
    seconds = result.get("seconds")
    took = f", {duration(seconds)}" if isinstance(seconds, int | float) else ""
    names = ", ".join(map(str, recipes))
    device = result.get("device", "an unknown device")
    lead = paragraph(
        f"{names}: {counted(len(points), 'point')}, {counted(len(members), 'training')} on {device}{took}."
    )
    parts = (
        ("means", "Means over seeds", lambda: _means(points, part, result.get("chosen", []))),
        ("map", "Where training failed", lambda: _map(points)),
        ("curves", "Curves of all members", lambda: _curves(drawings)),
    )
    shown = [(i, title, shown_or_said(title, make)) for i, title, make in parts]
    return document(f"Sweep of {names}", lead, shown), drawings


def _judged_on(members: list[Mapping[str, Any]]) -> str:
    return "validation" if any("validation_loss" in member for member in members) else "test"


def _means(points: list[Mapping[str, Any]], part: str, chosen: list[Mapping[str, Any]]) -> list[Markup]:
    what = "loss" if any(point["at_chance"] is None for point in points) else "accuracy"
    rows = [
        (
            f"{point['recipe']}, rate {point['learning_rate']:g}, decay {point['weight_decay']:g}",
            str(point["seeds"]),
            *(str(Interval(**point[key])) for key in ("train_loss", "last", "best")),
            str(len(point["diverged"])),
            "\u2013" if point["at_chance"] is None else str(point["at_chance"]),
        )
        for point in points
    ]
    trainings = "seeds x folds" if "folds" in points[0] else "seeds"
    header = ("point", trainings, "train loss", f"last {part} {what}", f"best {part} {what}", "diverged", "at chance")
    text = (
        "Mean \u00b1 sample deviation [95% interval of the mean, Student's t]; members that diverged count in no mean. "
        "With few seeds the interval is wide: that is what the seeds tell."
    )
    chosen_on = f"{points[0]['folds']} folds" if "folds" in points[0] else "the validation part"
    choices = [
        paragraph(
            f"{one['recipe']}: rate {one['learning_rate']:g}, decay {one['weight_decay']:g} is chosen on "
            f"{chosen_on}; its test {what}, judged once, is {Interval(**one['test'])}."
        )
        for one in chosen
    ]
    return [paragraph(text), table("Every point over its seeds", header, rows, class_="wide"), *choices]


def _map(points: list[Mapping[str, Any]]) -> list[Markup]:
    rates = sorted({point["learning_rate"] for point in points})
    lines = list(dict.fromkeys((point["recipe"], point["weight_decay"]) for point in points))
    at = {(p["recipe"], p["weight_decay"], p["learning_rate"]): p for p in points}
    rows = [
        (f"{name}, decay {decay:g}", *[_fate(at.get((name, decay, rate))) for rate in rates]) for name, decay in lines
    ]
    caption = "Learning rates across; how many seeds failed and how: diverged (first in which epoch) or learned nothing"
    return [table(caption, ("", *[f"rate {rate:g}" for rate in rates]), rows, class_="matrix")]


def _fate(point: Mapping[str, Any] | None) -> Markup:
    if point is None:
        return element("td", "\u2013")
    words = []
    if point["diverged"]:
        words.append(f"{len(point['diverged'])}/{point['seeds']} diverged, epoch {min(point['diverged'])}")
    if point["at_chance"]:
        words.append(f"{point['at_chance']}/{point['seeds']} at chance")
    failed = (len(point["diverged"]) + (point["at_chance"] or 0)) / max(point["seeds"], 1)
    return element("td", ", ".join(words) or "ok", style=f"--heat:{min(failed, 1):.3f}")


def _drawings(result: Mapping[str, Any]) -> list[Drawing]:
    """A chart for each recipe: a line for every member, one colour a point."""
    drawings = []
    for recipe in dict.fromkeys(member["recipe"] for member in result["members"]):
        members = [member for member in result["members"] if member["recipe"] == recipe]
        part = _judged_on(members)
        classified = any(value is not None for member in members for value in member[f"{part}_accuracy"])
        key = f"{part}_accuracy" if classified else f"{part}_loss"
        series: list[Series] = []
        colours: dict[tuple[float, float], int] = {}
        for member in members:
            at = (member["learning_rate"], member["weight_decay"])
            name = "" if at in colours else f"rate {at[0]:g}, decay {at[1]:g}"
            colour = colours.setdefault(at, len(colours) % SERIES)
            values = [math.nan if value is None else float(value) for value in member[key]]
            series.append(Series(name, range(1, len(values) + 1), values, colour, thin=True))
        title = f"{recipe}: {key.replace('_', ' ')}"
        drawings.append(plot.lines(title, series, share=classified))
    return drawings


def _curves(drawings: list[Drawing]) -> list[Markup]:
    if not drawings:
        return [note("The sweep has no member, so there are no curves.")]
    caption = "One line a seed, one colour a point; a line ends where its member diverged."
    return [element("div", [figure(svg(one), caption) for one in drawings], class_="charts")]
