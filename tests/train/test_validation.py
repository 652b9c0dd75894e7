"""A part of the training rows that judges the epochs: who is in it, what it decides; and averages of the weights."""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxd2l.data import DataError, Dataset, Examples, hold_out
from jaxd2l.nn import BatchNorm, Dense, relu
from jaxd2l.nn.loss import squared_error
from jaxd2l.nn.models import Linear
from jaxd2l.train import EpochResult, Recipe, Run, best_epoch, compile_program, evaluate, fit
from jaxd2l.train.compiler import lowered
from jaxd2l.train.results import stopped_early

pytestmark = pytest.mark.usefixtures("unoptimised")


class Net(nn.Module):
    """Parameters and running statistics."""

    @nn.compact
    def __call__(self, x, *, train: bool):
        return Dense(3)(relu(BatchNorm()(Dense(7)(x), train=train)))


def clouds(n=60, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n).astype(np.int32)
    x = (rng.normal(size=(n, 5)) + y[:, None]).astype(np.float32)
    return Dataset("clouds", Examples(x, y), Examples(x[:19], y[:19]), ("a", "b", "c"))


RECIPE = Recipe(name="small", model=Net(), dataset="clouds", learning_rate=0.1, epochs=3, batch_size=7)


def bits(tree):
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)]


def epochs(values, name="validation_accuracy"):
    """Results of which only the figure that decides differs."""
    results = [EpochResult(i, 1.0, 0.5, None, None, 0.1, 10.0, validation_loss=0.5) for i in range(1, len(values) + 1)]
    return [r._replace(**{name: value}) for r, value in zip(results, values, strict=True)]


labels = st.lists(st.integers(0, 4), min_size=2, max_size=80)


@pytest.mark.slow
@given(labels, st.floats(0.01, 0.99), st.integers(0, 2**32 - 1))
def test_both_parts_together_are_the_training_rows_with_the_share_of_each_class(y, fraction, seed):
    n = len(y)
    data = Dataset(
        "rows", Examples(np.arange(n, dtype=np.float32)[:, None], np.array(y, np.int32)), None, tuple("abcde")
    )
    counts = np.bincount(y, minlength=5)
    if counts.max() < 2:
        with pytest.raises(ValueError, match="no class has two training rows"):
            hold_out(data, fraction, seed)
        return
    parts = hold_out(data, fraction, seed)
    train, held = (part.x[:, 0].astype(int) for part in (parts.train, parts.validation))
    assert sorted([*train, *held]) == list(range(n))
    assert list(train) == sorted(train), "file order"
    assert list(held) == sorted(held), "file order"
    assert (parts.train.y == np.array(y)[train]).all()
    assert (parts.validation.y == np.array(y)[held]).all()
    for count, taken in zip(counts, np.bincount(parts.validation.y, minlength=5), strict=True):
        assert abs(taken - fraction * count) <= 0.5 or taken in (1, count - 1) or count < 2
        assert count < 2 or 1 <= taken < count
    assert parts.held_out == (fraction, seed)
    assert bits(hold_out(data, fraction, seed).validation) == bits(parts.validation)


def test_another_seed_holds_out_other_rows_and_targets_need_no_classes():
    y = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    data = Dataset("values", Examples(y, y), Examples(y, y))
    first, second = (hold_out(data, 0.2, seed) for seed in (0, 1))
    assert len(first.validation.x) == len(second.validation.x) == 10
    assert bits(first.validation) != bits(second.validation)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0,), "between 0 and 1"),
        ((1,), "between 0 and 1"),
        ((True,), "between 0 and 1"),
        (("0.1",), "between 0 and 1"),
        ((np.nan,), "between 0 and 1"),
        ((0.1, -1), "from 0 to 4294967295"),
        ((0.1, 0.5), "from 0 to 4294967295"),
    ],
)
def test_a_share_or_seed_out_of_range_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        hold_out(clouds(), *arguments)


def test_a_validation_part_is_held_out_once():
    with pytest.raises(ValueError, match="validation part of its own"):
        hold_out(hold_out(clouds(), 0.1), 0.1)


def test_a_damaged_training_part_is_refused_as_everywhere():
    data = clouds()
    with pytest.raises(DataError, match="60 inputs but 59 targets"):
        hold_out(data._replace(train=Examples(data.train.x, data.train.y[:-1])), 0.1)


@pytest.mark.slow
def test_without_a_validation_part_and_an_average_nothing_is_added():
    plain = fit(RECIPE, clouds(), 1)
    assert plain.tested == {}
    assert len(jax.tree.leaves(plain.state)) == len(jax.tree.leaves(plain.state[:4])), "no average in the state"
    assert not [name for name in plain.epochs[0].row() if name.startswith(("validation_", "ema_"))]


