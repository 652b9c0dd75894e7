"""What the notes claim: every row has its claims, all of them hold, and `jaxd2l verify` says where one does not."""

import dataclasses
import importlib.util
import json
import signal
from pathlib import Path

import numpy as np
import pytest

import jaxd2l
from jaxd2l import claims
from jaxd2l.claims import CLAIMS, ROWS, Claim, Verdict, check, show, trained
from jaxd2l.claims.claim import seeds
from jaxd2l.claims.comparison import at_least, at_most, equal, one_more_curve, one_more_seed, within
from jaxd2l.claims.subjects import building, fitting, tables
from jaxd2l.cli import main
from jaxd2l.experiments.regularisation import Selection
from jaxd2l.report.console import Console

ROOT = Path(__file__).parent.parent
RIGHT = Claim("norms", 2, "One and one.", 2, lambda: 1 + 1)


def test_every_row_of_the_notes_has_a_claim_on_one_of_its_days():
    missing = [name for name in ROWS if not any(claim.row == name for claim in CLAIMS)]
    strange = [claim.says for claim in CLAIMS if claim.row not in ROWS or claim.day not in ROWS[claim.row].days]
    uncovered = [
        (name, day)
        for name, row in ROWS.items()
        for day in row.days
        if not any(c.row == name and c.day == day for c in CLAIMS)
    ]
    assert (missing, strange, uncovered) == ([], [], [])
    assert len(ROWS) == 49, "42 rows of the notes and their 7 slips"


def test_every_slip_is_shown_by_one():
    slips = {claim.row for claim in CLAIMS if claim.slips}
    assert slips == {name for name in ROWS if name.startswith("slip_")}


def test_a_claim_that_cannot_be_run_says_why_and_any_other_can():
    assert all((claim.here is None) == bool(claim.reason) for claim in CLAIMS)
    assert all(claim.notes is not None or claim.truth is not None or claim.here is None for claim in CLAIMS)


@pytest.mark.slow
def test_every_claim_that_is_run_holds():
    outcomes = [check(claim) for claim in CLAIMS]
    assert not [f"{o.claim.says}: {show(o.value)}; {o.remark}" for o in outcomes if o.verdict == Verdict.FAILS]
    assert all(json.dumps(outcome.as_json(), allow_nan=False) for outcome in outcomes)


@pytest.mark.parametrize(
    ("changes", "verdict", "remark"),
    [
        ({}, Verdict.AGREES, ""),
        ({"notes": 3}, Verdict.FAILS, "expected equal 3"),
        ({"notes": 3, "truth": 2}, Verdict.SLIP, "the notes say 3, it is 2"),
        ({"truth": 2}, Verdict.FAILS, "the notes do not slip here"),
        ({"notes": None, "truth": 2}, Verdict.AGREES, ""),
        ({"here": lambda: 1 / 0}, Verdict.FAILS, "it could not be computed"),
        ({"here": None, "reason": "no time"}, Verdict.NOT_RUN, "no time"),
        ({"stored": "a command"}, Verdict.AGREES, "a command"),
        ({"here": lambda: float("nan"), "compare": within(1.0)}, Verdict.FAILS, "expected within 1 2"),
    ],
)
def test_the_verdict_follows_from_the_values(changes, verdict, remark):
    outcome = check(dataclasses.replace(RIGHT, **changes))
    assert (outcome.verdict, outcome.remark) == (verdict, remark)
    assert json.dumps(outcome.as_json(), allow_nan=False)


def test_full_trains_again_whatever_is_stored():
    assert [claim.says for claim in CLAIMS if claim.stored and claim.again is None] == []


@pytest.fixture
def spoilt(monkeypatch):
    """What a claim measures, changed a little: by a part of its words."""

    def kernels(change):
        monkeypatch.setattr(trained, "kernels", lambda name, of=trained.kernels: change(of(name)))

    def first_weight(last):
        def initialise(params, rules, key, of=building.initialise):
            found = of(params, rules, key)
            first = found["layers_0"]["kernel"]
            changed = first.at[-1, -1].add(1) if last else first / 2
            return {**found, "layers_0": {**found["layers_0"], "kernel": changed}}

        monkeypatch.setattr(building, "initialise", initialise)

    truth = np.arange(20) < 15
    return {
        "NiN has 12 convolutions and no dense": lambda: kernels(lambda found: [*found, (10, 10)]),
        "are all 3x3": lambda: kernels(lambda found: [(s[0], 1, *s[2:]) for s in found]),
        "4 rows of 3 columns": lambda: monkeypatch.setattr(tables, "_read", lambda of=tables._read: of().assign(a=1)),
        "Xavier on the first layer": lambda: first_weight(False),
        "All weights 1, all biases 0": lambda: first_weight(False),
        "all weights + 1, the first 22": lambda: first_weight(True),
        "of 17 useless weights": lambda: monkeypatch.setattr(
            fitting, "l1_against_l2", lambda: Selection(truth, np.zeros(20), np.ones(20))
        ),
    }


