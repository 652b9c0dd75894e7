"""A classifier's answers on the page: confusion matrix, classes, confident mistakes, calibration."""

import math
from collections.abc import Sequence

import numpy as np

from jaxd2l.report.chart import plot
from jaxd2l.report.chart.svg import svg
from jaxd2l.report.judgement import Judgement, calibration, confused_pairs, mistakes
from jaxd2l.report.page.figures import amount, share
from jaxd2l.report.page.html import Markup, element, figure, note, paragraph, table
from jaxd2l.report.page.picture import image, viewable

MATRIX_CLASSES = 20  # a larger matrix cannot be read; its largest entries are listed instead
BAR_CLASSES = 40
PICTURES = 24


def confusion(judgement: Judgement, classes: Sequence[str]) -> list[Markup]:
    """The matrix where it can be read, and the most frequent confusions."""
    parts: list[Markup] = []
    if len(classes) <= MATRIX_CLASSES:
        parts.append(_matrix(judgement, classes))
    else:
        parts.append(note(f"A matrix of {len(classes)} classes cannot be read; its largest entries are these."))
    of = judgement.confusion.sum(axis=1)
    pairs = [
        (f"{classes[i]} taken for {classes[j]}", amount(count), f"{count / of[i]:.1%}")
        for i, j, count in confused_pairs(judgement, 10 if len(classes) <= MATRIX_CLASSES else 30)
    ]
    if pairs:
        parts.append(table("The most frequent confusions", ("confusion", "examples", "of its class"), pairs))
    return parts


def _matrix(judgement: Judgement, classes: Sequence[str]) -> Markup:
    of = np.maximum(judgement.confusion.sum(axis=1), 1)
    rows = []
    for i, name in enumerate(classes):
        cells = [
            element(
                "td",
                amount(int(count)) if count else "\u00b7",
                class_="hit" if i == j else None,
                style=f"--heat:{count / of[i]:.3f}",
                title=f"{name} taken for {classes[j]}: {count}",
            )
            for j, count in enumerate(judgement.confusion[i])
        ]
        rows.append((name, *cells))
    caption = (
        "Examples of each true class (row) by predicted class (column); the fuller the colour, the larger the share"
    )
    return table(caption, ("true \\ predicted", *classes), rows, class_="matrix")


def by_class(judgement: Judgement, classes: Sequence[str]) -> list[Markup]:
    """Accuracy of each class as bars, and recall and precision as a table."""
    parts = []
    recall, precision = judgement.recall, judgement.precision
    if len(classes) <= BAR_CLASSES:
        drawn = plot.bars("Share found of each class", classes, list(recall), [share(v) for v in recall])
        parts.append(figure(svg(drawn), "Recall: of the examples of a class, the share that the network names so."))
    counts = judgement.confusion.sum(axis=1)
    rows = [
        (name, amount(int(n)), share(r), share(p))
        for name, n, r, p in zip(classes, counts, recall, precision, strict=True)
    ]
    header = ("class", "test examples", "found (recall)", "right when named (precision)")
    parts.append(table("Accuracy of each class", header, rows))
    return [element("div", parts, class_="charts")]


def wrong_pictures(judgement: Judgement, examples: np.ndarray, classes: Sequence[str]) -> list[Markup]:
    """The most confident mistakes as pictures, with true and predicted names and the probability."""
    rows = mistakes(judgement, PICTURES)
    if not rows:
        return [paragraph(f"None of {amount(len(judgement.labels))} examples is named wrongly.")]
    entries = []
    for row in rows:
        true, taken = classes[judgement.labels[row]], classes[judgement.predicted[row]]
        probability = judgement.confidence[row]
        pixels = viewable(examples[row])
        if pixels is None:
            return _mistakes_in_words(judgement, rows, classes)
        caption = (
            element("span", taken, class_="wrong"),
            f" at {probability:.1%}",
            element("br"),
            "is ",
            element("span", true, class_="right"),
        )
        shown = image(pixels, f"Test example {row}: a {true}, taken for {taken} with probability {probability:.3f}")
        entries.append(element("li", element("figure", shown, element("figcaption", caption))))
    total = int((judgement.predicted != judgement.labels).sum())
    lead = f"{amount(total)} of {amount(len(judgement.labels))} examples are named wrongly; the surest {len(rows)}:"
    return [paragraph(lead), element("ul", entries, class_="pictures")]


def _mistakes_in_words(judgement: Judgement, rows: list[int], classes: Sequence[str]) -> list[Markup]:
    cells = [
        (f"test example {row}", classes[judgement.labels[row]], classes[judgement.predicted[row]], probability)
        for row in rows
        for probability in (f"{judgement.confidence[row]:.1%}",)
    ]
    return [table("The most confident mistakes; the examples are no images", ("", "true", "taken for", "at"), cells)]


def confidence(judgement: Judgement) -> list[Markup]:
    """Reliability diagram and expected calibration error."""
    found = calibration(judgement.confidence, judgement.predicted == judgement.labels)
    drawn = plot.reliability("Reliability", list(found.edges), list(found.accuracy), [int(n) for n in found.counts])
    mean = float(judgement.confidence.mean())
    lean = "as sure as it is right"
    if abs(mean - judgement.accuracy) > 0.01:
        lean = "surer than it is right" if mean > judgement.accuracy else "less sure than it is right"
    text = (
        f"Expected calibration error {found.error:.4f}: the mean confidence is {mean:.3f} and the accuracy "
        f"{judgement.accuracy:.3f}; on the whole the network is {lean}."
    )
    rows = [
        (f"{low:.1f} to {high:.1f}", amount(int(n)), share(c), share(a))
        for low, high, n, c, a in zip(
            found.edges[:-1], found.edges[1:], found.counts, found.confidence, found.accuracy, strict=True
        )
        if n and math.isfinite(a)
    ]
    bands = table("Confidence beside accuracy", ("confidence", "examples", "mean confidence", "accuracy"), rows)
    caption = "Accuracy of the predictions of each band of confidence; on the dashed line both are equal."
    return [paragraph(text), element("div", figure(svg(drawn), caption), bands, class_="charts")]
