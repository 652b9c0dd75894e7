"""Optimizers and schedules by name are optax's own, wherever a run stands and however many are one program."""

import dataclasses
import itertools
import json

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxd2l
from jaxd2l.data import Dataset, Examples
from jaxd2l.nn import cross_entropy
from jaxd2l.nn.models import MLP, Linear
from jaxd2l.run_folder.checkpoint import Checkpoint, pack, unpack
from jaxd2l.selection import sweep as sweeping
from jaxd2l.selection.grid import Point
from jaxd2l.selection.points import varied
from jaxd2l.selection.sweep import Method, sweep
from jaxd2l.train import (
    Batch,
    Objective,
    Recipe,
    compile_program,
    fit,
    init_state,
    kernels_only,
    make_step,
    sgd,
)
from jaxd2l.train.loop import beginning
from jaxd2l.train.optimizer import OPTIMIZERS, SCHEDULES, Course
from jaxd2l.train.program import initial_state

pytestmark = pytest.mark.usefixtures("unoptimised")
Y = (np.arange(23) % 3).astype(np.int32)
X = (np.random.default_rng(0).normal(size=(23, 5)) + Y[:, None]).astype(np.float32)
DATA = Dataset("clouds", Examples(X, Y), Examples(X[:7], Y[:7]))
MODEL = MLP(hidden=(4,), num_outputs=3, dropout=(0.3,))
RECIPE = Recipe(name="own", model=MODEL, dataset="clouds", learning_rate=0.125, epochs=3, batch_size=6)
STEPS, EPOCHS = 4, 3
TOTAL, RATE, DECAY = STEPS * EPOCHS, 0.125, 0.25  # numbers that float32 holds as they are
WARM = 2  # half an epoch

RULES = {
    "sgd": ({"optimizer": "sgd"}, lambda rate: by_hand(optax.sgd(rate))),
    "momentum": ({"momentum": 0.75}, lambda rate: by_hand(optax.sgd(rate, 0.75))),
    "adamw": ({"optimizer": "adamw"}, lambda rate: optax.adamw(rate, weight_decay=DECAY, mask=kernels_only)),
    "nesterov": ({"momentum": 0.75, "nesterov": True}, lambda rate: by_hand(optax.sgd(rate, 0.75, nesterov=True))),
    "adam": ({"optimizer": "adam"}, lambda rate: by_hand(optax.adam(rate))),
}
COURSES = {
    "constant": ({}, optax.constant_schedule(RATE)),
    "warmup": ({"warmup": 0.5}, optax.warmup_constant_schedule(0.0, RATE, WARM)),
    "cosine": ({"schedule": "cosine"}, optax.cosine_decay_schedule(RATE, TOTAL)),
    "cosine after warmup": (
        {"schedule": "cosine", "warmup": 0.5},
        optax.warmup_cosine_decay_schedule(0.0, RATE, WARM, TOTAL),
    ),
    "linear": ({"schedule": "linear"}, optax.linear_schedule(RATE, 0.0, TOTAL)),
    "step": ({"schedule": "step"}, optax.piecewise_constant_schedule(RATE, {STEPS: 0.1, 2 * STEPS: 0.1})),
    "two steps": (
        {"schedule": "step", "step_epochs": 2, "step_factor": 0.5},
        optax.piecewise_constant_schedule(RATE, {2 * STEPS: 0.5}),
    ),
}


# every rule and every course, each once: a rule is given its rate by a course and knows nothing else of it
EACH = list(zip(itertools.islice(itertools.cycle(RULES), len(COURSES)), COURSES, strict=True))


def by_hand(rule):
    """Weight decay that adds to the gradient of kernels, then the rule."""
    return optax.chain(optax.add_decayed_weights(DECAY, mask=kernels_only), rule)