@pytest.mark.slow
@pytest.mark.parametrize("place", range(7))
def test_a_claim_fails_where_what_it_says_is_not_so(spoilt, place):
    words, spoil = list(spoilt.items())[place]
    (claim,) = [claim for claim in CLAIMS if words in claim.says]
    assert check(claim).verdict == Verdict.AGREES
    spoil()
    assert check(claim).verdict == Verdict.FAILS


def test_full_trains_again_what_is_stored_or_not_run():
    trainings = trained.Trainings()
    stored = dataclasses.replace(RIGHT, stored="a command", again=lambda given: 5 if given is trainings else 2)
    assert check(stored).stored
    assert not check(stored, trainings).stored
    assert check(stored, trainings).verdict == Verdict.FAILS
    assert check(dataclasses.replace(stored, here=None, again=lambda given: 2), trainings).verdict == Verdict.AGREES


@pytest.mark.slow
def test_trainings_are_made_over_seeds_and_with_swapped_sets_each_once():
    trainings = trained.Trainings()
    figures = trainings.over_seeds("linear", 0.03, 2)
    assert figures.shape == (2, 3, 3)
    assert np.all(figures[:, -1, 0] < figures[:, 0, 0])
    assert np.array_equal(trainings.over_seeds("linear", 0.03, 1), figures[:1])
    assert list(trainings.made) == ["linear at 0.03"]
    data = jaxd2l.load_data(jaxd2l.find("linear"))
    assert trained.swap(data).train is data.test
    one = trainings.swapped("linear")
    assert one.shape == (1, 3, 3)
    assert one[0, 0, 0] != trainings.over_seeds("linear", None, 1)[0, 0, 0]


@pytest.fixture
def full(monkeypatch):
    """`verify --full` with one claim, on a recipe that trains in a second."""

    def losses(trainings):
        return float(trainings.over_seeds("linear", 0.03, 2)[:, -1, 0].max())

    claim = dataclasses.replace(RIGHT, notes=0.0, compare=within(1.0), here=None, reason="long", again=losses)
    monkeypatch.setattr(claims, "CLAIMS", (claim,))


@pytest.mark.slow
def test_a_training_of_full_is_kept_and_found_again(full, tmp_path, capsys):
    assert main(["verify", "--full", "--out", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "linear at 0.03: 0 of 2 seeds are there; training 2" in told
    assert f"Trained again, kept in {tmp_path}:\n-  linear at 0.03: 2 seeds, 3 epochs" in told
    kept = [jaxd2l.load_run(tmp_path / "linear_at_0.03" / f"seed{seed}") for seed in (0, 1)]
    assert [(run.recipe.learning_rate, run.seed, len(run.epochs)) for run in kept] == [(0.03, 0, 3), (0.03, 1, 3)]
    assert main(["verify", "--full", "--out", str(tmp_path)]) == 0
    again = capsys.readouterr().out
    assert "seeds are there" not in again
    rows = [line for text in (told, again) for line in text.splitlines() if "One and one." in line]
    assert rows == 2 * rows[:1], "the same value"


@pytest.mark.slow
def test_a_training_of_full_goes_on_where_a_signal_stopped_it(full, tmp_path, capsys, monkeypatch):
    whole = trained.Trainings(tmp_path / "whole").over_seeds("linear", 0.03, 2)
    chunk = Console.chunk

    def stopped(console, now):
        chunk(console, now)
        if now.epoch == 2:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Console, "chunk", stopped)
    stopping = tmp_path / "stopped"
    assert main(["verify", "--full", "--out", str(stopping)]) == 75
    told = capsys.readouterr().err
    assert told == (
        f"jaxd2l verify: error: terminated; what is trained is kept in {stopping}; run the same command to go on\n"
    )
    monkeypatch.setattr(Console, "chunk", chunk)
    assert main(["verify", "--full", "--out", str(stopping)]) == 0
    assert "seed 0: going on at epoch 2, step" in capsys.readouterr().out
    assert np.array_equal(trained.Trainings(stopping).over_seeds("linear", 0.03, 2), whole)


@pytest.mark.slow
def test_a_folder_that_holds_something_else_says_nothing_of_the_claim(full, tmp_path, capsys):
    (tmp_path / "linear_at_0.03").write_text("in the way", encoding="utf-8")
    assert main(["verify", "--full", "--out", str(tmp_path)]) == 74
    assert "linear_at_0.03" in capsys.readouterr().err
    recipe = dataclasses.replace(jaxd2l.find("linear"), learning_rate=0.1)
    jaxd2l.fit(recipe, jaxd2l.load_data(recipe), run_dir=tmp_path / "other" / "linear_at_0.03" / "seed0")
    assert main(["verify", "--full", "--out", str(tmp_path / "other")]) == 2
    assert "learning_rate" in capsys.readouterr().err
    assert main(["verify", "--out", str(tmp_path)]) == 2
    assert "--out is where --full keeps its trainings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("compare", "expected", "here", "holds"),
    [
        (equal, [1, 2], np.array([1, 2]), True),
        (equal, [1, 2], np.array([[1, 2]]), False),
        (equal, "refused", "broadcast", False),
        (within(0.5), [1, 2], np.array([1.5, 2]), True),
        (within(0.5), [1, 2], np.array([1.5, 2.6]), False),
        (at_most, [1, 2], [1, 3], False),
        (at_least, 1, 1, True),
        # t(.975, 2 degrees) = 4.3027; deviation 1, sqrt(1 + 1/3) = 1.1547: 4.968 from the mean of 2
        (one_more_seed, 6.96, seeds([1, 2, 3]), True),
        (one_more_seed, 6.98, seeds([1, 2, 3]), False),
        (one_more_seed, 1.0, seeds([1]), False),
    ],
)
def test_comparisons_hold_where_they_say(compare, expected, here, holds):
    assert compare.holds(expected, here) is holds


