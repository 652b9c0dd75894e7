"""The page of one run: its curves, its mistakes, what is inside the network, and how it was made."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from jaxd2l import run_folder
from jaxd2l.cost import Cost
from jaxd2l.data import Dataset
from jaxd2l.report.chart.svg import svg
from jaxd2l.report.inspection import Inspection
from jaxd2l.report.page import answers, curves, inside, outcome
from jaxd2l.report.page.figures import amount
from jaxd2l.report.page.html import Markup, document, element, figure, join, note, paragraph, table
from jaxd2l.report.record import Record
from jaxd2l.train import Recipe
from jaxd2l.wording import counted


class Known(NamedTuple):
    """What is known of a run beyond its record; None where it could not be found out.

    Attributes:
        recipe: of this version, with the run's settings.
        data: that it was judged on.
        inspection: of its weights.
        weights: which weights, in words.
        cost: of the network.
        problems: why something is missing, a sentence each.
    """

    recipe: Recipe | None = None
    data: Dataset | None = None
    inspection: Inspection | None = None
    weights: str = ""
    cost: Cost | None = None
    problems: tuple[str, ...] = ()


def run_page(record: Record, known: Known) -> str:
    """The whole page as HTML; a part that cannot be shown says so and takes no other along."""
    title = f"{record.name}, seed {record.config.get('seed', '?')}"
    parts: list[tuple[str, str, Callable[[], Sequence[Any]]]] = [
        ("curves", "Curves", lambda: _curves(record, known.recipe)),
        ("figures", "This run and the published ones", lambda: outcome.beside_published(record, known.recipe)),
    ]
    found, data = known.inspection, known.data
    if found is not None and data is not None:
        judged = found.judgement
        if judged is not None:
            classes = names_of(data, judged.confusion.shape[0])
            parts += [
                ("confusion", "What is taken for what", lambda: [_scope(known), *answers.confusion(judged, classes)]),
                ("classes", "Class by class", lambda: answers.by_class(judged, classes)),
                (
                    "mistakes",
                    "The most confident mistakes",
                    lambda: answers.wrong_pictures(judged, data.test.x, classes),
                ),
                ("calibration", "Is it as sure as it is right?", lambda: answers.confidence(judged)),
            ]
        if found.outputs is not None:
            parts.append(("residuals", "Predicted and true", lambda: [_scope(known), *_regression(found, data)]))
        parts.append(("inside", "Inside the network", lambda: _inside(found, data)))
    if known.cost is not None:
        cost = known.cost
        parts.append(("cost", "What it costs", lambda: inside.cost_table(cost)))
    parts.append(("made", "How it was made", lambda: _made(record)))
    shown = [(name, heading, shown_or_said(heading, make)) for name, heading, make in parts]
    remarks = [note(text) for text in (*record.remarks, *known.problems, *(found.problems if found else ()))]
    return document(
        title, join([_lead(record), outcome.key(record, known.cost.parameters if known.cost else None), remarks]), shown
    )


def shown_or_said(what: str, make: Callable[[], Sequence[Any]]) -> Sequence[Any]:
    """The content of a part, or a sentence where making it fails: a report never costs a run."""
    try:
        return make()
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        return [note(f"{what}: this part could not be made ({type(error).__name__}: {reason}).")]


def names_of(data: Dataset, count: int) -> tuple[str, ...]:
    """Names of the classes, numbers where the data has none."""
    return tuple(map(str, data.classes)) if len(data.classes) == count else tuple(map(str, range(count)))


def _lead(record: Record) -> Markup:
    done, asked = len(record.rows), record.config.get("epochs")
    where = record.environment
    words = [f"{record.name} on {record.config.get('dataset', where.get('dataset', 'unknown data'))}"]
    words.append(f"{done} of {counted(asked, 'epoch')}" if asked is not None else counted(done, "epoch"))
    words += [run_folder.in_words(where)] if where.get("device") else []
    if isinstance(where.get("started"), str):
        words.append(f"begun {where['started'][:16].replace('T', ' at ')} UTC")
    state = ""
    if done and record.finished is False:
        state = " The run is not finished; jaxd2l train ... --resume goes on with it."
    elif record.finished and isinstance(asked, int) and done < asked:
        state = f" It stopped early: no better epoch in the {record.config.get('early_stop')} after the best."
    return paragraph(", ".join(words), ".", state)


def _curves(record: Record, recipe: Recipe | None) -> list[Markup]:
    drawings = curves.of_run(record, recipe.published if recipe else ())
    if not drawings:
        return [note("No epoch is finished, so there are no curves.")]
    compared = any("published" in drawing.description for drawing in drawings)
    parts: list[Markup] = []
    for drawing in drawings:
        dashed = " Dashed: published figures after the last epoch, in the colour of the curve." if compared else ""
        dashed = dashed if "published" in drawing.description else ""
        what = {"Loss": "Mean loss of each epoch.", "Accuracy": "Share right in each epoch."}.get(drawing.title, "")
        parts.append(figure(svg(drawing), what + dashed))
    content = [element("div", parts, class_="charts")]
    if len(record.rows) == 1:
        content.append(paragraph("One epoch is a point, not a curve: more epochs show where training goes."))
    return [*content, paragraph(_rate(record))]


def _rate(record: Record) -> str:
    rates = [rate for rate in record.column("learning_rate") if math.isfinite(rate)]
    if rates and len(set(rates)) > 1:
        return f"Learning rate in force: from {rates[0]:g} to {rates[-1]:g}, as drawn."
    rate = rates[0] if rates else record.config.get("learning_rate")
    return f"Learning rate in force: {rate} in every epoch." if rate is not None else "The learning rate is not known."


def _scope(known: Known) -> Markup:
    found = known.inspection
    if found is None:
        return paragraph()
    all_or_first = "all" if found.examples == found.of else f"the first {amount(found.examples)} of"
    return paragraph(
        f"On {all_or_first} {counted(found.of, 'test example')}, with {known.weights or 'the weights of the run'}."
    )


def _regression(found: Inspection, data: Dataset) -> list[Markup]:
    from jaxd2l.report.chart import plot

    predicted, true = found.outputs, data.test.y[: found.examples]
    if predicted is None or predicted.reshape(len(predicted), -1).shape[1] != 1:
        return [note("Outputs of more than one value are not drawn.")]
    flat = [float(v) for v in predicted.reshape(-1)]
    rest = [float(v) - p for v, p in zip(true.reshape(-1), flat, strict=True)]
    drawn = plot.points("Residuals", flat, rest, x_label="predicted", y_label="true - predicted")
    return [
        element(
            "div",
            figure(svg(drawn), "What is left of each test example; a good fit leaves noise around 0."),
            class_="charts",
        )
    ]


def _inside(found: Inspection, data: Dataset) -> list[Markup]:
    label = data.test.y[0]
    name = names_of(data, len(data.classes))[int(label)] if len(data.classes) and label.ndim == 0 else "an example"
    parts = [
        *inside.first_layer(found),
        *inside.maps_of_example(found, data.test.x[0], name),
        *inside.silent_units(found),
    ]
    return parts or [paragraph("A network without convolution, ReLU and sigmoid: there is nothing inside to show.")]


def _made(record: Record) -> list[Markup]:
    where = {k: v for k, v in record.environment.items() if k not in ("sha256", "resumed")}
    tables = [_values("Configuration", {k: v for k, v in record.config.items() if k not in ("model", "data")})]
    tables += [_values("Versions and machine", where)] if where else []
    parts = [element("div", tables, class_="charts")]
    described = record.config.get("data")
    if isinstance(described, dict) and described:
        parts.append(_values("Data", described))
    digests = record.environment.get("sha256")
    if isinstance(digests, dict) and digests:
        parts.append(_values("SHA-256 of the data", digests))
    if record.config.get("model"):
        code = element("pre", element("code", record.config["model"]), tabindex="0")
        parts.append(element("details", element("summary", "The network as configured"), code))
    return [*parts, paragraph(f"Run folder: {record.folder}")]


def _values(caption: str, values: dict[str, Any]) -> Markup:
    rows = [(name, element("td", value, class_="words")) for name, value in flat(values)]
    return table(caption, ("name", "value"), rows)


def flat(values: dict[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Entries in words, those of an object inside by `outer.inner`; three levels deep, as no run's files are."""
    rows: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, dict) and value and before.count(".") < 3:
            rows += flat(value, f"{before}{name}.")
        elif isinstance(value, list) and not any(isinstance(one, list | dict) for one in value):
            rows.append((f"{before}{name}", ", ".join(map(_word, value)) or "\u2013"))
        else:
            rows.append((f"{before}{name}", _word(value)))
    return rows


def _word(value: Any) -> str:
    return "\u2013" if value is None else str(value)
