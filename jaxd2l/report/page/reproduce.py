"""The page of a reproduction: every recipe over its seeds beside the published figures, and all curves."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxd2l.recipes import RECIPES
from jaxd2l.report.chart import plot
from jaxd2l.report.chart.drawing import Drawing
from jaxd2l.report.chart.plot import Level, Series
from jaxd2l.report.chart.svg import svg
from jaxd2l.report.page.figures import amount, duration, loss, share
from jaxd2l.report.page.html import Markup, document, element, figure, paragraph, table
from jaxd2l.report.page.run import shown_or_said
from jaxd2l.report.table import figures_of, median_seconds, members
from jaxd2l.train import Published
from jaxd2l.wording import counted

Runs = Sequence[Mapping[str, Any]]


def reproduce_page(results: Mapping[str, Runs]) -> tuple[str, list[Drawing]]:
    """The page of what `jaxd2l reproduce` wrote into results.json, and its charts.

    Raises:
        ValueError: there is no run.
    """
    if not results or not all(results.values()):
        raise ValueError("no finished run; at least one is needed")
    drawings = [_chart(name, runs) for name, runs in results.items()]
    parts = (
        ("table", "Beside the published figures", lambda: [_table(results)]),
        ("curves", "Curves of every seed", lambda: [_figures(drawings)]),
        ("made", "How it was made", lambda: [_made(results)]),
    )
    lead = paragraph(f"{counted(len(results), 'recipe')}, {counted(sum(map(len, results.values())), 'run')}.")
    shown = [(i, title, shown_or_said(title, make)) for i, title, make in parts]
    return document("Reproduction of the published figures", lead, shown), drawings


def _published(name: str) -> tuple[Published, ...]:
    return RECIPES[name].published if name in RECIPES else ()


def _table(results: Mapping[str, Runs]) -> Markup:
    rows, chosen_on = [], set()
    for name, runs in results.items():
        spread, classified, judged_on = figures_of(runs)
        chosen_on.add(judged_on)
        train_loss, *judged = map(str, spread)
        figures = (train_loss, *(judged if classified else ("-", "-")))
        published = ", ".join(f"{share(p.test_accuracy)} ({p.source})" for p in _published(name) if p.test_accuracy)
        losses = ", ".join(f"{loss(p.train_loss)} ({p.source})" for p in _published(name) if p.train_loss is not None)
        cells = [*figures, element("td", losses or "\u2013", class_="words")]
        cells += [element("td", published or "\u2013", class_="words"), duration(median_seconds(runs))]
        rows.append((name, amount(runs[0]["parameters"]), str(len(runs)), *cells))
    best = "best epoch on validation" if "validation" in chosen_on else "best epoch"
    ours = ("recipe", "parameters", "seeds", "train loss", "test accuracy", best)
    header = (*ours, "published train loss", "published test accuracy", "training a seed")
    caption = (
        "Mean \u00b1 deviation [95% interval of the mean] over seeds, after the last epoch; of the time, the median"
    )
    return table(caption, header, rows, class_="wide")


def _chart(name: str, runs: Runs) -> Drawing:
    curves, classified = members(runs)
    what = f"{curves[0].judged_on} {'accuracy' if classified else 'loss'}"
    series = []
    for i, curve in enumerate(curves):
        values = curve.judged(classified).tolist()
        series.append(Series("" if i else "every seed", range(1, len(values) + 1), values, 0, thin=True))
    levels = [
        Level(f"published ({p.source})", p.test_accuracy, 1)
        for p in _published(name)
        if classified and p.test_accuracy is not None
    ]
    return plot.lines(f"{name}: {what}", series, levels=levels, share=classified)


def _figures(drawings: Sequence[Drawing]) -> Markup:
    shown = [figure(svg(one), "One line a seed; dashed: published after the last epoch.") for one in drawings]
    return element("div", shown, class_="charts")


def _made(results: Mapping[str, Runs]) -> Markup:
    rows = []
    for name, runs in results.items():
        settings, where = runs[0].get("settings", {}), runs[0].get("environment", {})
        said = ", ".join(f"{k} {v}" for k, v in settings.items() if v is not None)
        versions = ", ".join(f"{k} {where[k]}" for k in ("device", "jax", "commit") if where.get(k))
        rows.append((name, element("td", said, class_="words"), element("td", versions, class_="words")))
    return table("Settings and machine of the first seed of each", ("recipe", "settings", "machine"), rows)
