"""What a run came to, in figures: the few that are read first, and those beside the published ones."""

import math
from typing import Any

from jaxd2l.report.page.figures import amount, duration, key_figures, loss, share
from jaxd2l.report.page.html import Markup, join, note, paragraph, table
from jaxd2l.report.record import Record
from jaxd2l.train import Recipe
from jaxd2l.wording import counted


def key(record: Record, parameters: int | None) -> Markup:
    """The figures that are read first.

    Args:
        record: of the run.
        parameters: of its network; None where they are not known.
    """
    entries = []
    if record.rows:
        last, best, unit = record.rows[-1], record.best, "accuracy" if record.classified else "loss"
        shown = share if record.classified else loss
        judged, at = record.judged_on, f"epoch {last['epoch']}"
        entries.append(("train loss", loss(last["train_loss"]), at))
        if record.classified:
            entries.append(("train accuracy", share(last["train_accuracy"]), at))
        entries.append((f"{judged} {unit}", shown(last[f"{judged}_{unit}"]), f"{at}, the last"))
        if record.averaged:
            entries.append((f"{judged} {unit} of the average", shown(last[f"ema_{judged}_{unit}"]), f"{at}, the last"))
        if best is not None:
            entries.append((f"best on {judged}", shown(best[f"{record.deciding}_{unit}"]), f"epoch {best['epoch']}"))
        if "best" in record.tested:
            tested = record.tested["best"]
            value = tested.test_accuracy if record.classified else tested.test_loss
            entries.append((f"test {unit}", shown(value), f"once, best weights (epoch {tested.epoch})"))
        seconds = sum(v for v in record.column("seconds") if math.isfinite(v))
        entries.append(("training", duration(seconds), "updates alone"))
    if parameters is not None:
        entries.append(("parameters", amount(parameters), ""))
    none = note("No epoch is finished yet, so there are no figures of training.") if not record.rows else None
    return join([key_figures(entries) if entries else None, none])


def beside_published(record: Record, recipe: Recipe | None) -> list[Markup]:
    """This run and the published ones, and on which part the best epoch was chosen."""
    last, best = (record.rows[-1] if record.rows else None), record.best
    validated, judged = record.judged_on == "validation", record.judged_on
    rows = []
    if last is not None:
        rows.append((f"this run, last epoch ({last['epoch']})", *_cells(record, last, "last", judged)))
        if record.averaged:
            average = _cells(record, last, "ema", f"ema_{judged}")
            rows.append((f"this run, average after it ({last['epoch']})", *average))
    if best is not None:
        of = " of the average" if record.averaged else ""
        cells = _cells(record, best, "best", record.deciding)
        rows.append((f"this run, best epoch{of} on {judged} ({best['epoch']})", *cells))
    for p in recipe.published if recipe else ():
        between = [loss(None), share(None)] if validated else []
        shares = (share(p.train_accuracy), *between, loss(None), share(p.test_accuracy))
        rows.append((f"published ({p.source})", loss(p.train_loss), *shares))
    if not rows:
        return []
    parts = ("train", "validation", "test") if validated else ("train", "test")
    header = ("", *(f"{part} {unit}" for part in parts for unit in ("loss", "accuracy")))
    found: list[Markup | None] = [table("After the last epoch, and after the best", header, rows)]
    found.append(paragraph(f"Settings of the recipe: {recipe.source}.") if recipe and recipe.source else None)
    if best:
        found.append(paragraph(_CHOSEN[judged]))
    if smaller := record.config.get("limit_train"):
        text = f"This run saw {counted(smaller, 'training example')}; the published ones saw all."
        found.append(paragraph(text))
    return [part for part in found if part is not None]


_CHOSEN = {
    "test": "The best epoch was chosen on the test set, so its figure flatters the run.",
    "validation": "The best epoch was chosen on the validation part, which was held out of training; the test set was "
    "judged once, at the end.",
}


def _cells(record: Record, row: dict[str, Any], weights: str, part: str) -> tuple[str, ...]:
    """What an epoch came to in training and by `part`, and what the test part said of these weights at the end."""
    cells = [loss(row["train_loss"]), share(row["train_accuracy"])]
    cells += [loss(row[f"{part}_loss"]), share(row[f"{part}_accuracy"])]
    if record.judged_on == "validation":
        tested = record.tested.get(weights)
        cells += [loss(tested.test_loss), share(tested.test_accuracy)] if tested else [loss(None), share(None)]
    return tuple(cells)
