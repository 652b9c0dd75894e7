"""What is said of a curve: laws of the statistics, and known curves."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import jaxd2l
from jaxd2l.claims.subjects.lenet import CONV_RELU, LENET
from jaxd2l.diagnosis import CAUSES, RECIPES, CurveError, curves_of, diagnose, held_out, left_out
from jaxd2l.diagnosis import answer as answering
from jaxd2l.diagnosis.causes import ALIKE, RIGHT, TOLD_OF
from jaxd2l.diagnosis.comparison import SURE, Variants
from jaxd2l.diagnosis.likelihood import (
    EXTRA,
    SHRINKAGE,
    compared_figures,
    contrasts,
    distribution,
    seeds_of,
    transformed,
)

WRONG = {"softmax": 0, "mlp": 0.01, "lenet": 0.02}  # of the held-out trainings that are named, as another one at most
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def _right(recipe="softmax", seed=0):
    return curves_of(recipe).curves[RIGHT][seed]


def test_the_density_is_students_with_the_covariance_shrunk_in_the_basis():
    draw = np.random.default_rng(0)
    seeds, x, extra = draw.normal(size=(7, 3)), draw.normal(size=(2, 3)), np.full(3, 0.2)
    basis = contrasts(np.array([[True, False, False]] * 3))
    covariance = basis @ np.cov(seeds, rowvar=False) @ basis.T
    shrunk = basis.T @ (covariance * np.where(np.eye(3), 1, 1 - SHRINKAGE)) @ basis + np.diag(extra**2)
    oracle = stats.multivariate_t(seeds.mean(0), shrunk * (1 + 1 / 7), df=6)
    found = distribution(seeds, extra, basis)
    np.testing.assert_allclose(found.log_density(x), oracle.logpdf(x), rtol=1e-12)
    difference = x - seeds.mean(0)
    squared = np.einsum("ni,ij,nj->n", difference, np.linalg.inv(shrunk * (1 + 1 / 7)), difference)
    np.testing.assert_allclose(found.squared_distance(x), squared / 3, rtol=1e-12)


def test_the_basis_is_the_mean_of_a_figure_and_each_epoch_against_those_before_it():
    told = np.array([[True, False, True], [True, True, False], [True, True, False], [False, False, False]])
    kinds, epochs = np.nonzero(told)[1], np.nonzero(told)[0]
    basis = contrasts(told)
    np.testing.assert_allclose(basis @ basis.T, np.eye(6), atol=1e-15)
    for place, row in enumerate(basis):
        assert not row[kinds != kinds[place]].any(), "figures are not mixed"
        values = row[kinds == kinds[place]]
        earlier = values[epochs[kinds == kinds[place]] < epochs[place]]
        assert (values > 0).all() if not earlier.size else abs(values.sum()) < 1e-15
        assert len(set(earlier.round(15))) <= 1, "those before it count alike"


def test_a_curve_that_never_changes_is_told_from_one_that_hardly_does():
    draw = np.random.default_rng(0)
    level, told = draw.normal(size=(20, 1)), np.array([[True, False, False]] * 10)
    still, moving = np.tile(level, (1, 10)), 0.1 * draw.normal(size=(20, 10))
    of_still, of_moving = (distribution(x, np.full(10, 0.01), contrasts(told)) for x in (still, moving))
    new = np.full((1, 10), 0.05)
    assert of_still.log_density(new) > of_moving.log_density(new) + 10


def test_figures_are_transformed_to_log_loss_and_log_odds():
    np.testing.assert_allclose(transformed(np.array([[math.e, 0.5, 0.75]])), [[1, 0, math.log(3)]])
    assert np.isfinite(transformed(np.array([[0.0, 0.0, 1.0]]))).all()
    assert np.isnan(transformed(np.array([[np.nan, 0.5, 0.5]]))[0, 0])


def test_of_a_test_accuracy_the_gaps_to_trainings_are_compared_in_descending_order():
    figures = np.array([[2.0, 0.5, 0.6], [1.0, 0.6, 0.5], [0.5, 0.7, 0.7], [0.4, 0.8, 0.9]])
    told = np.array([[True, True, True], [True, True, True], [True, True, True], [True, False, True]])
    loss, train, test = transformed(figures).T
    found = compared_figures(np.stack([figures, figures[[1, 0, 2, 3]]]), told)
    gap = np.sort((test - train)[:3])[::-1]
    expected = [loss[0], train[0], gap[0], loss[1], train[1], gap[1], loss[2], train[2], gap[2], loss[3], test[3]]
    np.testing.assert_allclose(found[0], expected, rtol=1e-12)
    np.testing.assert_array_equal(found[1][[2, 5, 8]], found[0][[2, 5, 8]])
    single = np.array([[False, False, True]] * 4)
    np.testing.assert_array_equal(compared_figures(figures, single), test)


def test_trainings_that_diverged_are_like_a_curve_that_did():
    curves = np.full((3, 4, 3), 0.5)
    curves[0, 2:] = np.nan
    told = np.ones((2, 3), bool)
    assert [seeds_of(curves, told, diverged=d)[-2:] for d in (False, True)] == [(0, 3), (1, 3)]
    assert len(seeds_of(curves, np.ones((4, 3), bool), diverged=False).x) == 2
    assert seeds_of(curves, told, diverged=False).extra.tolist() == [*EXTRA, *EXTRA]
    assert seeds_of(curves, np.ones((4, 3), bool), diverged=False).seeds.tolist() == [1, 2]


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_likelihoods_of_causes_add_up_to_one_and_each_has_one_group(recipe):
    variants = Variants(recipe, np.ones((10, 3), bool), diverged=False)
    names = [name for group in variants.groups for name in group]
    assert sorted(names) == sorted({*variants.seeds, *ALIKE})
    answer = diagnose(recipe, _right(recipe))
    assert sum(cause.likelihood for cause in answer.causes) == pytest.approx(1)
    assert [c.likelihood for c in answer.causes] == sorted((c.likelihood for c in answer.causes), reverse=True)
    assert json.dumps(answer.as_json(), allow_nan=False)


@pytest.mark.slow
@pytest.mark.parametrize("columns", [(0,), (1,), (2,), (0, 2)])
@pytest.mark.parametrize("epochs", [1, 4])
def test_a_right_training_is_never_called_a_mistake_whatever_is_told_of_it(columns, epochs):
    rows = np.full((epochs, 3), np.nan)
    rows[:, columns] = _right()[:epochs, columns]
    text = "\n".join(
        f"epoch {i}: " + ", ".join(f"{('loss', 'train acc', 'test acc')[c]} {row[c]:.3f}" for c in columns)
        for i, row in enumerate(rows, 1)
    )
    answer = diagnose("softmax", text)
    assert answer.verdict in ("normal", "several causes")
    assert any(RIGHT in cause.names for cause in answer.causes)
    assert {name for name, count in answer.epochs.items() if count} == {
        ("loss", "train accuracy", "test accuracy")[c] for c in columns
    }


def test_a_curve_unlike_all_is_not_named():
    strange = [[5.0, 0.9, 0.3]] * 5 + [[0.01, 0.2, 0.9]] * 5
    answer = diagnose("softmax", strange)
    assert (answer.verdict, answer.causes) == ("cannot tell", ())
    assert "unlike right trainings and unlike every mistake" in str(answer)


def test_a_curve_that_diverged_is_an_answer():
    answer = diagnose("softmax", "loss nan, train acc .1, test acc .1")
    assert answer.diverged == 1
    assert "not finite from epoch 1 on" in str(answer)
    assert answer.verdict != "normal"
    assert (answer.percentile, answer.distance) == (None, None)


def test_epochs_that_are_not_stored_are_left_out_or_refused():
    answer = diagnose("softmax", np.concatenate([_right(), _right()]))
    assert answer.verdict == "normal"
    assert "epochs after 10 are left out" in str(answer)
    with pytest.raises(CurveError, match="no figure of epochs 1 to 10"):
        diagnose("softmax", "epoch 11 loss .4")


def test_percentiles_are_those_of_the_right_trainings():
    right = curves_of("softmax").curves[RIGHT]
    seed = int(np.argsort(right[:, -1, 2])[len(right) // 2])
    answer = diagnose("softmax", right[seed])
    below = (right[:, -1, 2] < right[seed, -1, 2]).mean() + (right[:, -1, 2] == right[seed, -1, 2]).mean() / 2
    assert answer.figures[2].percentile == pytest.approx(100 * below)
    assert answer.figures[2].value == right[seed, -1, 2]
    assert 0 <= answer.percentile <= 100


def test_a_recipe_without_stored_trainings_is_refused():
    with pytest.raises(ValueError, match="no trainings of recipe alexnet are stored"):
        diagnose("alexnet", "loss .66, train acc .756, test acc .789")
    with pytest.raises(ValueError, match="unknown recipe 'lenett'"):
        diagnose("lenett", "loss 1")


def test_every_stored_variant_has_its_words_and_every_training_its_origin():
    for recipe in RECIPES:
        stored = curves_of(recipe)
        assert set(stored.curves) <= set(CAUSES)
        made = {(name, seed) for one in stored.made for name, seeds in one["trainings"].items() for seed in seeds}
        counts = {name: len([0 for other, _ in made if other == name]) for name in stored.curves}
        assert {n: len(c) for n, c in stored.curves.items()} == {n: counts[TOLD_OF.get(n, n)] for n in stored.curves}
        assert all(
            np.isfinite(curves[:, 0]).all() or np.isnan(curves[:, -1]).any() for curves in stored.curves.values()
        )


def test_the_notes_two_tables_of_lenet_are_named():
    answer = diagnose(jaxd2l.find("lenet"), LENET)
    assert answer.verdict == "normal"
    assert RIGHT in answer.causes[0].names
    other = diagnose("lenet", CONV_RELU)
    assert other.verdict == ("several causes" if len(other.missing) > 10 else "mistake")
    assert other.causes[0].names == ("relu_in_convolutions",)


def test_who_knows_few_mistakes_names_none(monkeypatch):
    kept = curves_of("softmax")
    few = {name: kept.curves[name] for name in (RIGHT, "swapped_sets", "rate_zero")}
    curve = few["swapped_sets"][0]
    assert diagnose("softmax", curve).verdict == "mistake"
    monkeypatch.setattr(answering, "curves_of", lambda recipe: kept._replace(curves=few))
    found = diagnose("softmax", curve)
    assert (found.verdict, found.causes[0].names) == ("several causes", ("swapped_sets",))
    assert "not normal, but which mistake cannot be told" in str(found)
    assert "not compared with told_after_the_epoch, tested_on_training_set, rate_ten_times_lower" in str(found)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_held_out_trainings_are_named_rightly(recipe):
    tried = held_out(recipe)
    stored = json.loads((RESULTS / "named.json").read_text(encoding="utf-8"))[recipe]["held_out"]
    assert [one._asdict() for one in tried] == stored, "run benchmarks/named.py again"
    assert not next(one.wrong for one in tried if one.name == RIGHT), "a right training is never called a mistake"
    named, wrong = sum(one.named for one in tried), sum(sum(one.wrong.values()) for one in tried)
    assert named >= 0.9 * sum(one.seeds for one in tried)
    assert wrong <= WRONG[recipe] * named, "what is named is surer than it says"
    assert max(WRONG.values()) < 1 - SURE


def test_a_training_that_is_held_out_is_in_no_variant_that_tells_of_it():
    variants = Variants("softmax", np.ones((10, 3), bool), diverged=False)
    for name in (RIGHT, "told_after_the_epoch"):
        x = variants.seeds[name].x[3]
        found = variants.held_out(name, 3)
        for other in (RIGHT, "tested_on_training_set", "swapped_sets"):
            seeds = variants.seeds[other]
            kept = seeds.x if other == "swapped_sets" else np.delete(seeds.x, 3, 0)
            oracle = distribution(kept, seeds.extra, seeds.basis).log_density(x[None])[0] + seeds.log_share(False)
            np.testing.assert_allclose(found[other].log_likelihood, oracle, rtol=1e-12)


def test_mistakes_that_were_made_in_pytorch_are_named():
    curves = json.loads((RESULTS / "torch_curves.json").read_text(encoding="utf-8"))["curves"]
    wrong = []
    for recipe in RECIPES:
        for name, lines in curves.get(recipe, {}).items():
            answer = diagnose(recipe, "\n".join(lines))
            if not answer.causes or name not in answer.causes[0].names or answer.verdict not in ("normal", "mistake"):
                wrong.append((recipe, name, answer.verdict, answer.causes))
    assert not wrong
    assert len(curves["softmax"]) > 12


@pytest.mark.slow
def test_trainings_of_a_mistake_that_is_not_known_are_seldom_named_as_another():
    tried = left_out("softmax")
    assert sum(sum(one.wrong.values()) for one in tried) <= 0.5 * sum(one.seeds for one in tried)
