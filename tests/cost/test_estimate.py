"""The four questions: counts by hand, by the table of recipes and by XLA; memory by XLA; laws in the batch size."""

import dataclasses
import math
from types import SimpleNamespace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cost_check import xla_flops, xla_train_bytes
from jax.extend.core import jaxpr_as_fun
from model_table import quick_first, shallow_recipe

from jaxd2l.cost import cost, largest_batch, measured
from jaxd2l.cost.budget import foreseen_shortage, needed_bytes, windows_alone
from jaxd2l.cost.estimate import trace
from jaxd2l.cost.flops import count
from jaxd2l.cost.fusion import kernels
from jaxd2l.cost.layers import layers
from jaxd2l.cost.traced import operations_of as operations
from jaxd2l.data import Dataset, Examples, shapes
from jaxd2l.nn import BatchNorm, Conv, Dense, Dropout, avg_pool, flatten, relu
from jaxd2l.nn.models import VGG, ResNet
from jaxd2l.recipes import RECIPES
from jaxd2l.train import Batch, compile_program, empty_tally, run_keys
from jaxd2l.train.optimizer import adam
from jaxd2l.train.program import initial_state

pytestmark = pytest.mark.usefixtures("unoptimised")

# one of each family; the deeper siblings are the same code with longer tables
FAMILIES = ("linear", "softmax", "dropout_mlp", "lenet", "lenet_bn", "conv3d", "alexnet", "vgg11", "nin", "densenet")
COMPILED = (("mlp", 64), ("lenet", 32), ("lenet_bn", 32), ("alexnet", 16))


def data_of(recipe):
    return shapes(recipe.dataset)


def layers_of(recipe):
    data = data_of(recipe)
    stored = jax.ShapeDtypeStruct((1, *data.train.x.shape[1:]), data.train.x.dtype)
    prepared = jax.eval_shape(recipe.prepare(), stored)
    return layers(recipe.model, jax.ShapeDtypeStruct(prepared.shape, jnp.float32))


@pytest.mark.parametrize("name", quick_first(RECIPES))
def test_parameters_and_multiply_adds_are_the_published_ones(name):
    recipe = RECIPES[name]
    found = layers_of(recipe)
    assert sum(layer.parameters for layer in found) == recipe.parameters
    if recipe.macs is not None:  # published to two or three digits
        assert sum(layer.macs for layer in found) == pytest.approx(recipe.macs, rel=0.015)


def test_lenet_by_hand():
    found = layers_of(RECIPES["lenet"])
    assert [(layer.name, layer.output_shape, layer.parameters, layer.macs) for layer in found] == [
        ("Conv_0", (28, 28, 6), 25 * 6 + 6, 28 * 28 * 25 * 6),
        ("Conv_1", (10, 10, 16), 25 * 6 * 16 + 16, 10 * 10 * 25 * 6 * 16),
        ("Dense_0", (120,), 400 * 120 + 120, 400 * 120),
        ("Dense_1", (84,), 120 * 84 + 84, 120 * 84),
        ("Dense_2", (10,), 84 * 10 + 10, 84 * 10),
    ]
    # along each axis 28 places of 5 taps, of which 2 + 1 at either end fall on padding
    assert found[0].padding_macs == 6 * ((28 * 5) ** 2 - (28 * 5 - 6) ** 2)
    assert [layer.reads_input for layer in found] == [True, False, False, False, False]


@pytest.mark.parametrize("name", quick_first(FAMILIES))
def test_flops_are_those_that_xla_counts(name):
    """Without products with padding zeros, which XLA leaves out, prediction and step agree."""
    recipe = dataclasses.replace(shallow_recipe(name) if name == "densenet" else RECIPES[name], batch_size=8)
    data = data_of(recipe)
    found = cost(recipe, data)
    forward, step = xla_flops(recipe, data)
    padding = 2 * sum(layer.padding_macs for layer in found.layers)
    assert (found.forward_flops - padding) * 8 == pytest.approx(forward, rel=0.05)
    # the scalar arithmetic of the optimizer is all that differs, and counts only in a network of 3 parameters
    assert found.step_flops - found.padding_flops == pytest.approx(step, rel=0.05, abs=60)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "batch_size"), COMPILED)
def test_training_memory_is_what_xla_plans(name, batch_size):
    """The data set is the same number on both sides, so it is left out: what is compared is the prediction."""
    recipe = dataclasses.replace(RECIPES[name], batch_size=batch_size)
    found = cost(recipe, platform="cpu")
    ours = found.train.total - found.train.set_aside - found.train.data
    assert ours == pytest.approx(xla_train_bytes(recipe) - found.train.data, rel=0.15)


