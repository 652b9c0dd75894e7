"""The page of house prices: what each fold came to, which settings won, and what is left of every test row."""

from collections.abc import Sequence

import numpy as np

from jaxd2l.experiments.houses import Outcome
from jaxd2l.report.chart import plot
from jaxd2l.report.chart.svg import svg
from jaxd2l.report.page.figures import amount, duration
from jaxd2l.report.page.html import Markup, document, element, figure, join, note, paragraph, table
from jaxd2l.report.page.run import shown_or_said

RANKED = 15


def houses_page(
    outcomes: Sequence[Outcome],
    chosen: Outcome,
    remarks: Sequence[str] = (),
    *,
    points: dict[str, Sequence[object]] | None = None,
    test_price: np.ndarray | None = None,
) -> str:
    """Show a cross-validation.

    Args:
        outcomes: of every family, and of scikit-learn's models.
        chosen: the one of them that predicts.
        remarks: what was said of the tables.
        points: each family's grid by its name, so that the ranking has settings and not numbers alone.
        test_price: the true prices of the test rows (t,), where they are known.

    Returns:
        The page.
    """
    error = f"{chosen.log_rmse:.4f} \u00b1 {chosen.deviation:.4f} over folds"
    on_test = "" if chosen.test_log_rmse is None else f", {chosen.test_log_rmse:.4f} on the test rows"
    lead = [
        paragraph(
            f"Chosen by out-of-fold error: {chosen.name}, log-RMSE {error}{on_test}. 0.1 is an error of about 10%."
        ),
        *[note(text) for text in remarks],
    ]
    parts = (
        ("models", "Models", lambda: [_models(outcomes, chosen)]),
        ("folds", "Fold by fold", lambda: [_folds(outcomes)]),
        ("ranking", "The settings' ranking", lambda: _rankings(outcomes, points or {})),
        ("residuals", "What is left of the test rows", lambda: _residuals(chosen, test_price)),
    )
    shown = [(i, title, shown_or_said(title, make)) for i, title, make in parts]
    return document("House prices by cross-validation", join(lead), shown)


def _models(outcomes: Sequence[Outcome], chosen: Outcome) -> Markup:
    rows = [
        (
            f"{one.name}{' (chosen)' if one is chosen else ''}",
            f"{one.log_rmse:.4f}",
            f"{one.deviation:.4f}",
            "\u2013" if one.test_log_rmse is None else f"{one.test_log_rmse:.4f}",
            amount(int(one.scores.size)),
            duration(one.seconds),
            element("td", "\u2013" if one.point is None else _point(one.point), class_="words"),
        )
        for one in outcomes
    ]
    header = ("model", "log-RMSE", "deviation", "test", "trainings", "time", "best settings")
    return table("Every model at its best settings", header, rows)


def _point(point: object) -> str:
    fields: dict[str, float] = getattr(point, "_asdict", dict)()
    return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in fields.items()) or str(point)


def _folds(outcomes: Sequence[Outcome]) -> Markup:
    folds = max(one.scores.shape[2] for one in outcomes)
    rows = [(one.name, *[f"{v:.4f}" for v in one.scores[one.choice].mean(axis=0)]) for one in outcomes]
    return table("Log-RMSE on each fold's held-out rows", ("model", *[f"fold {j + 1}" for j in range(folds)]), rows)


def _rankings(outcomes: Sequence[Outcome], points: dict[str, Sequence[object]]) -> list[Markup]:
    tables = []
    for one in [one for one in outcomes if len(one.scores) > 1]:
        means = one.scores.mean(axis=(1, 2))
        spread = one.scores.mean(axis=1).std(axis=1, ddof=1) if one.scores.shape[2] > 1 else np.full(len(means), np.nan)
        known = points.get(one.name, ())
        order = np.argsort(np.where(np.isfinite(means), means, np.inf), kind="stable")
        rows = [
            (
                str(rank),
                element("td", _point(known[g]) if g < len(known) else f"point {g + 1}", class_="words"),
                f"{means[g]:.4f}" if np.isfinite(means[g]) else "diverged",
                f"{spread[g]:.4f}" if np.isfinite(spread[g]) else "\u2013",
            )
            for rank, g in enumerate(order[:RANKED], 1)
        ]
        left_out = f", the first {RANKED} of {len(means)}" if len(means) > RANKED else ""
        tables.append(table(f"{one.name}{left_out}", ("rank", "settings", "log-RMSE", "deviation"), rows))
    return [element("div", tables, class_="charts")] if tables else [paragraph("No model has more than one setting.")]


def _residuals(chosen: Outcome, price: np.ndarray | None) -> list[Markup]:
    if price is None:
        return [paragraph("The prices of the test rows are not known, so nothing can be said of them.")]
    rest = np.log(price) - np.log(chosen.test_price)
    drawn = plot.points(
        "Residuals of the test rows",
        list(chosen.test_price),
        list(rest),
        x_label="predicted price, dollars",
        y_label="log(true / predicted)",
    )
    worst = np.argsort(-np.abs(rest), kind="stable")[:10]
    rows = [(f"row {i + 1}", f"{price[i]:,.0f}", f"{chosen.test_price[i]:,.0f}", f"{rest[i]:+.3f}") for i in worst]
    content = (
        figure(
            svg(drawn), "0.1 is a price 10% above the prediction; a fan or a bend shows what the model does not see."
        ),
        table("The ten test rows that are predicted worst", ("", "true", "predicted", "log ratio"), rows),
    )
    return [element("div", content, class_="charts")]
