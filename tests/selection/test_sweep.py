import dataclasses

import flax.linen as nn
import jax
import numpy as np
import pytest

from jaxd2l.data import Dataset, Examples, hold_out
from jaxd2l.data.synthetic import linear_regression
from jaxd2l.nn import BatchNorm, Conv, Dense
from jaxd2l.nn.loss import squared_error
from jaxd2l.nn.models import MLP, Linear
from jaxd2l.selection import sweep as module
from jaxd2l.selection import vmapped as vmapped_runs
from jaxd2l.selection.curves import curves_of
from jaxd2l.selection.grid import Point
from jaxd2l.selection.points import points_of
from jaxd2l.selection.sweep import Method, sweep
from jaxd2l.train import Recipe, compile_program, fit
from jaxd2l.train.mesh import on_device
from jaxd2l.train.program import Axis, bind, initial_state

pytestmark = pytest.mark.usefixtures("unoptimised")


def images(seed, n, side=8):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n).astype(np.int32)
    x = (rng.integers(0, 120, (n, side, side, 1)) + 60 * y[:, None, None, None]).astype(np.uint8)
    return Examples(x, y)


def mlp():
    data = Dataset("small", images(0, 23), images(1, 7), ("a", "b", "c"))
    model = MLP(hidden=(5,), num_outputs=3, dropout=(0.2,))
    settings = {"learning_rate": 0.1, "epochs": 2, "batch_size": 6, "image_size": 8}
    return Recipe(name="small", model=model, dataset="small", **settings), data


def line(**settings):
    return Recipe("line", Linear(), "line", learning_rate=0.03, loss=squared_error, hits=None, **settings)


RATES = (Point(0.5), Point(0.05, 0.1))


def assert_equal_curves(one, other):
    for name in ("train_loss", "train_accuracy", "test_loss", "test_accuracy"):
        # float32 sums in another order, over 8 updates
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-4, err_msg=name)
    assert one.diverged == other.diverged


@pytest.fixture(scope="module")
def vmapped():
    """Two rates x three seeds as one program."""
    return sweep(*mlp(), RATES, (3, 8, 9), method=Method.VMAP)


@pytest.mark.slow
def test_a_member_is_the_single_run_with_its_seed_and_rates(vmapped):
    recipe, data = mlp()
    program = compile_program(recipe, data)
    assert set(vmapped) == {(point, seed) for point in RATES for seed in (3, 8, 9)}
    for (point, seed), curves in vmapped.items():
        varied = dataclasses.replace(recipe, learning_rate=point.learning_rate, weight_decay=point.weight_decay)
        assert_equal_curves(curves, curves_of(fit(varied, data, seed, program=program).epochs, recipe.epochs, None))
    assert len({float(curves.train_loss[-1]) for curves in vmapped.values()}) == 6


@pytest.mark.slow
def test_the_loop_gives_the_same_members_and_trains_none_again_that_is_finished(vmapped):
    recipe, data = mlp()
    finished = {member: curves for member, curves in vmapped.items() if member[1] == 3}
    seen = []
    result = sweep(
        recipe,
        data,
        RATES,
        (3, 8, 9),
        method=Method.LOOP,
        finished=finished,
        on_curves=lambda point, seed, curves: seen.append(seed),
    )
    assert seen == [8, 8, 9, 9]
    for member, curves in vmapped.items():
        assert_equal_curves(result[member], curves)
    assert result[RATES[0], 3] is finished[RATES[0], 3]


@pytest.mark.parametrize("method", [Method.VMAP, Method.LOOP])
def test_where_single_points_are_missing_only_they_are_trained(vmapped, method):
    there = {(RATES[0], 3), (RATES[1], 8)}
    finished = {member: curves for member, curves in vmapped.items() if member in there}
    seen = []
    result = sweep(
        *mlp(), RATES, (3, 8, 9), method=method, finished=finished, on_curves=lambda p, s, c: seen.append((p, s))
    )
    assert sorted(seen) == sorted(set(vmapped) - there)
    for member, curves in vmapped.items():
        assert_equal_curves(result[member], curves)
        assert (result[member] is curves) == (member in there)


class SmallConvolution(nn.Module):
    """Two channels of 3x3, batch norm, a dense layer."""

    @nn.compact
    def __call__(self, x, *, train: bool):
        x = Conv(2, (3, 3))(x)
        x = BatchNorm()(x, train=train)
        return Dense(3)(x.reshape(len(x), -1))


@pytest.mark.slow
def test_a_convolution_net_with_batch_norm_gives_the_same_both_ways():
    _, data = mlp()
    settings = {"learning_rate": 0.1, "epochs": 1, "batch_size": 6, "image_size": 8}
    recipe = Recipe(name="small", model=SmallConvolution(), dataset="small", **settings)
    vmapped = sweep(recipe, data, (Point(0.1),), (0, 1), method=Method.VMAP)
    looped = sweep(recipe, data, (Point(0.1),), (0, 1), method=Method.LOOP)
    for member, curves in vmapped.items():
        assert_equal_curves(curves, looped[member])