def test_of_curves_of_one_kind_the_most_unlike_alone_is_not_one_more():
    """Whatever they are distributed like; and a curve far from them is not one more either."""
    for seed, tail in ((0, 0.0), (1, 1.0), (2, 3.0)):
        draws = np.random.default_rng(seed)
        curves = 0.5 + 0.02 * draws.standard_normal((21, 4, 3)) * np.exp(tail * draws.standard_normal((21, 4, 3)) / 3)
        held = [one_more_curve.holds(curve, np.delete(curves, i, axis=0)) for i, curve in enumerate(curves)]
        assert sum(held) == 20
        assert not one_more_curve.holds(curves[0] - 0.45, curves[1:])
        assert not one_more_curve.holds(curves[0], curves[1:19]), "eighteen tell nothing"
        assert not one_more_curve.holds(curves[0, :3], curves[1:]), "another number of epochs"


def test_a_false_value_is_reported_and_ends_in_1(capsys, monkeypatch):
    monkeypatch.setattr(claims, "CLAIMS", (RIGHT, dataclasses.replace(RIGHT, says="One and one again.", notes=3)))
    assert main(["verify", "--json"]) == 1
    lines = capsys.readouterr().out.splitlines()
    found = json.loads(lines[-1])
    assert found["counts"] == {"agrees": 1, "slip": 0, "FAILS": 1, "not run": 0}
    assert [claim["verdict"] for claim in found["claims"]] == ["agrees", "FAILS"]
    assert "-  day 2: One and one again: expected equal 3" in lines


@pytest.mark.slow
def test_a_day_is_picked_and_the_table_fits_the_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["verify", "--day", "11", "--json"]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert {claim["day"] for claim in json.loads(last)["claims"]} == {11}
    assert max(map(len, lines)) <= 80
    assert any(line.split()[:2] == ["day", "claim"] for line in lines)
    assert "the notes say [[8, 8, 8, 8, 8, 8, 8, 8]], it is [[10," in " ".join(" ".join(lines).split())


def test_a_day_that_the_notes_do_not_have_is_refused(capsys):
    assert main(["verify", "--day", "22"]) == 2
    assert "--day must be 1 to 21" in capsys.readouterr().err


@pytest.mark.slow
def test_a_page_shows_both_values_side_by_side():
    lines = claims.beside("norms").splitlines()
    assert "| L2 norm of [3, -4]. | 5 | 5 | agrees |" in lines
    assert r"sum(x\*x)" in claims.beside("detach")
    with pytest.raises(ValueError, match="unknown row 'norm'"):
        claims.beside("norm")


def test_the_stored_trainings_are_those_of_the_results():
    spec = importlib.util.spec_from_file_location("stored_claims", ROOT / "benchmarks" / "stored_claims.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert json.loads(module.OUT.read_text(encoding="utf-8")) == module.collect()