@pytest.mark.slow
def test_rematerialisation_is_predicted_to_cost_flops_and_save_memory_and_does():
    model = ResNet(stages=(2, 2), width=32)
    recipe = dataclasses.replace(RECIPES["resnet18"], model=model, batch_size=128, image_size=64)
    plain, remat = cost(recipe, platform="cpu"), cost(recipe, platform="cpu", remat=True)
    assert 1.05 < remat.step_flops / plain.step_flops < 4 / 3
    assert remat.kept_activations < 0.65 * plain.kept_activations
    assert remat.train.total < 0.8 * plain.train.total
    _, step = xla_flops(dataclasses.replace(recipe, remat=True))
    assert remat.step_flops - remat.padding_flops == pytest.approx(step, rel=0.05)


@pytest.mark.slow
def test_accumulation_keeps_a_piece_of_the_activations_and_one_more_gradient():
    whole, pieces = cost(shallow_recipe("alexnet")), cost(shallow_recipe("alexnet"), accumulate=4)
    assert pieces.kept_activations == pytest.approx(whole.kept_activations / 4, rel=0.1)
    assert pieces.train.gradients > 1.5 * whole.train.parameters
    assert pieces.train.total < whole.train.total
    assert pieces.step_flops == pytest.approx(whole.step_flops, rel=0.01)


@pytest.mark.slow
def test_bfloat16_halves_the_activations_and_not_the_parameters():
    model = VGG(((1, 16), (2, 32)), dense_features=(4096,), dropout=0.0)
    recipe = dataclasses.replace(RECIPES["vgg11"], model=model, batch_size=8, image_size=32)
    single, half = (cost(recipe, precision=p) for p in ("float32", "bfloat16"))
    assert half.train.parameters == single.train.parameters
    copy = half.train.parameters / 2  # the parameters in bfloat16 are made in the forward pass and kept as well
    assert half.kept_activations == pytest.approx(single.kept_activations / 2 + copy, rel=0.05)
    assert half.layers[0].activation_bytes == single.layers[0].activation_bytes // 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mlp", "lenet", "vgg"])
def test_activations_and_flops_are_lines_in_the_batch_size(name):
    # multiples of one size, so that convolutions which take a part of the batch at a time find the same parts
    one, two, four = (cost(shallow_recipe(name), batch_size=n) for n in (32, 64, 128))
    fixed = 2 * one.kept_activations - two.kept_activations
    assert four.kept_activations == pytest.approx(4 * one.kept_activations - 3 * fixed, rel=0.01)
    assert four.step_flops - two.step_flops == pytest.approx(2 * (two.step_flops - one.step_flops), rel=1e-3)
    assert two.forward_flops == pytest.approx(one.forward_flops, rel=1e-5)


@pytest.mark.slow
def test_the_largest_batch_fits_and_a_larger_one_does_not():
    recipe, free = RECIPES["lenet"], 90 * 2**20  # below the batches whose patches are made in parts, by no line
    fits = largest_batch(recipe, free)
    assert cost(recipe, batch_size=fits).train.total <= free
    assert cost(recipe, batch_size=int(fits * 1.03)).train.total > free
    assert largest_batch(RECIPES["softmax"], 2**20) is None  # the data set alone is larger
    assert largest_batch(RECIPES["softmax"], 2**40) == 60_000


@pytest.mark.parametrize("unit", [1, 4])
@pytest.mark.parametrize("begun", [2, 3, 4, 5, 8, 100])
@pytest.mark.parametrize("most", [1, 2, 3, 7, 63])
def test_the_largest_small_batch_is_found_wherever_the_search_begins(monkeypatch, unit, begun, most):
    tried = []

    def curve(recipe, data, batch_size):
        tried.append(batch_size)
        return SimpleNamespace(train=SimpleNamespace(total=1000 + batch_size**2))

    monkeypatch.setattr("jaxd2l.cost.budget.cost", curve)
    recipe = dataclasses.replace(RECIPES["softmax"], batch_size=begun * unit, accumulate=unit)
    assert largest_batch(recipe, 1000 + (most * unit) ** 2) == most * unit
    assert len(tried) == len(set(tried)), "a prediction takes seconds: none is made twice"


def test_data_take_what_they_take_on_the_device_whatever_type_they_come_in(monkeypatch):
    monkeypatch.setattr("jaxd2l.train.program.windows.BYTES", 5 * 8 * (50 + 1) * 4)
    recipe = dataclasses.replace(RECIPES["linear"], batch_size=8)

    def on(dtype):
        part = Examples(np.zeros((400, 50), dtype), np.zeros((400, 1), dtype))
        return Dataset("wide", part, part)

    single, double = on(np.float32), on(np.float64)
    assert cost(recipe, double).train == cost(recipe, single).train
    assert windows_alone(recipe, double).train == windows_alone(recipe, single).train
    assert len(windows_alone(recipe, double).train.x) == 2 * 5 * 8, "two windows of five batches"
    program = compile_program(recipe, double)
    assert needed_bytes(program, double) == needed_bytes(program, single)


