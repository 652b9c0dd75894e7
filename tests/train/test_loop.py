import dataclasses
import math
import sys

import chex
import flax.linen as nn
import jax
import numpy as np
import optax
import pytest

import jaxd2l
from jaxd2l import kept
from jaxd2l.data import Dataset, Examples
from jaxd2l.data.synthetic import linear_regression
from jaxd2l.nn import BatchNorm, Dense, cross_entropy, flatten
from jaxd2l.nn.init import xavier_uniform
from jaxd2l.nn.models import MLP
from jaxd2l.recipes import RECIPES, find, load_data
from jaxd2l.train import DivergenceError, compile_program, fit, loop
from jaxd2l.train.check_data import check_run
from jaxd2l.train.program import bind
from jaxd2l.train.recipe import Recipe

RNG = np.random.default_rng(0)


def _images(n, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, n).astype(np.int32)
    images = rng.integers(0, 64, (n, 6, 6, 1), dtype=np.uint8)
    images[np.arange(n), labels, :, 0] += 150  # a bright row tells the class
    return Examples(images, labels)


DATA = Dataset("bars", _images(53, 0), _images(17, 1), ("a", "b", "c", "d"))
TINY = Recipe(
    name="tiny",
    model=MLP(hidden=(16,), num_outputs=4, dropout=(0.2,), kernel_init=xavier_uniform),
    dataset="bars",
    learning_rate=0.5,
    epochs=4,
    batch_size=8,
    image_size=6,
)


@pytest.mark.slow
def test_linear_regression_finds_the_true_weights():
    run = fit(RECIPES["linear"], load_data(RECIPES["linear"]), seed=0)
    params = run.state.params["Dense_0"]
    np.testing.assert_allclose(params["kernel"][:, 0], [2, -3.4], atol=2e-3)  # noise 0.01 over 1,000 examples
    np.testing.assert_allclose(params["bias"], [4.2], atol=2e-3)
    assert run.epochs[-1].test_loss < 6e-5  # the noise alone is 0.01**2 / 2
    assert run.epochs[-1].test_accuracy is None
    assert run.best_test_accuracy is None


@pytest.mark.slow
def test_a_classifier_learns_and_each_epoch_is_reported_once():
    seen, progress = [], []
    run = fit(
        TINY,
        DATA,
        on_epoch=lambda result, state: seen.append((result, int(state.step))),
        on_progress=lambda what, done, total: progress.append((what, done, total)),
    )
    assert [result for result, _ in seen] == list(run.epochs)
    assert [step for _, step in seen] == [7, 14, 21, 28]
    assert [e.epoch for e in run.epochs] == [1, 2, 3, 4]
    assert run.epochs[-1].train_loss < 0.5 * run.epochs[0].train_loss
    assert run.best_test_accuracy == max(e.test_accuracy for e in run.epochs)
    assert {("train", 7, 7), ("test", 3, 3)} <= set(progress)


@pytest.mark.slow
def test_the_rate_is_examples_over_the_seconds_of_the_updates_alone(ticking):
    ticking(loop)  # a second for each piece of training or evaluation, so each piece is one update
    run = fit(TINY, DATA)
    assert [result.seconds for result in run.epochs] == [7] * 4  # 7 batches; the 3 of the evaluation do not count
    assert [result.images_per_second for result in run.epochs] == [53 / 7] * 4
    assert (run.train_seconds, run.images_per_second) == (28, pytest.approx(53 / 7))


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(compiled_anew):
    program = compile_program(TINY, DATA)
    first, again, other = (fit(TINY, DATA, seed, program=program) for seed in (3, 3, 4))
    chex.assert_trees_all_equal(first.state, again.state)
    assert [e.train_loss for e in first.epochs] == [e.train_loss for e in again.epochs]
    assert first.epochs[0].train_loss != other.epochs[0].train_loss
    kept.forget()
    chex.assert_trees_all_equal(fit(TINY, DATA, 3).state, first.state)  # compiled anew


@pytest.fixture
def programs(compiled_anew):
    """The names of the programs that XLA compiles."""
    names = []

    def listen(event, seconds, fun_name="", **_):
        if "backend_compile" in event:
            names.append(fun_name)

    jax.clear_caches()
    jax.config.update("jax_disable_most_optimizations", True)
    jax.monitoring.register_event_duration_secs_listener(listen)
    yield names
    jax.monitoring.unregister_event_duration_listener(listen)
    jax.config.update("jax_disable_most_optimizations", False)
    kept.forget()
    jax.clear_caches()


@pytest.mark.slow
def test_a_run_compiles_its_functions_and_no_small_program_beside_them(programs, tmp_path):
    jaxd2l.fit(TINY, DATA, run_dir=tmp_path / "run", resume=True)
    shuffle = "jit(<lambda>)"
    assert sorted(programs) == sorted(["jit(_run_keys)", "jit(init)", shuffle, "jit(epoch)", "jit(evaluation)"])