def test_every_name_is_tried_below():
    assert {changes.get("optimizer", "sgd") for changes, _ in RULES.values()} == set(OPTIMIZERS)
    assert {changes.get("schedule", "constant") for changes, _ in COURSES.values()} == set(SCHEDULES)


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "course"), EACH)
def test_a_run_is_optax_written_by_hand_in_float64(rule, course):
    with jax.enable_x64(True):
        recipe = dataclasses.replace(RECIPE, weight_decay=DECAY, **RULES[rule][0], **COURSES[course][0])
        x, model = jnp.asarray(X, jnp.float64), Linear(3)
        state = init_state(model, recipe.make_optimizer(), jax.random.key(0), x[:1])
        objective = Objective(cross_entropy, dtype=jnp.float64)
        step = jax.jit(make_step(model, recipe.scheduled_optimizer(STEPS), objective))
        optimizer = RULES[rule][1](COURSES[course][1])
        params, opt_state = state.params, optimizer.init(state.params)

        def mean_loss(params, x, y):
            return jnp.mean(cross_entropy(model.apply({"params": params}, x, train=True), y))

        @jax.jit
        def update(params, opt_state, x, y):
            loss, gradient = jax.value_and_grad(mean_loss)(params, x, y)
            updates, opt_state = optimizer.update(gradient, opt_state, params)
            return optax.apply_updates(params, updates), opt_state, loss

        for i in range(TOTAL):
            rows = np.arange(5) + i
            state, tally = step(state, Batch(x[rows], Y[rows], jnp.ones(5)), jax.random.key(i))
            params, opt_state, loss = update(params, opt_state, x[rows], Y[rows])
            np.testing.assert_allclose(tally.loss / 5, loss, rtol=1e-12)
        chex.assert_trees_all_close(state.params, params, rtol=1e-12, atol=1e-14)


class Stopped(Exception):
    pass


def results(run):
    return [(*result[:5], result.learning_rate) for result in run.epochs]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "schedule"), list(zip(RULES, itertools.islice(itertools.cycle(SCHEDULES), len(RULES)), strict=True))
)
def test_a_run_that_was_stopped_within_an_epoch_ends_in_the_bits_of_the_unbroken_one(rule, schedule):
    model = MODEL if rule == "sgd" else Linear(3)  # noise once
    recipe = dataclasses.replace(
        RECIPE, model=model, schedule=schedule, warmup=0.5, weight_decay=0.01, **RULES[rule][0]
    )
    program, moments = compile_program(recipe, DATA), []
    settings = {"seed": 4, "program": program, "chunk_seconds": 0.0}

    def stop(progress):
        moments.append(pack(progress))
        if progress.epoch == 2 and progress.step == 3:
            raise Stopped

    with pytest.raises(Stopped):
        fit(recipe, DATA, on_chunk=stop, **settings)
    like = beginning(program, initial_state(program, 4, recipe.learning_rate, recipe.weight_decay))
    done = fit(recipe, DATA, start=unpack(Checkpoint(0, *moments[-1]), like), **settings)
    unbroken = fit(recipe, DATA, **settings)
    assert [np.asarray(a).tobytes() for a in jax.tree.leaves(done.state)] == [
        np.asarray(a).tobytes() for a in jax.tree.leaves(unbroken.state)
    ]
    assert results(done) == results(unbroken)