def test_a_scattered_sum_counts_what_is_added_not_where_it_could_be():
    def f(x):
        return jnp.zeros((900, 100)).at[jnp.asarray([4, 4, 7])].add(x)

    found = count(operations(jax.make_jaxpr(f)(jnp.ones((3, 100))), "gpu"), "gpu").total
    assert 3 * 100 <= found < 3 * 100 + 10  # a few for the three numbers that say where to


def test_running_sums_and_reductions_count_all_but_the_first_element():
    x = jnp.ones((3, 100))
    for function, flops in (
        (lambda x: jnp.cumsum(x, axis=1), 3 * 99),
        (lambda x: jax.lax.cummax(x, axis=0), 2 * 100),
        (lambda x: jax.lax.reduce(x, np.float32(0), lambda a, b: a + b * b, (1,)), 3 * 99),
    ):
        assert count(operations(jax.make_jaxpr(function)(x), "gpu"), "gpu").total == flops


@pytest.mark.parametrize("name", ["linear", "lenet_bn"])
def test_where_the_rough_bound_fits_so_does_the_prediction(name):
    """With all that an optimizer can hold, and with batches so small that their rows and records count."""
    settings = {"optimizer": adam, "ema": 0.9, "accumulate": 2, "batch_size": 2}
    recipe = dataclasses.replace(RECIPES[name], **settings)
    assert foreseen_shortage(recipe, data_of(recipe), cost(recipe).train.total - 1) is not None


def test_a_gradient_that_is_scattered_is_stored():
    rows = jnp.arange(5)
    program = operations(jax.make_jaxpr(jax.grad(lambda w: jnp.sum(w[rows] ** 2)))(jnp.ones((1000, 100))))
    _, found = kernels(program)
    assert 1000 * 100 * 4 in [
        v.bytes for kernel in found for v in kernel.writes if kernel.operation.name == "scatter-add"
    ]


@pytest.mark.slow
def test_the_largest_batch_is_a_multiple_of_the_pieces():
    recipe = dataclasses.replace(RECIPES["softmax"], batch_size=7, accumulate=7)
    fits = largest_batch(recipe, 60 * 2**20)
    assert fits % 7 == 0
    assert fits > 7


@pytest.mark.slow
def test_nothing_is_allocated_for_vgg19_at_224_pixels():
    before = {id(a) for a in jax.live_arrays()}
    found = cost(RECIPES["vgg19"], batch_size=512)
    created = [a.nbytes for a in jax.live_arrays() if id(a) not in before]
    assert sum(created) < 1000  # a random key; one image alone has 200 kB
    assert found.train.total > 5 * 2**30


def test_the_time_of_an_epoch_is_its_flops_over_the_rate():
    found = cost(RECIPES["mlp"])
    assert found.steps == 235
    assert found.epoch_seconds(1e9) == pytest.approx(235 * found.step_flops / 1e9)
    with pytest.raises(ValueError, match="rate must be a positive number"):
        found.epoch_seconds(0.0)


@pytest.mark.slow
def test_a_measured_step_is_the_median_without_the_first(monkeypatch):
    found = cost(RECIPES["softmax"], batch_size=16)
    readings = iter(np.cumsum([0, 100, 0, 3, 0, 1, 0, 2, 0, 9, 0, 2.5]))  # before and after each update
    monkeypatch.setattr(measured, "time", SimpleNamespace(perf_counter=lambda: next(readings)))
    taken = measured.measure(found)
    assert taken.step_seconds == 2.5
    assert taken.flops_per_second == found.step_flops / 2.5
    assert next(readings, None) is None, "no other update was timed"


def test_settings_and_data_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="h >= 65"):
        cost(RECIPES["alexnet"], image_size=28)
    with pytest.raises(ValueError, match="shape of 'my own' is not known"):
        cost(RECIPES["linear"], dataset="my own")
    with pytest.raises(ValueError, match="batch_size must be an integer of at least 1"):
        cost(RECIPES["mlp"], batch_size=0)


class Tied(nn.Module):
    """One dense layer twice, dropout between, and a convolution whose input is not the network's."""

    @nn.compact
    def __call__(self, x, *, train: bool):
        x = avg_pool(relu(BatchNorm()(x, train=train)), (1, 2))
        x = Conv(6, (3, 1), stride=2, padding=(1, 0))(x)
        shared = Dense(12)
        return shared(Dropout(0.2)(shared(flatten(x)), train=train))


