import numpy as np
import pytest

from jaxd2l.report.spread import interval
from jaxd2l.report.sweep import divergence_map, markdown, summarise
from jaxd2l.selection.curves import Curves
from jaxd2l.selection.grid import Point


def curves(accuracy, diverged=None):
    values = np.array(accuracy, float)
    return Curves(1 - values, values, 1 - values, values, diverged)


SWEEP = {
    (Point(0.1), 0): curves([0.5, 0.9, 0.8]),
    (Point(0.1), 1): curves([0.5, 0.7, 0.6]),
    (Point(0.9), 0): curves([0.4, np.nan, np.nan], diverged=2),
    (Point(0.9), 1): curves([0.1, 0.1, 0.1]),
}


def test_the_interval_is_students():
    # scipy.stats.t.interval(0.95, 2, loc=2, scale=1/sqrt(3))
    mean, deviation, low, high, n = interval([1.0, 2.0, 3.0])
    assert (mean, deviation, n) == (2, 1, 3)
    assert (low, high) == pytest.approx((-0.484138, 4.484138), abs=1e-6)
    assert interval([4.0]) == (4, None, None, None, 1)
    assert interval([]).mean is None


def test_last_and_best_epochs_are_kept_apart_and_diverged_members_are_counted_not_averaged():
    good, bad = summarise("net", SWEEP, num_classes=10)
    assert good.figures.last.mean == pytest.approx(0.7)
    assert good.figures.best.mean == pytest.approx(0.8)
    assert (good.diverged, good.at_chance) == ((), 0)
    assert (bad.diverged, bad.at_chance, bad.figures.last.n) == ((2,), 1, 1)


def test_the_map_says_where_it_failed_and_how():
    lines = divergence_map(summarise("net", SWEEP, 10)).splitlines()
    assert lines[0].split() == ["0.1", "0.9"]
    assert lines[1].split("  ")[-1].strip() == "1/2 at 2, 1/2 chance"
    assert " ok " in lines[1]


def test_the_table_has_a_line_a_point():
    lines = markdown(summarise("net", SWEEP, 10)).splitlines()
    assert len(lines) == 4
    assert "0.7000 ± 0.1414 [-0.5706, 1.9706]" in lines[2]
