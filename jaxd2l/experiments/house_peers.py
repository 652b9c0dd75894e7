"""scikit-learn's models on the same house prices, arrays and folds, to compare with."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from jaxd2l.data.houses import Houses
from jaxd2l.experiments.houses import Outcome, choose, ensemble, log_rmse, padded_rows, prepare

BOOSTING = {"n_estimators": 300, "learning_rate": 0.05, "max_depth": 3, "subsample": 0.7, "random_state": 0}


def peers(train: Houses, test: Houses, fold: np.ndarray) -> list[Outcome]:
    """Fit scikit-learn's ridge and gradient boosting on the same arrays and folds.

    Ridge takes the best of four penalties by the same out-of-fold error.

    Raises:
        ModuleNotFoundError: scikit-learn is not installed.
    """
    from sklearn.ensemble import GradientBoostingRegressor
    from sklearn.linear_model import Ridge

    prepared = prepare(train, fold)
    x, y, _ = prepared.folds
    test_rows = padded_rows(prepared.tables, test.features)

    def judged(name: str, models: list[Callable[[], Any]]) -> Outcome:
        began = time.perf_counter()
        scores, fitted = np.empty((len(models), 1, len(x))), []
        for g, make in enumerate(models):
            fitted.append([make().fit(x[j][fold != j], y[j][fold != j, 0]) for j in range(len(x))])
            for j, model in enumerate(fitted[g]):
                predicted = prepared.dollars(model.predict(x[j][fold == j]), j)
                scores[g, 0, j] = log_rmse(predicted, prepared.price[fold == j])
        seconds, choice = time.perf_counter() - began, choose(scores)
        price = ensemble([prepared.dollars(m.predict(test_rows[j]), j) for j, m in enumerate(fitted[choice])])
        error = None if test.price is None else log_rmse(price, test.price)
        return Outcome(name, None, scores, choice, price, error, 0.0, seconds)

    return [
        judged("scikit-learn ridge", [partial(Ridge, alpha) for alpha in (3.0, 10.0, 30.0, 100.0)]),
        judged("scikit-learn gradient boosting", [partial(GradientBoostingRegressor, **BOOSTING)]),
    ]