def test_a_repeated_layer_multiplies_twice_and_holds_its_parameters_once():
    found = layers(Tied(), jax.ShapeDtypeStruct((5, 3, 4, 2), jnp.float32))
    assert [(layer.name, layer.parameters, layer.macs) for layer in found] == [
        ("BatchNorm_0", 4, 0),
        ("Conv_0", 3 * 2 * 6 + 6, 2 * 1 * 3 * 2 * 6),
        ("Dense_0", 12 * 12 + 12, 144),
        ("Dense_0", 0, 144),
    ]
    # of 2 places with 3 taps, one tap each falls on padding
    assert found[1].padding_macs == 2 * 1 * 2 * 6


class Doubled(Dense):
    @nn.compact
    def __call__(self, x):
        return 2 * Dense(self.features, use_bias=False)(x)


class Twice(Conv):
    @nn.compact
    def __call__(self, x):
        y = super().__call__(x)
        return y, y


class Width(nn.Module):
    def __call__(self, x):
        return math.prod(x.shape[1:])


class Odd(nn.Module):
    """Layers made in `setup` and taken by name, results that are no arrays, and classes of layers with other bodies."""

    def setup(self):
        self.first, self.twice, self.width, self.last = Conv(2, 3, padding=1), Twice(3, 3), Width(), Doubled(4)

    def __call__(self, x, *, train):
        x, _ = self.twice(self.first(x=x))
        return self.last(x=x.reshape(len(x), self.width(x=x)))


def test_a_module_may_take_and_give_what_it_likes():
    found = layers(Odd(), jax.ShapeDtypeStruct((1, 5, 6, 1), jnp.float32))
    macs = {layer.name: sum(one.macs for one in found if one.name == layer.name) for layer in found}
    assert macs == {"first": 5 * 6 * 9 * 2, "twice": 3 * 4 * 9 * 2 * 3, "last/Dense_0": 3 * 4 * 3 * 4}
    assert sum(layer.parameters for layer in found) == 20 + 57 + 144
    assert [layer.name for layer in found if layer.reads_input] == ["first"]
    assert [layer.receptive_field for layer in found if layer.name == "twice"][-1] == (5, 5)


def test_operations_hold_each_expression_once_and_only_what_is_read():
    def f(x):
        unread = jnp.sin(x)
        del unread
        return jnp.exp(x) + jnp.exp(x)

    names = [o.name for o in operations(jax.make_jaxpr(f)(jnp.ones(3))).operations]
    assert names == ["exp", "add"]


@pytest.mark.slow
def test_of_what_depends_on_the_platform_one_branch_is_counted():
    """Also where a backward pass keeps the choice: the mean over windows of an image of odd size."""
    recipe = dataclasses.replace(shallow_recipe("densenet"), batch_size=2)
    assert "cond" not in {o.name for o in operations(trace(recipe, data_of(recipe)).step).operations}


def test_a_loop_counts_as_often_as_it_runs():
    def f(x):
        return jax.lax.fori_loop(0, 7, lambda _, x: x @ jnp.eye(3), x)

    assert count(operations(jax.make_jaxpr(f)(jnp.ones((2, 3))), "gpu")).products == 7 * 2 * 2 * 3 * 3


@pytest.mark.slow
def test_the_traced_step_is_the_one_that_trains():
    """What is counted, run on a batch, ends where the program of `fit` does."""
    settings = {"image_size": (3, 4), "batch_size": 8, "remat": True, "accumulate": 2}
    recipe = dataclasses.replace(RECIPES["lenet_bn"], model=Tied(), **settings)
    images = np.random.default_rng(0).integers(0, 256, (8, 3, 4, 2)).astype(np.uint8)
    part = Examples(images, np.arange(8, dtype=np.int32))
    data, keys = Dataset("noise", part, part), run_keys(0)
    program = compile_program(recipe, data)
    rows, one = program.shuffle(keys.shuffle, np.int32(1)), np.int32(1)
    state = initial_state(program, 0, recipe.learning_rate, 0.0)
    before = jax.tree.map(np.asarray, state)
    batch = Batch(*(a[rows.indices[0]] for a in part), rows.weight[0])
    arguments = before, batch, jax.random.fold_in(keys.noise, 0)
    found = jax.jit(jaxpr_as_fun(trace(recipe, data).step))(*jax.tree.leaves(arguments))
    trained, record = program.epoch(state, empty_tally(1), *part, rows, keys.noise, np.int32(0), one)
    expected = jax.tree.leaves((trained, jax.tree.map(lambda a: a[0], record)))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)  # sums of float32 in another order
    assert all((a != b).any() for a, b in zip(*map(jax.tree.leaves, (before.params, trained.params)), strict=True))