@pytest.mark.slow
@pytest.mark.parametrize("method", [Method.VMAP, Method.LOOP])
def test_one_member_that_diverges_leaves_the_others_and_says_where(method):
    train = linear_regression(0, n=50)
    data = Dataset("line", train, linear_regression(1, n=9))
    recipe = line(epochs=4, batch_size=10)
    result = sweep(recipe, data, (Point(0.03), Point(1e4)), (0,), method=method)
    good, bad = result[Point(0.03), 0], result[Point(1e4), 0]
    assert good.diverged is None
    assert np.isfinite(good.test_loss).all()
    assert np.isnan(good.test_accuracy).all()  # a regression has none
    assert bad.diverged is not None
    assert np.isnan(bad.train_loss[bad.diverged - 1 :]).all()
    assert np.isfinite(bad.train_loss[: bad.diverged - 1]).all()


@pytest.mark.parametrize("method", [Method.VMAP, Method.LOOP])
@pytest.mark.parametrize(("validated", "ema"), [(False, None), (True, None), (False, 1 - 1e-8)])
def test_a_last_update_that_overflows_is_divergence_though_the_training_loss_was_finite(method, validated, ema):
    """And with an average that has hardly moved, whose own loss is finite."""
    data = Dataset("line", linear_regression(0, n=20), linear_regression(1, n=9))
    data = hold_out(data, 0.5, 0) if validated else data
    recipe = line(epochs=1, batch_size=len(data.train.x), ema=ema)
    result = sweep(recipe, data, (Point(0.03), Point(1e25)), (0,), method=method)
    assert result[Point(0.03), 0].diverged is None
    bad = result[Point(1e25), 0]
    assert bad.diverged == 1
    assert np.isnan(bad.judged(False)).all()


@pytest.mark.slow
def test_too_little_memory_splits_the_members_and_changes_nothing(vmapped, monkeypatch):
    monkeypatch.setattr(module, "free_bytes", lambda: 10)
    monkeypatch.setattr(module, "bytes_of_a_run", lambda program: 1)  # half of 10 bytes hold 5 members: 2 seeds
    choices = []
    split = sweep(*mlp(), RATES, (3, 8, 9), method=Method.VMAP, on_choice=choices.append)
    assert [(choice.seeds, choice.points) for choice in choices] == [(2, 2)]
    for member, curves in vmapped.items():
        assert_equal_curves(curves, split[member])


@pytest.mark.slow
@pytest.mark.parametrize(("alone", "together", "faster"), [(2.0, 3.0, Method.LOOP), (3.0, 2.0, Method.VMAP)])
def test_measuring_takes_the_faster_way_and_says_the_times(alone, together, faster, monkeypatch):
    recipe, data = mlp()
    recipe = dataclasses.replace(recipe, epochs=1)
    monkeypatch.setattr(module, "free_bytes", lambda: 10**12)
    monkeypatch.setattr(module, "seconds_a_step", lambda program, members, train: (alone, together))
    choices, made = [], {}
    measured = sweep(recipe, data, RATES, (3, 8), choices=made, on_choice=choices.append)
    assert [choice.method for choice in choices] == [faster]
    assert f"{1000 * alone:.3g} ms an update alone, {1000 * together:.3g} ms as one of 4; " in choices[0].reason
    other = "compile_members" if faster is Method.LOOP else "compile_program"
    monkeypatch.setattr(module, other, None)  # a choice that was made is taken, and the other way is not compiled
    again = sweep(recipe, data, RATES, (3, 8), choices=made, on_choice=choices.append)
    assert len(choices) == 1
    for member, curves in measured.items():
        np.testing.assert_array_equal(curves.train_loss, again[member].train_loss)


@pytest.mark.slow
def test_what_is_compared_is_the_time_of_one_members_update(ticking):
    recipe, data = mlp()
    program, members = compile_program(recipe, data), vmapped_runs.compile_members(recipe, data, 3, 2)
    ticking(vmapped_runs)  # 4 updates take a second, whether of one member or of six
    assert vmapped_runs.seconds_a_step(program, members, on_device(data.train)) == (1 / 4, 1 / 4 / 6)


@pytest.mark.parametrize(
    ("rates", "seeds", "message"),
    [
        ((), (0,), "rates and seeds"),
        (RATES, (), "rates and seeds"),
        ((Point(-1.0),), (0,), "learning_rate"),
        ((Point(0.1, -1.0),), (0,), "weight_decay"),
        ((Point(0.1, 0.0, 0.5),), (0,), "kfold varies it"),
        (RATES, (2**32,), "seed"),
    ],
)
def test_wrong_use_is_refused_before_anything_is_compiled(rates, seeds, message):
    recipe, data = mlp()
    with pytest.raises(ValueError, match=message):
        sweep(recipe, data, rates, seeds)


