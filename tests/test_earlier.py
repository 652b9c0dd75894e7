"""What an earlier process found out: the same to the bit, and found only where nothing it follows from has changed."""

import dataclasses
import functools
import os
import time

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxd2l import earlier, kept
from jaxd2l.cost import cost
from jaxd2l.data import Dataset, Examples
from jaxd2l.nn import Dense, relu
from jaxd2l.nn.models import LeNet, SoftmaxRegression
from jaxd2l.prediction import Predictor
from jaxd2l.recipes import RECIPES, find
from jaxd2l.train import Recipe, compile_program, evaluate, fit
from jaxd2l.train.optimizer import adam, sgd
from jaxd2l.train.program import Axis, identity, initial_state
from jaxd2l.train.state import variables_like


@pytest.fixture
def folder(tmp_path):
    earlier.keep_in(tmp_path)
    yield tmp_path
    earlier.keep_in(None)


@pytest.fixture
def traced(monkeypatch):
    """How often the network has been traced since it was last asked."""
    calls = []

    def count(network):
        call = network.__call__

        @functools.wraps(call)
        def counted(self, *args, **settings):
            calls.append(self)
            return call(self, *args, **settings)

        monkeypatch.setattr(network, "__call__", counted)

    count(LeNet)
    count(SoftmaxRegression)

    def since():
        count = len(calls)
        calls.clear()
        return count

    return since


def _another_process():
    kept.forget()
    jax.clear_caches()


def _pictures(n=24, seed=0):
    random = np.random.default_rng(seed)
    part = Examples(random.integers(0, 256, (n, 28, 28, 1), np.uint8), random.integers(0, 10, n).astype(np.int32))
    return Dataset("pictures", part, part, classes=tuple("abcdefghij"))


RECIPE = dataclasses.replace(find("lenet_bn"), batch_size=8, epochs=2)
SMALL = dataclasses.replace(find("softmax"), batch_size=8, epochs=2)


@pytest.mark.slow
def test_a_program_of_an_earlier_process_trains_to_the_same_bits_and_nothing_is_traced(folder, traced):
    data = _pictures()
    compiled = compile_program(RECIPE, data)
    assert traced()
    expected = fit(RECIPE, data, seed=3, program=compiled)
    _another_process()
    traced()
    found = compile_program(RECIPE, data)
    assert not traced()
    assert found.recipe is RECIPE
    same = ("train_steps", "dropped", "train", "test", "axes", "mesh", "windows")
    assert [getattr(found, name) for name in same] == [getattr(compiled, name) for name in same]
    assert found.epoch.memory_analysis().temp_size_in_bytes == compiled.epoch.memory_analysis().temp_size_in_bytes
    run = fit(RECIPE, data, seed=3, program=found)
    assert [result.train_loss for result in run.epochs] == [result.train_loss for result in expected.epochs]
    chex.assert_trees_all_equal(run.state, expected.state)


@pytest.mark.slow
def test_a_change_of_the_sources_that_changes_no_program_compiles_nothing(folder, traced, monkeypatch):
    data = _pictures()
    compile_program(SMALL, data)
    executables = set(folder.glob("executable-*"))
    _another_process()
    traced()
    monkeypatch.setattr(earlier, "_sources", lambda: "edited")
    compile_program(SMALL, data)
    assert traced()
    assert set(folder.glob("executable-*")) == executables
    assert len(set(folder.glob("program-*"))) == 2


@pytest.mark.slow
def test_many_runs_as_one_are_another_program(folder, traced):
    data = _pictures()
    one = compile_program(SMALL, data)
    many = compile_program(SMALL, data, Axis(2, seeds=True))
    traced()
    assert (compile_program(SMALL, data).axes, one.axes) == ((), ())
    assert compile_program(SMALL, data, Axis(2, seeds=True)).axes == many.axes
    assert not traced()


@pytest.mark.slow
def test_shapes_and_costs_are_those_that_were_found(folder, traced):
    x, data = jax.ShapeDtypeStruct((5, 28, 28, 1), jnp.float32), _pictures()
    variables, counted = variables_like(RECIPE.model, x), cost(RECIPE, data)
    _another_process()
    assert traced()
    again = cost(RECIPE, data)
    assert jax.tree.map(str, variables_like(RECIPE.model, x)) == jax.tree.map(str, variables)
    assert again == counted
    assert again.recipe == RECIPE
    assert not traced()


@pytest.mark.slow
def test_a_network_answers_and_is_judged_with_the_same_bits(folder, traced):
    data = _pictures()
    weights = initial_state(compile_program(SMALL, data), 1, 0.1, 0.0)[1:3]

    def answers():
        network = Predictor(SMALL, *weights, data.classes, (28, 28, 1))
        return network.predict_proba(data.test.x), evaluate(SMALL, *weights, data.test)

    probabilities, judged = answers()
    _another_process()
    assert traced()
    again, judged_again = answers()
    np.testing.assert_array_equal(again, probabilities)
    assert judged_again == judged
    assert not traced()


def test_every_recipe_of_the_package_is_kept(folder):
    assert [name for name in RECIPES if earlier.place_of("program", identity(find(name))) is None] == []


CHANGES = {
    "batch_size": 4, "image_size": 32, "augment": "flip", "mixup": 0.2, "precision": "bfloat16", "remat": True,
    "accumulate": 2, "clip_norm": 1.0, "optimizer": adam, "momentum": 0.9, "nesterov": True, "schedule": "cosine",
    "warmup": 1.0, "label_smoothing": 0.1, "class_weights": (1.0,) * 10, "ema": 0.9, "freeze": "Conv_0*",
    "model": LeNet(dense_activation=relu),
}  # fmt: skip


