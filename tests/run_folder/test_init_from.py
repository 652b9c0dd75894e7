"""A run that begins with given weights: which are taken over, which are refused, and that it goes on without them."""

import argparse
import dataclasses
import json
import shutil

import flax.linen as nn
import jax
import numpy as np
import pytest

import jaxd2l
from jaxd2l import train
from jaxd2l.commands.asked.start import told_start
from jaxd2l.data import DataError, Dataset, Examples
from jaxd2l.nn import BatchNorm, Conv, Dense, flatten, relu
from jaxd2l.nn.parameters import flat
from jaxd2l.run_folder.initial import fit_to_network, read_source
from jaxd2l.train import Recipe, init_state, run_keys


class Small(nn.Module):
    """A convolution, a norm and two dense layers."""

    num_classes: int = 3
    width: int = 5

    @nn.compact
    def __call__(self, x, *, train: bool):
        x = relu(BatchNorm()(Conv(2, 3, padding=1)(x), train=train))
        x = relu(Dense(self.width)(flatten(x)))
        return Dense(self.num_classes)(x)


def _data(classes=3, channels=1, n=17):
    rng = np.random.default_rng(classes)
    x = rng.integers(0, 256, (n, 4, 4, channels)).astype(np.uint8)
    y = np.arange(n, dtype=np.int32) % classes
    return Dataset("noise", Examples(x, y), Examples(x[:7], y[:7]), tuple("abcdefg"[:classes]))