def test_points_seeds_and_method_are_taken_however_they_are_given():
    (recipe, data), curves = mlp(), curves_of((), 2, None)
    done = {(Point(rate, 0.0), seed): curves for rate in (0.1, 0.2) for seed in (0, 1)}
    for points in ([(0.1, 0.0), (0.2, 0.0)], np.array([[0.1, 0.0], [0.2, 0.0]])):
        for seeds in ((seed for seed in range(2)), np.arange(2), {0, 1}):
            assert sweep(recipe, data, points, seeds, method="loop", finished=done) == done
    with pytest.raises(ValueError, match="'fast' is not a valid Method"):
        sweep(recipe, data, RATES, (0,), method="fast")
    with pytest.raises(ValueError, match="points must be a learning rate and a weight decay each"):
        sweep(recipe, data, (0.1, 0.2), (0,))


def test_rates_are_all_combinations_once():
    assert points_of((0.1, 0.2, 0.1), (0.0, 1.0)) == (
        Point(0.1, 0.0),
        Point(0.1, 1.0),
        Point(0.2, 0.0),
        Point(0.2, 1.0),
    )
    with pytest.raises(ValueError, match="at least one"):
        points_of((), (0.0,))


def test_a_single_run_refuses_the_program_of_many():
    recipe, data = mlp()
    many = dataclasses.replace(bind(recipe, data), axes=(Axis(3, seeds=True), Axis(2, rates=True)))
    with pytest.raises(ValueError, match="of 6 runs as one, expected one of a single run"):
        fit(recipe, data, program=many)


@pytest.mark.slow
@pytest.mark.parametrize("ema", [None, 0.5])
def test_a_validation_part_judges_the_members_and_the_test_part_each_once(ema):
    recipe, data = mlp()
    recipe, data = dataclasses.replace(recipe, ema=ema), hold_out(data, 0.3, 2)
    members = {method: sweep(recipe, data, RATES, (3, 8), method=method) for method in (Method.VMAP, Method.LOOP)}
    program = compile_program(recipe, data)
    for (point, seed), curves in members[Method.LOOP].items():
        one = dataclasses.replace(recipe, learning_rate=point.learning_rate, weight_decay=point.weight_decay)
        run = fit(one, data, seed, program=program)
        assert curves.judged_on == "validation"
        assert list(curves.judged(True)) == [result.deciding[1] for result in run.epochs]
        assert np.isnan(curves.test_accuracy[:-1]).all()
        assert curves.test_accuracy[-1] == run.tested["last" if ema is None else "ema"].test_accuracy
        vmapped = members[Method.VMAP][point, seed]
        assert_equal_curves(vmapped, curves)
        for name in ("validation_loss", "validation_accuracy"):
            np.testing.assert_allclose(getattr(vmapped, name), getattr(curves, name), rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "anew"), [(Method.VMAP, True), (Method.LOOP, False)])
def test_members_begin_with_the_weights_given_as_a_single_run_does(method, anew):
    """A last layer that is drawn anew is each seed's own; momentum begins at 0, the average with the weights."""
    recipe, data = mlp()
    recipe = dataclasses.replace(recipe, freeze="Dense_0/*", optimizer="sgd", momentum=0.9, ema=0.5)
    program = compile_program(recipe, data)
    state = initial_state(program, 5, 0.1, 0.0)
    given = jax.tree.map(lambda leaf: np.asarray(leaf) / 2, (state.params, state.batch_stats))

    def last_layer_anew(drawn):
        params = {"Dense_0": given[0]["Dense_0"], "Dense_1": jax.tree.map(np.asarray, drawn.params["Dense_1"])}
        return params, given[1]

    members = sweep(recipe, data, RATES, (3, 8), method=method, weights=last_layer_anew if anew else given)
    for (point, seed), curves in members.items():
        one = dataclasses.replace(recipe, learning_rate=point.learning_rate, weight_decay=point.weight_decay)
        weights = last_layer_anew(initial_state(program, seed, *point[:2])) if anew else given
        run = fit(one, data, seed, program=program, weights=weights)
        assert_equal_curves(curves, curves_of(run.epochs, recipe.epochs, None))


@pytest.mark.slow
def test_weights_to_begin_with_that_do_not_fit_are_refused():
    recipe, data = mlp()
    with pytest.raises(ValueError, match="do not fit the network"):
        sweep(recipe, data, RATES, (3,), method=Method.VMAP, weights=({"Dense_0": {"kernel": np.zeros(3)}}, {}))


def test_early_stopping_is_no_part_of_a_sweep():
    recipe, data = mlp()
    with pytest.raises(ValueError, match="leave early_stop out"):
        sweep(dataclasses.replace(recipe, early_stop=2), hold_out(data, 0.3), RATES, (0,))