@pytest.mark.slow
def test_a_second_training_of_an_equal_recipe_compiles_nothing(programs):
    equal = dataclasses.replace(TINY, model=TINY.model.clone(), name="again", learning_rate=0.01, epochs=2)
    fit(TINY, DATA)
    assert programs
    programs.clear()
    fit(equal, DATA)
    assert programs == []
    fit(dataclasses.replace(equal, batch_size=7), DATA)
    assert programs, "nobody listens"


class Own(MLP):
    """A network of one's own, which may call what changes meanwhile."""


@pytest.mark.slow
def test_what_is_ones_own_is_traced_anew_each_time():
    assert bind(TINY, DATA).epoch is bind(dataclasses.replace(TINY, epochs=9), DATA).epoch
    own = {"model": Own(hidden=(3,)), "loss": lambda o, y: cross_entropy(o, y), "optimizer": lambda r, d: optax.sgd(r)}
    for field, value in own.items():
        recipe = dataclasses.replace(TINY, **{field: value})
        assert bind(recipe, DATA).epoch is not bind(recipe, DATA).epoch, field
        assert bind(recipe, DATA).evaluation is not bind(recipe, DATA).evaluation, field


WIDTH = 4


class Wide(MLP):
    """As many outputs as a global name says."""

    @nn.compact
    def __call__(self, x, *, train: bool):
        return Dense(WIDTH)(x.reshape(len(x), -1))


def test_outputs_of_ones_own_network_are_those_it_has_now(monkeypatch):
    recipe = dataclasses.replace(TINY, model=Wide())
    check_run(recipe, DATA)
    monkeypatch.setattr(sys.modules[__name__], "WIDTH", int(DATA.train.y.max()))
    with pytest.raises(ValueError, match="outputs"):
        check_run(recipe, DATA)


@pytest.mark.slow
def test_one_program_serves_other_learning_rates():
    program = compile_program(TINY, DATA)
    slow = dataclasses.replace(TINY, learning_rate=0.01, weight_decay=0.1, epochs=1)
    chex.assert_trees_all_equal(fit(slow, DATA, program=program).state, fit(slow, DATA).state)


@pytest.mark.slow
def test_divergence_names_the_step_and_keeps_the_last_finite_state():
    huge = dataclasses.replace(RECIPES["linear"], learning_rate=1e20)
    states = []
    with pytest.raises(DivergenceError, match=r"epoch 1, step \d+ .*try a learning rate of 1e\+19") as caught:
        fit(huge, load_data(huge), on_epoch=lambda _, state: states.append(state))
    error = caught.value
    assert (error.epoch, error.epochs, states) == (1, (), [])
    assert 1 <= error.step <= 10
    assert not (math.isfinite(error.loss) and math.isfinite(error.gradient_norm))
    chex.assert_tree_all_finite(error.state.params)
    assert error.state.step == 0


def test_a_batch_larger_than_the_data_is_refused_before_anything_is_compiled():
    with pytest.raises(ValueError, match="between 1 and the 53"):
        fit(dataclasses.replace(TINY, batch_size=54), DATA)


class Normed(nn.Module):
    """Batch statistics, and little else to compile."""

    @nn.compact
    def __call__(self, x, *, train: bool):
        return Dense(4)(BatchNorm()(flatten(x), train=train))


@pytest.mark.slow
def test_a_network_with_batch_statistics_drops_the_partial_batch_and_says_how_many():
    recipe = dataclasses.replace(TINY, model=Normed(), epochs=1)
    program = compile_program(recipe, DATA)
    assert (program.train_steps, program.dropped) == (6, 5)
    assert compile_program(TINY, DATA).dropped == 0
    assert int(fit(recipe, DATA, program=program).state.step) == 6


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("epochs", -1),
        ("epochs", 2.0),
        ("batch_size", 0),
        ("batch_size", True),
        ("learning_rate", 0.0),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("weight_decay", -0.1),
        ("weight_decay", math.nan),
        ("image_size", 0),
        ("precision", "float16"),
        ("clip_norm", "1"),
        ("class_weights", ["a", "b"]),
        ("class_weights", [None, 1]),
    ],
)
def test_a_recipe_refuses_settings_that_cannot_train(field, value):
    with pytest.raises(ValueError, match=field):
        dataclasses.replace(TINY, **{field: value})


def test_features_and_noise_of_the_synthetic_data_are_independent():
    examples = linear_regression(0)
    noise = examples.y[:, 0] - examples.x @ np.float32([2, -3.4]) - 4.2
    assert abs(np.corrcoef(examples.x[:, 0], noise)[0, 1]) < 0.1  # 3 standard deviations of 1 / sqrt(1000)


def test_unknown_recipes_and_unfitting_data_are_refused_with_names():
    with pytest.raises(ValueError, match="did you mean lenet"):
        find("lennet")
    with pytest.raises(ValueError, match="takes synthetic_linear"):
        load_data(dataclasses.replace(RECIPES["linear"], dataset="mnist"))
    with pytest.raises(ValueError, match="takes fashion_mnist, mnist"):
        load_data(dataclasses.replace(find("mlp"), dataset="synthetic_linear"))