def _recipe(classes=3, width=5, **fields):
    return Recipe("small", Small(classes, width), "noise", epochs=1, batch_size=4, image_size=4, **fields)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A kept run of seven classes."""
    folder = tmp_path_factory.mktemp("source") / "run"
    jaxd2l.fit(_recipe(7), _data(7), 3, run_dir=folder)
    return folder


def _moved_statistics(source):
    return {name: a for name, a in read_source(source).tensors.items() if name.startswith("batch_stats.")}


@pytest.mark.slow
def test_all_but_a_last_layer_of_other_classes_is_taken_over_and_that_is_drawn_from_the_seed(source):
    recipe, data, kept = _recipe(3), _data(3), read_source(source)
    fit = fit_to_network(kept, recipe, data)
    assert fit.note == "Dense_1 drawn anew: 7 classes there, 3 here"
    drawn = init_state(recipe.model, recipe.make_optimizer(), run_keys(1).init, np.zeros((1, 4, 4, 1), np.float32))
    params, stats = fit.weights(drawn)
    for path, leaf in flat({"params": params, "batch_stats": stats}, ".").items():
        new = path.startswith("params.Dense_1.")
        wanted = flat({"params": drawn.params}, ".")[path] if new else kept.tensors[path]
        np.testing.assert_array_equal(leaf, wanted)
    assert any(np.any(a) for name, a in _moved_statistics(source).items() if name.endswith("mean"))


@pytest.mark.slow
def test_the_same_classes_are_taken_over_whole(source):
    fit = fit_to_network(read_source(source / "weights.safetensors"), _recipe(7), _data(7))
    assert (fit.anew, fit.note) == ((), "")


WRONG = {
    "another width": (
        _recipe(3, 6),
        _data(3),
        ("params.Dense_0.bias is float32 (5,), expected float32 (6,)", "params.Dense_1.kernel is float32 (5, 7)"),
    ),
    "other channels": (
        _recipe(7),
        _data(7, 3),
        ("Conv_0.kernel is float32 (3, 3, 1, 2), expected float32 (3, 3, 3, 2)", "--channels 1 reads pictures"),
    ),
    "another network": (
        dataclasses.replace(_recipe(3), model=jaxd2l.nn.models.MLP(num_outputs=3)),
        _data(3),
        ("params.Conv_0.bias is not expected", "batch_stats.BatchNorm_0.mean is not expected"),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", WRONG)
def test_any_other_difference_is_refused_with_all_of_them_and_no_folder_is_made(case, source, tmp_path):
    recipe, data, told = WRONG[case]
    with pytest.raises(DataError, match="does not fit the network of recipe small") as refused:
        jaxd2l.fit(recipe, data, run_dir=tmp_path / "new", init_from=source)
    for part in told:
        assert part in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "new").exists()


@pytest.fixture(scope="module")
def tuned(source, tmp_path_factory):
    """An unbroken run of two epochs from these weights, with moments and a frozen layer, its recipe and its program."""
    recipe = _recipe(3, optimizer="adam", ema=0.9, freeze="Conv_*,*/scale")
    recipe = dataclasses.replace(recipe, epochs=2, learning_rate=0.01)
    program = train.compile_program(recipe, _data(3))
    folder = tmp_path_factory.mktemp("tuned") / "run"
    run = jaxd2l.fit(recipe, _data(3), 5, run_dir=folder, init_from=source, program=program)
    return recipe, program, run, folder


def _bits(folder):
    return {name: (folder / name).read_bytes() for name in ("weights.safetensors", "ema.safetensors")}


class _StopError(Exception):
    """Ends a run."""


def _stopped(recipe, program, folder, after, **options):
    """A run that is stopped after so many pieces of one update, and saved where `after` is not 0."""
    pieces = iter(range(100))
    stop = lambda: _StopError if next(pieces) == after else None  # noqa: E731
    with pytest.raises(_StopError):
        jaxd2l.fit(recipe, _data(3), 5, run_dir=folder, program=program, stop=stop, chunk_seconds=0.0, **options)


@pytest.mark.slow
def test_a_stopped_run_goes_on_to_the_same_bits_without_its_source(source, tuned, tmp_path):
    recipe, program, _, unbroken = tuned
    moved = tmp_path / "source"
    shutil.copytree(source, moved)
    _stopped(recipe, program, tmp_path / "run", 2, init_from=moved)
    shutil.rmtree(moved)
    again = {"run_dir": tmp_path / "run", "resume": True, "program": program}
    with pytest.raises(ValueError, match=r"began with .*, not with"):
        jaxd2l.fit(recipe, _data(3), 5, init_from=unbroken, **again)
    jaxd2l.fit(recipe, _data(3), 5, init_from=moved, **again)
    assert _bits(tmp_path / "run") == _bits(unbroken)
    assert json.loads((tmp_path / "run" / "config.json").read_bytes())["init_from"]["path"] == str(moved)


@pytest.mark.slow
def test_without_a_checkpoint_it_begins_with_the_same_weights_or_not_at_all(source, tuned, tmp_path):
    recipe, program, _, unbroken = tuned
    moved, folder = tmp_path / "source", tmp_path / "run"
    shutil.copytree(source, moved)
    _stopped(recipe, program, folder, 1, init_from=moved)
    shutil.rmtree(folder / "checkpoints")
    weights = (moved / "weights.safetensors").read_bytes()
    for change, said in ((unbroken / "weights.safetensors", "holds others by now"), (None, "is gone")):
        (moved / "weights.safetensors").unlink()
        if change is not None:
            shutil.copy(change, moved / "weights.safetensors")
        with pytest.raises(DataError, match=said):
            jaxd2l.fit(recipe, _data(3), 5, run_dir=folder, resume=True, program=program)
    (moved / "weights.safetensors").write_bytes(weights)
    jaxd2l.fit(recipe, _data(3), 5, run_dir=folder, resume=True, program=program)
    assert _bits(folder) == _bits(unbroken)


@pytest.mark.slow
def test_arrays_begin_a_run_as_their_file_does(source, tuned):
    recipe, program, run, folder = tuned
    fit = fit_to_network(read_source(source), recipe, _data(3))
    drawn = train.init_state(
        recipe.model, recipe.make_optimizer(), run_keys(5).init, np.zeros((1, 4, 4, 1), np.float32)
    )
    again = train.fit(recipe, _data(3), 5, program=program, weights=fit.weights(drawn))
    assert [np.asarray(a).tobytes() for a in jax.tree.leaves(again.state)] == [
        np.asarray(a).tobytes() for a in jax.tree.leaves(run.state)
    ]
    kept = read_source(folder).tensors
    np.testing.assert_array_equal(kept["params.Conv_0.kernel"], read_source(source).tensors["params.Conv_0.kernel"])
    with pytest.raises(ValueError, match=r"do not fit the network: .*Dense_1/bias is missing"):
        train.fit(recipe, _data(3), program=program, weights=({"Conv_0": drawn.params["Conv_0"]}, drawn.batch_stats))


@pytest.mark.slow
def test_what_is_no_source_is_refused_in_one_line(source, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "net.pt").write_bytes(b"\x80\x04.")
    shutil.copy(source / "weights.safetensors", tmp_path / "damaged.safetensors")
    data = bytearray((tmp_path / "damaged.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "damaged.safetensors").write_bytes(data)
    for path, weights, error, said in (
        (tmp_path / "empty", None, DataError, "is no run folder"),
        (tmp_path / "nowhere", None, FileNotFoundError, "nowhere"),
        (tmp_path / "nowhere", "best", FileNotFoundError, "nowhere"),
        (tmp_path / "net.pt", None, DataError, "is a pickle"),
        (tmp_path / "damaged.safetensors", None, DataError, "damaged"),
        (source / "weights.safetensors", "best", ValueError, "is no run's folder"),
        (source, "ema", ValueError, "keeps no averaged weights"),
    ):
        with pytest.raises(error, match=said):
            read_source(path, weights)


@pytest.mark.slow
def test_a_last_layer_that_is_taken_over_for_other_classes_is_told(source):
    asked = argparse.Namespace(init_from=source, weights=None)
    data = _data(7)
    assert len(told_start(asked, None, _recipe(7), data)) == 1
    assert told_start(asked, None, _recipe(7), data._replace(classes=tuple("gfedcba")))[1:] == [
        "note: the last layer is taken over from classes a, b, c, d, e and 2 more for g, f, e, d, c and 2 more"
    ]