@pytest.mark.slow
@pytest.mark.parametrize("validated", [False, True])
def test_a_training_that_never_looks_at_the_test_part_is_the_same_training(validated, monkeypatch):
    data = hold_out(clouds(), 0.2) if validated else clouds()
    compiled = []
    monkeypatch.setattr(
        "jaxd2l.train.program.compiling.lowered",
        lambda f, *a, **k: compiled.append(f) or lowered(f, *a, **k),
    )
    alone = fit(RECIPE, data, 1, with_test=False)
    assert len(compiled) == (4 if validated else 3), "what nothing is judged by is not compiled"
    both = fit(RECIPE, data, 1)
    assert bits(alone.state) == bits(both.state)
    assert (alone.tested, {result.test_loss for result in alone.epochs}) == ({}, {None})
    assert validated == all(result.validation_loss is not None for result in alone.epochs)


@pytest.mark.parametrize("accuracy", [0.9, None])
def test_what_the_validation_part_said_is_no_test_accuracy(accuracy):
    assert Run(RECIPE, 0, None, tuple(epochs([accuracy])), 0.0).best_test_accuracy is None


@pytest.mark.slow
def test_training_sees_neither_the_validation_nor_the_test_rows():
    """Rows that would move anything that saw them change what they are judged at and nothing else."""
    data = hold_out(clouds(), 0.2)
    poisoned = {
        part: data._replace(**{part: Examples(1e3 - getattr(data, part).x, getattr(data, part).y)})
        for part in ("validation", "test")
    }
    program = compile_program(RECIPE, data)
    run, by_validation, by_test = (
        fit(RECIPE, one, 0, program=program) for one in (data, poisoned["validation"], poisoned["test"])
    )
    assert bits(run.state) == bits(by_validation.state) == bits(by_test.state)
    losses = [[(e.train_loss, e.validation_loss) for e in one.epochs] for one in (run, by_validation, by_test)]
    assert losses[0] == losses[2], "the test rows judge no epoch"
    assert losses[0] != losses[1]
    assert [train for train, _ in losses[0]] == [train for train, _ in losses[1]]
    assert run.tested != by_test.tested


@pytest.mark.slow
@pytest.mark.parametrize("ema", [None, 0.5])
def test_epochs_are_judged_by_the_validation_part_and_the_test_part_once_at_the_end(ema):
    data, kept, judged = hold_out(clouds(), 0.2, 3), {}, []
    recipe = dataclasses.replace(RECIPE, ema=ema)
    run = fit(
        recipe,
        data,
        4,
        on_epoch=lambda result, state: kept.update({result.epoch: jax.tree.map(np.array, state)}),
        on_progress=lambda what, done, total: judged.append(what) if done == total else None,
    )
    an_epoch = ["train", *["validation"] * (1 if ema is None else 2)]
    assert judged == an_epoch * 3 + ["test"] * (2 if ema is None else 3)
    for result in run.epochs:
        state = kept[result.epoch]
        expected = evaluate(recipe, state.params, state.batch_stats, data.validation)
        assert (result.validation_loss, result.validation_accuracy) == pytest.approx(expected, rel=1e-6)
        assert result.test_loss is None
        assert result.test_accuracy is None
        if ema is not None:
            expected = evaluate(recipe, *state.ema, data.validation)
            assert (result.ema_validation_loss, result.ema_validation_accuracy) == pytest.approx(expected, rel=1e-6)
            assert result.deciding == (result.ema_validation_loss, result.ema_validation_accuracy)
    best = kept[run.best_epoch]
    weights = {"last": (run.state.params, run.state.batch_stats), "best": best.deciding}
    if ema is not None:
        weights["ema"] = run.state.ema
    assert run.tested.keys() == weights.keys()
    for name, found in run.tested.items():
        assert found.epoch == (run.best_epoch if name == "best" else 3)
        expected = evaluate(recipe, *weights[name], data.test)
        assert (found.test_loss, found.test_accuracy) == pytest.approx(expected, rel=1e-6)
    assert run.best_test_accuracy == run.tested["best"].test_accuracy


@pytest.mark.slow
def test_a_regression_is_compared_by_its_loss():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 2)).astype(np.float32)
    y = (x @ np.array([[2.0], [-3.4]]) + 4.2).astype(np.float32)
    recipe = Recipe(
        name="line",
        model=Linear(),
        dataset="own",
        learning_rate=0.1,
        epochs=3,
        batch_size=8,
        loss=squared_error,
        hits=None,
    )
    run = fit(recipe, hold_out(Dataset("line", Examples(x, y), Examples(x, y)), 0.25), 0)
    losses = [e.validation_loss for e in run.epochs]
    assert run.best_epoch == 1 + losses.index(min(losses))
    assert run.tested["best"].test_accuracy is None


accuracies = st.lists(st.sampled_from((0.1, 0.2, 0.3)), min_size=1, max_size=9)


