"""Several runs on one page: their curves together, their figures and the settings in which they differ."""

from collections.abc import Sequence
from typing import Any

from jaxd2l.report.chart import plot
from jaxd2l.report.chart.drawing import Drawing
from jaxd2l.report.chart.plot import Series
from jaxd2l.report.chart.svg import svg
from jaxd2l.report.page.figures import duration, loss, share
from jaxd2l.report.page.html import Markup, document, element, figure, join, note, paragraph, table
from jaxd2l.report.page.run import flat, shown_or_said
from jaxd2l.report.page.style import SERIES
from jaxd2l.report.record import Record
from jaxd2l.wording import counted

_PANELS = (
    ("train_loss", "Train loss"),
    ("test_loss", "Test loss"),
    ("validation_loss", "Validation loss"),
    ("train_accuracy", "Train accuracy"),
    ("test_accuracy", "Test accuracy"),
    ("validation_accuracy", "Validation accuracy"),
)


def comparison_page(records: Sequence[Record]) -> tuple[str, list[Drawing]]:
    """Compare runs.

    Args:
        records: at least two; more than there are colours repeat colours and markers.

    Returns:
        The page and its charts.

    Raises:
        ValueError: fewer than two runs.
    """
    if len(records) < 2:
        raise ValueError(f"a comparison takes two different runs or more, got {len(records)}")
    names = _names(records)
    drawings = [drawn for key, title in _PANELS if (drawn := _panel(records, names, key, title)) is not None]
    remarks = [note(f"{names[i]}: {text}") for i, record in enumerate(records) for text in record.remarks]
    lead = join([paragraph(f"{counted(len(records), 'run')}: {', '.join(names)}."), remarks])
    parts = (
        ("curves", "Curves", lambda: _curves(drawings)),
        ("figures", "Figures", lambda: _figures(records, names)),
        ("settings", "Settings in which they differ", lambda: _settings(records, names)),
    )
    page = document("Comparison of runs", lead, [(i, title, shown_or_said(title, make)) for i, title, make in parts])
    return page, drawings


def _names(records: Sequence[Record]) -> list[str]:
    """Short names that tell the runs apart: of the folder, or of the whole path where folders are called alike."""
    short = [f"{record.name} ({record.folder.name or record.folder.resolve().name})" for record in records]
    return [
        name if short.count(name) == 1 else f"{record.name} ({record.folder})"
        for name, record in zip(short, records, strict=True)
    ]


def _panel(records: Sequence[Record], names: Sequence[str], key: str, title: str) -> Drawing | None:
    series = [
        Series(name, range(1, len(record.rows) + 1), record.column(key), i % SERIES)
        for i, (record, name) in enumerate(zip(records, names, strict=True))
        if any(row.get(key) is not None for row in record.rows)
    ]
    return plot.lines(title, series, share=key.endswith("accuracy")) if series else None


def _curves(drawings: Sequence[Drawing]) -> list[Markup]:
    if not drawings:
        return [note("None of the runs has finished an epoch, so there are no curves.")]
    return [element("div", [figure(svg(one), f"{one.title} of every run.") for one in drawings], class_="charts")]


def _figures(records: Sequence[Record], names: Sequence[str]) -> list[Markup]:
    rows = []
    for record, name in zip(records, names, strict=True):
        last, best = (record.rows[-1] if record.rows else {}), record.best or {}
        if record.judged_on == "validation":  # the test part spoke at the end alone
            last = {**last, **(record.tested["last"]._asdict() if record.tested else {})}
            chosen = record.tested["best"].test_accuracy if record.tested else None
        else:
            chosen = best.get(f"{record.deciding}_accuracy")
        values = (loss(last.get("train_loss")), share(last.get("train_accuracy")), loss(last.get("test_loss")))
        on = " on validation" if record.judged_on == "validation" else ""
        accuracies = (share(last.get("test_accuracy")), share(chosen), f"{best.get('epoch', '\u2013')}{on}")
        seconds = sum(row["seconds"] or 0.0 for row in record.rows)
        rows.append((name, str(len(record.rows)), *values, *accuracies, duration(seconds)))
    header = (
        "run",
        "epochs",
        "train loss",
        "train acc.",
        "test loss",
        "test acc.",
        "best test acc.",
        "in epoch",
        "time",
    )
    text = "The best epoch of a run is chosen on the test part itself, where it does not say on validation."
    text += " Of averaged weights it is the average's." if any(record.averaged for record in records) else ""
    return [table("After the last finished epoch", header, rows), paragraph(text)]


def _settings(records: Sequence[Record], names: Sequence[str]) -> list[Markup]:
    configs = [dict(flat(record.config)) for record in records]
    rows = []
    same_recipe = len({record.name for record in records}) == 1  # else the recipe's name says it shorter
    for key in dict.fromkeys(key for config in configs for key in config):
        values = [config.get(key) for config in configs]
        if len(set(values)) > 1 and (key != "model" or same_recipe):
            rows.append((key, *_cells(values)))
    where = ("device", "jax", "commit")
    for key in where:
        values = [record.environment.get(key) for record in records]
        if any(value != values[0] for value in values):
            rows.append((key, *_cells(values)))
    if not rows:
        return [paragraph("They were asked for with the same settings.")]
    return [table("Settings, device and versions that are not the same", ("setting", *names), rows)]


def _cells(values: Sequence[Any]) -> list[Markup]:
    """Values in words, at most 200 signs of each, from shortly before they differ where that comes late."""
    texts = ["\u2013" if value is None else " ".join(str(value).split()) for value in values]
    first = next((i for i, signs in enumerate(zip(*texts, strict=False)) if len(set(signs)) > 1), min(map(len, texts)))
    start = first - 50 if first > 150 else 0
    shown = [("\u2026" if start else "") + text[start : start + 200] for text in texts]
    shown = [one + ("\u2026" if len(text) > start + 200 else "") for one, text in zip(shown, texts, strict=True)]
    return [element("td", text, class_="words") for text in shown]
