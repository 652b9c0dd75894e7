"""A search over learning rates: `GridSearchCV` over estimators, and a sweep as one program.

    python benchmarks/rate_search.py --out benchmarks/results/rate_search.json

Both train the network of `jaxd2l.sklearn.TABLE` at every rate with every seed on the same three quarters of the rows of
scikit-learn's digits and breast cancer data, and judge it by the others; compiling counts. Beside them stands
scikit-learn's `MLPClassifier` with the same layer, batch, epochs and Adam. Processor seconds, of all threads, say more
than seconds where others compute on the same machine.
"""

import argparse
import datetime
import os
import platform
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import sklearn
from sklearn.base import ClassifierMixin
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import scale

from jaxd2l.data import Dataset, Examples
from jaxd2l.recipes import fitted_to
from jaxd2l.report.text import columns
from jaxd2l.run_folder import write_json
from jaxd2l.selection.points import points_of
from jaxd2l.selection.sweep import sweep
from jaxd2l.sklearn import TABLE, JaxClassifier

CASES = {"digits": (load_digits, 6, 4), "breast cancer": (load_breast_cancer, 10, 10)}  # rates, seeds


def ways_of(x: np.ndarray, y: np.ndarray, rates: list[float], seeds: list[int]) -> dict[str, Callable[[], list[float]]]:
    """Each way to the mean accuracy of each rate."""
    held = np.arange(len(y)) % 4 == 0
    parts = [Examples(x[rows], y[rows].astype(np.int32)) for rows in (~held, held)]
    data = Dataset("table", *parts, classes=tuple(map(str, range(y.max() + 1))))
    split = PredefinedSplit(np.where(held, 0, -1))

    def search(estimator: ClassifierMixin, rate: str) -> list[float]:
        grid = {rate: rates, "random_state": seeds}
        found = GridSearchCV(estimator, grid, cv=split, refit=False).fit(x, y).cv_results_
        scores, of = found["mean_test_score"], np.asarray(found[f"param_{rate}"], float)
        return [float(scores[of == one].mean()) for one in rates]

    def one_program() -> list[float]:
        points = points_of(rates, (0.0,))
        curves = sweep(fitted_to(TABLE, data), data, points, seeds)
        return [float(np.mean([curves[p, s].test_accuracy[-1] for s in seeds])) for p in points]

    peer = MLPClassifier((100,), batch_size=32, max_iter=TABLE.epochs, n_iter_no_change=TABLE.epochs, alpha=0.0)
    return {
        "GridSearchCV of JaxClassifier": lambda: search(JaxClassifier(), "learning_rate"),
        "sweep": one_program,
        "GridSearchCV of MLPClassifier": lambda: search(peer, "learning_rate_init"),
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Seconds of a search over learning rates.")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    kept: dict[str, dict[str, object]] = {}
    print(f"{os.cpu_count()} cores, jax {jax.__version__}, scikit-learn {sklearn.__version__}")
    for case, (load, rates, seeds) in CASES.items():
        x, y = load(return_X_y=True)
        grid = np.geomspace(0.0003, 0.1, rates).round(5).tolist()
        rows, kept[case] = [], {"rows": int((np.arange(len(y)) % 4 > 0).sum()), "rates": grid, "seeds": seeds}
        for name, way in ways_of(scale(x).astype(np.float32), y, grid, list(range(seeds))).items():
            began, used = time.perf_counter(), time.process_time()
            scores = way()
            took = time.perf_counter() - began, time.process_time() - used
            kept[case][name] = {"seconds": took[0], "processor_seconds": took[1], "accuracy": scores}
            rows.append((name, f"{took[0]:.1f}", f"{took[1]:.1f}", f"{max(scores):.3f}"))
        print(f"{case}: {rates} rates x {seeds} seeds, {kept[case]['rows']:,} rows, {TABLE.epochs} epochs")
        print(columns(("", "seconds", "processor", "best mean accuracy"), rows), flush=True)
    if args.out:
        facts = {
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
            "versions": {"jax": jax.__version__, "scikit-learn": sklearn.__version__},
            "cases": kept,
        }
        write_json(args.out, facts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