@pytest.mark.slow
@given(accuracies, st.integers(1, 4), st.sampled_from(("validation_accuracy", "ema_validation_accuracy")))
def test_a_run_stops_at_the_first_epoch_that_patience_runs_out(values, patience, name):
    """Against a counter that is set back by each better epoch, as Keras counts."""
    waited, best, expected = 0, -1.0, None
    for epoch, value in enumerate(values, 1):
        waited, best = (0, value) if value > best else (waited + 1, best)
        if waited >= patience and expected is None:
            expected = epoch
    results = epochs(values, name)
    if name.startswith("ema"):
        results = [r._replace(ema_validation_loss=0.5) for r in results]
    stopped = [n for n in range(1, len(values) + 1) if stopped_early(results[:n], patience)]
    assert (stopped[0] if stopped else None) == expected
    assert not stopped_early(results, None)
    assert best_epoch(results) == 1 + values.index(max(values))


def falling(rate, decay):
    """A rate that is right for two epochs and far too large from then on."""
    return optax.sgd(lambda step: jnp.where(step < 14, 0.05, 30.0))


@pytest.mark.slow
def test_training_stops_after_patience_and_says_so():
    data = hold_out(clouds(), 0.2)
    recipe = dataclasses.replace(RECIPE, optimizer=falling, epochs=9, model=Linear(3))
    whole = fit(recipe, data, 0)
    patient = dataclasses.replace(recipe, early_stop=2)
    run = fit(patient, data, 0)
    stop = next(n for n in range(1, 10) if stopped_early(whole.epochs[:n], 2))
    assert len(run.epochs) == stop < 9
    assert run.stopped_early
    assert not whole.stopped_early
    assert [e.validation_loss for e in run.epochs] == [e.validation_loss for e in whole.epochs[:stop]]
    assert run.tested["last"].epoch == stop
    assert run.tested["best"].epoch == stop - 2


def test_early_stopping_takes_a_validation_part():
    with pytest.raises(ValueError, match="clouds has none; hold one out: --validation-fraction"):
        fit(dataclasses.replace(RECIPE, early_stop=2), clouds(), 0)


@pytest.mark.parametrize("settings", [{"early_stop": 0}, {"early_stop": 1.5}, {"ema": 0}, {"ema": 1}, {"ema": "x"}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        dataclasses.replace(RECIPE, **settings)


def test_a_validation_part_of_another_shape_is_refused():
    data = clouds()
    with pytest.raises(DataError, match="but validation inputs float32"):
        fit(RECIPE, data._replace(validation=Examples(data.test.x[:, :4], data.test.y)), 0)
    with pytest.raises(DataError, match="validation part: label 3"):
        fit(RECIPE, data._replace(validation=Examples(data.test.x, data.test.y + 1)), 0)


@pytest.mark.slow
def test_a_program_for_another_validation_part_is_refused():
    with pytest.raises(ValueError, match="compiled for validation inputs"):
        fit(RECIPE, hold_out(clouds(), 0.2), 0, program=compile_program(RECIPE, clouds(48)))


@pytest.mark.slow
def test_the_average_follows_the_formula_of_optax_and_torch():
    """By hand: average <- decay * average + (1 - decay) * new, statistics too, from the initial weights on."""
    recipe, data, states = dataclasses.replace(RECIPE, ema=0.75, epochs=2), clouds(), []
    program = compile_program(recipe, data)
    plain = fit(RECIPE, data, 2)

    def watch(now):
        states.append(jax.tree.map(np.array, now.state))

    run = fit(recipe, data, 2, program=program, on_chunk=watch, chunk_seconds=0.0)
    from jaxd2l.train.program import initial_state

    start = initial_state(program, 2, recipe.learning_rate, recipe.weight_decay)
    assert bits(start.ema.params) == bits(start.params)
    expected = jax.tree.map(np.asarray, (start.params, start.batch_stats))
    by_step = {int(state.step): state for state in states}
    assert sorted(by_step) == list(range(1, 2 * program.train_steps + 1))
    for step in sorted(by_step):
        state = by_step[step]
        new = (state.params, state.batch_stats)
        expected = jax.tree.map(lambda old, new: 0.75 * old + 0.25 * new, expected, new)
        jax.tree.map(
            functools.partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-7), tuple(state.ema), tuple(expected)
        )
    assert bits(run.state[:3]) != bits(plain.state[:3]), "two epochs, not three"
    assert bits(fit(dataclasses.replace(RECIPE, epochs=2), data, 2).state[:4]) == bits(run.state[:4])


@pytest.mark.slow
def test_without_an_average_and_with_one_the_test_part_is_judged_alike():
    recipe = dataclasses.replace(RECIPE, ema=0.5)
    run, plain = fit(recipe, clouds(), 0), fit(RECIPE, clouds(), 0)
    assert [e.test_loss for e in run.epochs] == [e.test_loss for e in plain.epochs]
    assert all(e.ema_test_loss is not None for e in run.epochs)
    decided = [e.ema_test_accuracy for e in run.epochs]
    assert run.best_epoch == 1 + decided.index(max(decided)), "chosen by the average"
    assert run.best_test_accuracy == max(decided)