TENTH = optax.linear_schedule(0.1, 0.0, 10)
RATES = {
    "constant": ({}, [0.125, 0.125, 0.125]),
    "by name": ({"schedule": "linear"}, [0.125 * 9 / 12, 0.125 * 5 / 12, 0.125 * 1 / 12]),
    "warmup": ({"warmup": 2}, [0.125 * 3 / 8, 0.125 * 7 / 8, 0.125]),
    "of optax": ({"learning_rate": TENTH}, [0.07, 0.03, 0.0]),
    "injected": ({"optimizer": optax.inject_hyperparams(optax.sgd)(TENTH)}, [0.07, 0.03, 0]),
    "finished": ({"optimizer": optax.sgd(0.1)}, [None] * 3),
    "a schedule inside": ({"optimizer": lambda r, d: optax.sgd(optax.linear_schedule(r, 0.0, 9))}, [None] * 3),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", RATES)
def test_the_rate_in_force_is_that_of_the_last_update_of_an_epoch(name, tmp_path):
    changes, expected = RATES[name]
    recipe = dataclasses.replace(RECIPE, model=Linear(3), **changes)
    jaxd2l.fit(recipe, DATA, run_dir=tmp_path / "own")
    rows = [json.loads(line) for line in (tmp_path / "own" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    found = [row["learning_rate"] for row in rows]
    assert found == (expected if None in expected else [pytest.approx(rate, rel=1e-6, abs=1e-8) for rate in expected])
    earlier = [{name: value for name, value in row.items() if name != "learning_rate"} for row in rows]
    jaxd2l.run_folder.write_metrics(tmp_path / "own", earlier)  # as an earlier version wrote it
    kept = jaxd2l.load_run(tmp_path / "own", recipe)
    assert [result.learning_rate for result in kept.epochs] == [None] * 3


@pytest.mark.slow
def test_a_kept_run_says_its_schedule_and_is_longer_only_where_that_can_go_on(tmp_path):
    recipe = dataclasses.replace(RECIPE, optimizer="adamw", schedule="step", step_epochs=2, warmup=0.5)
    jaxd2l.fit(dataclasses.replace(recipe, epochs=2), DATA, run_dir=tmp_path / "step")
    config = json.loads((tmp_path / "step" / "config.json").read_text(encoding="utf-8"))
    said = ("adamw", "step", 0.5, 2)
    assert tuple(config[n] for n in ("optimizer", "schedule", "warmup", "step_epochs")) == said
    longer = jaxd2l.fit(recipe, DATA, run_dir=tmp_path / "step", resume=True)
    chex.assert_trees_all_equal(longer.state.params, fit(recipe, DATA).state.params)
    assert jaxd2l.load_run(tmp_path / "step", RECIPE).recipe == recipe
    for changes, message in (
        ({"warmup": 1.0}, r"warmup 0\.5 \(asked: 1\.0\); give the same settings"),
        ({"optimizer": "adam"}, r"optimizer adamw \(asked: adam\)"),
        ({"schedule": "cosine", "step_epochs": None}, r"schedule step \(asked: cosine\), step_epochs 2"),
    ):
        with pytest.raises(ValueError, match=message):
            jaxd2l.fit(dataclasses.replace(recipe, **changes), DATA, run_dir=tmp_path / "step", resume=True)

    spanning = dataclasses.replace(RECIPE, schedule="cosine", epochs=2)
    jaxd2l.fit(spanning, DATA, run_dir=tmp_path / "cosine")
    before = (tmp_path / "cosine" / "config.json").read_bytes()
    with pytest.raises(
        ValueError, match="run of 2 epochs whose cosine schedule goes over all of them; it cannot become"
    ):
        jaxd2l.fit(dataclasses.replace(spanning, epochs=3), DATA, run_dir=tmp_path / "cosine", resume=True)
    assert (tmp_path / "cosine" / "config.json").read_bytes() == before


@pytest.mark.slow
def test_a_folder_of_an_earlier_version_trained_at_one_rate_and_goes_on(tmp_path):
    jaxd2l.fit(dataclasses.replace(RECIPE, epochs=1), DATA, run_dir=tmp_path / "own")
    config = json.loads((tmp_path / "own" / "config.json").read_text(encoding="utf-8"))
    later = ("momentum", "nesterov", "schedule", "warmup", "step_epochs", "step_factor")
    earlier = {name: value for name, value in config.items() if name not in later}
    jaxd2l.run_folder.write_json(tmp_path / "own" / "config.json", earlier)
    with pytest.raises(ValueError, match=r"holds a run with schedule constant \(asked: cosine\)"):
        jaxd2l.fit(dataclasses.replace(RECIPE, schedule="cosine"), DATA, run_dir=tmp_path / "own", resume=True)
    assert len(jaxd2l.fit(RECIPE, DATA, run_dir=tmp_path / "own", resume=True).epochs) == 3


@pytest.mark.slow
@pytest.mark.parametrize("method", [Method.VMAP, Method.LOOP])
def test_a_sweep_over_rates_under_a_schedule_is_one_program_and_its_single_runs(method, monkeypatch):
    compiled = []
    monkeypatch.setattr(
        sweeping, "compile_program", lambda *arguments: compiled.append(1) or compile_program(*arguments)
    )
    recipe = dataclasses.replace(RECIPE, optimizer="adamw", schedule="cosine", warmup=0.5)
    rates = (Point(0.05, 0.1), Point(0.02))
    swept = sweep(recipe, DATA, rates, (0, 1), method=method)
    assert len(compiled) <= 2  # that of a single run, and that of all members
    for (point, seed), curves in swept.items():
        single = fit(dataclasses.replace(recipe, **varied(point)), DATA, seed)
        np.testing.assert_allclose(curves.test_loss, [e.test_loss for e in single.epochs], rtol=1e-5)


@pytest.mark.slow
def test_a_program_laid_out_for_other_epochs_is_refused():
    program = compile_program(dataclasses.replace(RECIPE, schedule="cosine"), DATA)
    for changes, message in (
        ({"epochs": 5}, "compiled with epochs 3, but the recipe has 5"),
        ({"schedule": "linear"}, "compiled with schedule cosine, but the recipe has linear"),
        ({"warmup": 1}, r"compiled with warmup 0\.0, but the recipe has 1"),
        ({"momentum": 0.5}, r"compiled with momentum 0\.0, but the recipe has 0\.5"),
    ):
        with pytest.raises(ValueError, match=message):
            fit(dataclasses.replace(RECIPE, **{"schedule": "cosine", **changes}), DATA, program=program)


WITHOUT_MEANING = [
    ({"optimizer": "adma"}, "optimizer must be one of sgd, adam, adamw, or one of optax, got 'adma'"),
    ({"optimizer": "adam", "momentum": 0.9}, r"momentum 0\.9 has no meaning with optimizer adam"),
    ({"optimizer": optax.sgd(0.1), "momentum": 0.9}, r"momentum 0\.9 has no meaning with optimizer Grad"),
    ({"momentum": 1.0}, r"momentum must be a number of at least 0 and below 1, got 1\.0"),
    ({"nesterov": True}, "nesterov looks ahead along the momentum, and there is none"),
    ({"schedule": "exponential"}, "schedule must be one of constant, cosine, step, linear, got 'exponential'"),
    ({"warmup": 3}, "warmup must be shorter than the run of 3 epochs, got 3"),
    ({"warmup": -1}, "warmup must be a number of epochs of at least 0, got -1"),
    ({"step_epochs": 2}, "step_epochs has no meaning with schedule constant"),
    ({"schedule": "cosine", "step_factor": 0.5}, "step_factor has no meaning with schedule cosine"),
    ({"schedule": "step", "step_epochs": 0}, "step_epochs must be an integer of at least 1, got 0"),
    ({"schedule": "step", "step_factor": 1.5}, r"step_factor must be a number between 0 and 1, got 1\.5"),
    ({"schedule": "cosine", "learning_rate": optax.constant_schedule(0.1)}, "learning_rate is a schedule of its own"),
    ({"warmup": 1, "optimizer": optax.sgd(0.1)}, "a finished optimizer has a rate of its own"),
]


@pytest.mark.parametrize(("changes", "message"), WITHOUT_MEANING)
def test_what_has_no_meaning_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(RECIPE, **changes)


def test_a_schedule_by_name_needs_a_rate_in_the_state():
    recipe = dataclasses.replace(RECIPE, schedule="cosine", optimizer=lambda r, d: sgd(float(r), d))
    with pytest.raises(ValueError, match="moves a learning rate that is an array in the optimizer's state"):
        fit(recipe, DATA)


@pytest.mark.slow
def test_a_factory_of_ones_own_follows_a_schedule_by_name():
    by_name = dataclasses.replace(RECIPE, schedule="cosine", optimizer=lambda r, d: optax.sgd(2 * r))
    doubled = dataclasses.replace(RECIPE, schedule="cosine", learning_rate=0.25)
    chex.assert_trees_all_close(fit(by_name, DATA).state.params, fit(doubled, DATA).state.params, rtol=1e-6)


def test_without_a_schedule_the_state_and_the_step_are_those_of_before():
    assert RECIPE.course == Course(epochs=3)
    assert RECIPE.course.is_constant
    optimizer = RECIPE.scheduled_optimizer(STEPS)
    cosine = dataclasses.replace(RECIPE, schedule="cosine").scheduled_optimizer(STEPS)
    params = jax.eval_shape(lambda: MODEL.init(jax.random.key(0), X[:1], train=False)["params"])
    states = [jax.eval_shape(one.init, params) for one in (optimizer, cosine)]
    assert jax.tree.structure(states[0]) == jax.tree.structure(states[1])
    assert optimizer.given == sgd(0.125, 0.0).given