def test_no_change_of_what_is_compiled_goes_unnoticed(folder):
    recipes = [RECIPE]
    for name, value in CHANGES.items():
        more = {"momentum": 0.9} if name == "nesterov" else {"epochs": 4} if name == "warmup" else {}
        recipes.append(dataclasses.replace(RECIPE, **{name: value}, **more))
    places = [earlier.place_of("program", identity(recipe)) for recipe in recipes]
    assert None not in places
    assert len(set(places)) == len(recipes)


@pytest.mark.parametrize(
    "setting", ["jax_enable_x64", "jax_default_matmul_precision", "jax_disable_most_optimizations"]
)
def test_no_setting_of_jax_goes_unnoticed(folder, setting):
    before, place = jax.config.values[setting], earlier.place_of("program", 1)
    try:
        jax.config.update(setting, "highest" if "precision" in setting else not before)
        assert earlier.place_of("program", 1) != place
    finally:
        jax.config.update(setting, before)
    assert earlier.place_of("program", 1) == place


def test_what_a_setting_is_for_this_thread_alone_is_noticed(folder):
    place = earlier.place_of("program", 1)
    with jax.default_matmul_precision("highest"):
        assert earlier.place_of("program", 1) != place


@pytest.mark.parametrize("what", ["_sources", "_versions"])
def test_no_other_text_and_no_other_library_goes_unnoticed(folder, monkeypatch, what):
    place, of_any_text = (earlier.place_of("program", 1, any_sources=any_sources) for any_sources in (False, True))
    monkeypatch.setattr(earlier, what, lambda: "another")
    assert earlier.place_of("program", 1) != place
    assert (earlier.place_of("program", 1, any_sources=True) == of_any_text) == (what == "_sources")


def test_flags_of_xla_do_not_go_unnoticed(folder, monkeypatch):
    place = earlier.place_of("program", 1)
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    assert earlier.place_of("program", 1) != place


class Own(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        return Dense(10)(x.reshape(len(x), -1))


@dataclasses.dataclass(frozen=True)
class Settings:
    size: int = 1


class Rule:
    def __init__(self, rate):
        self.rate = rate


def _own(logits, labels):
    return jnp.zeros(len(logits))


@pytest.mark.parametrize(
    "value",
    [Own(), Settings(), Rule(1), _own, functools.partial(_own), functools.partial(sgd, _own), lambda x: x, (1, [_own])],
    ids=["network", "dataclass", "instance", "function", "partial", "inside a partial", "lambda", "inside a list"],
)
def test_nothing_of_ones_own_is_kept(folder, value):
    assert earlier.place_of("program", value) is None
    made = []
    for _ in range(2):
        earlier.remembered(earlier.place_of("value", value), lambda: made.append(1))
    assert len(made) == 2
    assert not list(folder.iterdir())


def test_a_network_of_ones_own_is_traced_anew(folder):
    recipe = Recipe("own", Own(), "pictures", batch_size=8, epochs=1)
    compile_program(recipe, _pictures())
    assert not list(folder.glob("program-*"))


def test_a_function_that_took_anothers_name_is_not_taken_for_it(folder, monkeypatch):
    before = relu
    monkeypatch.setattr("jaxd2l.nn.activation.relu", lambda x: x)
    assert earlier.place_of("program", before) is None


@pytest.mark.parametrize("content", [b"", b"damaged", None], ids=["empty", "damaged", "cut"])
def test_what_is_damaged_is_made_again(folder, content):
    assert earlier.remembered(earlier.place_of("value", 1), lambda: "a" * 100) == "a" * 100
    (file,) = folder.iterdir()
    sound = file.read_bytes()
    file.write_bytes(sound[:50] if content is None else content)
    assert earlier.remembered(earlier.place_of("value", 1), lambda: "b" * 100) == "b" * 100
    assert earlier.remembered(earlier.place_of("value", 1), lambda: "c" * 100) == "b" * 100


def test_what_cannot_be_written_is_made(folder):
    assert callable(earlier.remembered(earlier.place_of("value", 1), lambda: lambda: None))
    earlier.keep_in(folder / "missing")
    assert earlier.remembered(earlier.place_of("value", 1), lambda: 2) == 2
    assert not list(folder.iterdir())


def test_the_folder_is_bounded_and_the_longest_unused_goes_first(folder, monkeypatch):
    places = [earlier.place_of("value", number) for number in range(4)]
    of_jax = folder / "jit_step-0123-cache"
    of_jax.write_bytes(b"a" * 1000)
    for age, place in zip((4, 3, 2), places[:3], strict=True):
        earlier.remembered(place, lambda: b"a" * 1000)
        os.utime(place, (age_of := time.time() - age * 3600, age_of))
    os.utime(of_jax, (age_of := time.time() - 5 * 3600, age_of))
    earlier.remembered(places[0], lambda: pytest.fail("it was there"))
    monkeypatch.setattr(earlier, "_MOST_BYTES", 3500)
    earlier.remembered(places[3], lambda: b"a" * 1000)
    assert set(folder.iterdir()) == {places[0], places[2], places[3]}


def test_what_is_raised_is_not_kept(folder):
    with pytest.raises(ValueError, match="refused"):
        earlier.remembered(earlier.place_of("value", 1), lambda: (_ for _ in ()).throw(ValueError("refused")))
    assert earlier.remembered(earlier.place_of("value", 1), lambda: 2) == 2


@pytest.mark.slow
def test_jaxs_own_cache_is_as_it_was(folder):
    before = jax.config.jax_enable_compilation_cache
    compile_program(SMALL, _pictures())
    assert jax.config.jax_enable_compilation_cache == before


def test_nothing_is_kept_where_no_folder_is_named():
    assert earlier.place_of("program", 1) is None
    assert earlier.remembered(earlier.place_of("value", 1), lambda: 2) == 2
