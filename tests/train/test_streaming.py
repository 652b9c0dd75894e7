"""Data that go to the device a window of batches at a time: order, losses, weights and bits of resident ones."""

import dataclasses

import flax.linen as nn
import jax
import numpy as np
import pytest

from jaxd2l.data import Dataset, Examples, shapes
from jaxd2l.data.streaming import Course, Shuffled, read_ahead
from jaxd2l.nn import BatchNorm, Conv, Dense, Dropout, max_pool, relu
from jaxd2l.nn.models import MLP
from jaxd2l.recipes import find
from jaxd2l.train import compile_program, fit, run_keys
from jaxd2l.train.program import bind, windows
from jaxd2l.train.recipe import Recipe

SHAPE, CLASSES = (8, 8, 1), 3


class Small(nn.Module):
    """LeNet's kinds of layers, with dropout and perhaps batch normalisation."""

    norm: bool = False

    @nn.compact
    def __call__(self, x, *, train: bool):
        x = Conv(3, 3, padding=1)(x)
        x = BatchNorm()(x, train=train) if self.norm else x
        x = max_pool(relu(x), 2)
        x = Dropout(0.3)(relu(Dense(7)(x.reshape(len(x), -1))), train=train)
        return Dense(CLASSES)(x)


def part(n, seed):
    rng = np.random.default_rng(seed)
    return Examples(rng.integers(0, 256, (n, *SHAPE), np.uint8), rng.integers(0, CLASSES, n).astype(np.int32))


DATA = Dataset("noise", part(53, 0), part(17, 1), ("a", "b", "c"), validation=part(11, 2))
ROWS = Dataset("rows", *(Examples(np.float64(p.x[:, 0, :, 0]) / 255, p.y) for p in DATA[1:3]), DATA.classes)
RECIPE = Recipe(
    name="small",
    model=Small(),
    dataset="noise",
    learning_rate=0.05,
    epochs=2,
    batch_size=5,
    image_size=8,
    augment="flip",
    momentum=0.9,
)
CASES = {
    "batch normalisation leaves the last batch out": ({"model": Small(norm=True), "ema": 0.9, "mixup": 0.2}, DATA),
    "a partial batch, in pieces and weighted": (
        {
            "model": MLP(hidden=(7,), num_outputs=CLASSES, dropout=(0.3,)),
            "batch_size": 6,
            "accumulate": 2,
            "class_weights": (1.0, 2.0, 0.5),
        },
        DATA._replace(validation=None),
    ),
    "rows of float64": ({"model": MLP(hidden=(5,), num_outputs=CLASSES), "image_size": None, "augment": None}, ROWS),
}


@pytest.fixture(autouse=True)
def windows_of_three_batches(monkeypatch):
    monkeypatch.setattr(windows, "BYTES", 3 * 6 * (64 + 4))


def bits(tree):
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)]


def figures(run):
    return [result._replace(seconds=0.0, images_per_second=0.0) for result in run.epochs], dict(run.tested)


def recorded(recipe, data, **options):
    """A run, the sums of every batch as they were after the last piece of an epoch, and where it stood within one."""
    sums, inside = {}, []

    def on_chunk(now):
        if now.step:
            sums[now.epoch] = bits(now.record)
        if now.epoch == 2 and 3 < now.step < 8:
            inside[:] = [
                now._replace(state=jax.tree.map(np.array, now.state), record=jax.tree.map(np.array, now.record))
            ]

    run = fit(recipe, data, on_chunk=on_chunk, chunk_seconds=0, **options)
    return run, sums, inside


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_streamed_data_train_to_the_same_bits_and_go_on_from_inside_an_epoch(case):
    changes, data = CASES[case]
    recipe = dataclasses.replace(RECIPE, **changes)
    with jax.enable_x64(data is ROWS):
        _streamed_as_resident(recipe, data)


def _streamed_as_resident(recipe, data):
    program = compile_program(recipe, data, stream=True)
    assert program.train.x.dtype == data.train.x.dtype
    assert program.windows[0] < program.train_steps
    resident, losses, _ = recorded(recipe, data)
    streamed, same, inside = recorded(recipe, data, program=program)
    assert same == losses
    assert figures(streamed) == figures(resident)
    best = lambda: resident.state.deciding  # noqa: E731 - asked for, and not compared
    ended = fit(recipe, data, program=program, start=inside[0], best_weights=best, with_test=data.validation is None)
    assert bits(streamed.state) == bits(resident.state) == bits(ended.state)
    assert figures(ended)[0] == figures(resident)[0]


def test_the_loop_is_the_same_function_over_a_shorter_array():
    recipe, data = find("lenet"), shapes("fashion_mnist")
    resident, streamed = bind(recipe, data), bind(recipe, data, stream=True)
    assert streamed.epoch is resident.epoch
    assert streamed.evaluation is resident.evaluation
    assert (resident.windows, streamed.windows) == (None, (1, 1))


@pytest.mark.slow
@pytest.mark.parametrize(("n", "batch_size", "keep_last"), [(23, 4, True), (23, 4, False)])
def test_batches_by_pass_and_step_are_those_of_the_epochs(n, batch_size, keep_last):
    recipe = dataclasses.replace(RECIPE, batch_size=batch_size, model=Small(norm=not keep_last))
    data = Dataset("noise", part(n, 0), part(5, 1), ("a", "b", "c"))
    program, key = bind(recipe, data, stream=True), run_keys(3).shuffle
    course = Course(
        *data.train,
        Shuffled(key, np.arange(batch_size), n=n, keep_last=keep_last),
        steps=program.train_steps,
        passes=3,
    )
    batches = read_ahead(course, program.train_steps + 2)
    for place in range(program.train_steps + 2, 3 * program.train_steps):
        number, step = divmod(place, program.train_steps)
        rows = np.asarray(program.shuffle(key, number + 1).indices[step])
        batch = next(batches)
        assert np.array_equal(batch["rows"], rows)
        assert np.array_equal(batch["x"], data.train.x[rows])
        assert np.array_equal(batch["y"], data.train.y[rows])
    with pytest.raises(StopIteration):
        next(batches)
    batches.close()


def test_a_program_for_resident_data_streams_none():
    program = bind(RECIPE, DATA)
    with pytest.raises(ValueError, match="compile one with stream=True"):
        fit(RECIPE, DATA, program=program, stream=True)
