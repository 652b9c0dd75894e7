"""The book's lines, loss and accuracy of training and of what judges the epochs, beside what has been published."""

from collections.abc import Sequence

from jaxd2l.report.chart import plot
from jaxd2l.report.chart.drawing import Bar, Dot, Drawing, Line, Mark, Words
from jaxd2l.report.chart.plot import Level, Series
from jaxd2l.report.record import Record
from jaxd2l.train import Published

_GAP = 28.0


def of_run(record: Record, published: Sequence[Published] = ()) -> list[Drawing]:
    """Loss and, for a classifier, accuracy over epochs; [] without an epoch."""
    if not record.rows:
        return []
    epochs = range(1, len(record.rows) + 1)
    parts = ("train", record.judged_on, *((record.deciding,) if record.averaged else ()))

    def series(unit: str) -> tuple[Series, ...]:
        names = [part.replace("_", " ") for part in parts]
        return tuple(
            Series(f"{name} {unit}", epochs, record.column(f"{part}_{unit}"), i)
            for i, (name, part) in enumerate(zip(names, parts, strict=True))
        )

    levels = [Level(f"published ({p.source})", p.train_loss, 0) for p in published if p.train_loss is not None]
    drawings = [plot.lines("Loss", series("loss"), levels=levels, y_label=_unit(record))]
    if record.classified:
        levels = [
            Level(f"published ({p.source})", value, i)
            for p in published
            for i, value in enumerate((p.train_accuracy, p.test_accuracy))
            if value is not None
        ]
        drawings.append(plot.lines("Accuracy", series("accuracy"), levels=levels, share=True))
    rates = record.column("learning_rate")
    if len({rate for rate in rates if rate == rate}) > 1:
        drawings.append(plot.lines("Learning rate in force", (Series("learning rate", epochs, rates, 2),)))
    return drawings


def _unit(record: Record) -> str:
    return "nats" if record.classified else ""


def beside(drawings: Sequence[Drawing]) -> Drawing:
    """Several drawings as one, from left to right: the picture file of a run's curves.

    Raises:
        ValueError: no drawing.
    """
    if not drawings:
        raise ValueError("there is no chart to put into a picture; at least one is needed")
    marks: list[Mark] = []
    left = 0.0
    for drawing in drawings:
        marks += [_moved(mark, left) for mark in drawing.marks]
        left += drawing.width + _GAP
    title = ", ".join(drawing.title for drawing in drawings)
    description = " ".join(drawing.description for drawing in drawings)
    return Drawing(left - _GAP, max(drawing.height for drawing in drawings), title, description, tuple(marks))


def _moved(mark: Mark, by: float) -> Mark:
    if isinstance(mark, Line):
        return mark._replace(points=tuple((x + by, y) for x, y in mark.points))
    if isinstance(mark, Words | Bar | Dot):
        return mark._replace(at=(mark.at[0] + by, mark.at[1]))
    raise TypeError(f"unknown mark {mark!r}")
