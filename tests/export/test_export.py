"""A run taken away by every format: read by others' libraries it answers as the run, or there is no file."""

import dataclasses
import json
import os
import shutil
import sys

import flax.linen as nn
import jax
import numpy as np
import pytest
from model_table import ONE_OF_EACH, UNOPTIMISED, quick_first
from safetensors import safe_open
from safetensors.numpy import load_file
from small_networks import predictor_of, small

from jaxd2l import run_folder
from jaxd2l.cli import main
from jaxd2l.data import DataError, Examples
from jaxd2l.export import comparison, load_program, onnx_model, prediction_program, training_program
from jaxd2l.export.onnx import Session
from jaxd2l.export.training import compare_updates, training_of
from jaxd2l.export.write import export_run
from jaxd2l.nn import BatchNorm, Conv, Dense, flatten, relu
from jaxd2l.prediction import TrainedRun, load_run
from jaxd2l.recipes import RECIPES
from jaxd2l.train import Recipe

pytestmark = pytest.mark.usefixtures("unoptimised")
FAST = ["--limit-train", "128", "--limit-test", "40", "--epochs", "1", "--batch-size", "32", "--quiet", "--no-report"]
KINDS = {
    "stablehlo": ["--to", "stablehlo"],
    "prepared": ["--to", "stablehlo", "--prepared"],
    "onnx": ["--to", "onnx"],
    "train-step": ["--to", "stablehlo", "--what", "train-step"],
    "safetensors": ["--to", "safetensors"],
    "torch": ["--to", "torch"],
}


@pytest.fixture(scope="module")
def run(unoptimised, tmp_path_factory):
    """A trained run folder whose learning rate follows a schedule."""
    folder = tmp_path_factory.mktemp("export") / "run"
    assert main(["train", "dropout_mlp", *FAST, "--schedule", "cosine", "--ema", ".9", "--out", str(folder)]) == 0
    return folder


def export(run, kind, file, *more):
    return main(["export", str(run), *KINDS[kind], "--out", str(file), *more])


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_answers_as_the_run(run, tmp_path, capsys, kind):
    file = tmp_path / "net"
    assert export(run, kind, file, "--weights", "ema", "--json") == 0
    out = capsys.readouterr().out
    told = json.loads(out.splitlines()[-1])
    assert "largest difference" in out
    assert told["largest_difference"] == max(told["differences"].values())
    assert all(found <= told["allowed"][what] for what, found in told["differences"].items())
    assert not told["random_examples"]
    assert {path.name for path in tmp_path.iterdir()} == {os.path.basename(f["path"]) for f in told["files"].values()}
    assert export(run, kind, file) == 2, "the file is there"
    assert "--overwrite" in capsys.readouterr().err
    kept = load_run(run)
    images = np.random.default_rng(1).integers(0, 256, (7, 28, 28, 1), np.uint8)
    if kind in ("stablehlo", "prepared"):
        program = jax.export.deserialize(bytearray(file.read_bytes()))
        assert program.platforms == ("cpu", "cuda", "tpu")
        x = images if kind == "stablehlo" else images.astype(np.float32) / 255
        for n in (1, 7):
            np.testing.assert_allclose(program.call(x[:n]), kept.predictor("ema").outputs(images[:n]), atol=1e-5)
    if kind == "onnx":
        session = Session(file.read_bytes())
        np.testing.assert_allclose(session(images), kept.predictor("ema").outputs(images), atol=1e-5)
        facts = json.loads(session.facts["jaxd2l"])
        assert (facts["classes"], facts["weights"], facts["epoch"]) == (list(kept.classes), "ema", 1)
        assert facts["data"]["sha256"] == kept.config["data"]["sha256"]
    if kind == "train-step":
        program, state = load_program(file.read_bytes()), load_file(tmp_path / "net.state.safetensors")
        after, tally = program.call(
            state, images, np.arange(7, dtype=np.int32), np.ones(7, np.float32), np.array([0, 3], np.uint32)
        )
        assert {name: a.shape for name, a in after.items()} == {name: a.shape for name, a in state.items()}
        assert (after["step"], tally["examples"]) == (state["step"] + 1, 7)
        assert np.array_equal(state["params.Dense_0.bias"], kept.weights("ema")[0]["Dense_0"]["bias"])
        program.call(after, images[:5], np.arange(5, dtype=np.int32), np.ones(5, np.float32), np.zeros(2, np.uint32))
    if kind == "safetensors":
        with safe_open(file, "numpy") as opened:
            facts = json.loads(opened.metadata()["jaxd2l"])
        assert (facts["recipe"], facts["input"], facts["weights"]) == ("dropout_mlp", ["uint8", 28, 28, 1], "ema")
        assert facts["classes"] == list(kept.classes)
        assert np.array_equal(load_file(file)["params.Dense_0.kernel"], kept.weights("ema")[0]["Dense_0"]["kernel"])
    if kind == "torch":
        assert main(["export-torch", str(run), str(tmp_path / "same"), "--weights", "ema"]) == 0
        assert file.read_bytes() == (tmp_path / "same").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_no_example_is_counted_twice_where_there_are_few(run, tmp_path, kind):
    few = Examples(np.arange(5 * 784, dtype=np.uint8).reshape(5, 28, 28, 1), np.arange(5, dtype=np.int32))
    what = {"what": "train-step", "steps": 4} if kind == "train-step" else {"prepared": kind == "prepared"}
    done = export_run(load_run(run), KINDS[kind][1], tmp_path / "net", test=few, **what)
    assert done.comparison.examples == 5


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_where_it_differs_there_is_no_file(run, tmp_path, capsys, monkeypatch, kind):
    monkeypatch.setattr(comparison, "tolerance", lambda precision, **_: -1.0)
    monkeypatch.setattr("jaxd2l.export.training.tolerance", lambda precision, **_: -1.0)
    assert export(run, kind, tmp_path / "net") == 70
    error = capsys.readouterr().err
    assert "read back, it is not the run" in error
    assert len(error.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("old", [(), ("net.state.safetensors",)])
def test_a_full_disk_leaves_neither_program_nor_state(run, tmp_path, capsys, monkeypatch, old):
    sync, written = os.fsync, []

    def full(file):
        written.append([path.name for path in tmp_path.iterdir() if path.name.startswith(".net")])
        if len(written[-1]) == 2:
            raise OSError(28, "No space left on device")
        sync(file)

    for name in old:
        (tmp_path / name).write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    assert export(run, "train-step", tmp_path / "net", "--overwrite") == 74
    assert "No space left" in capsys.readouterr().err
    assert len(written[-1]) == 2
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == dict.fromkeys(old, b"old")


@pytest.mark.slow
def test_the_epoch_is_that_of_the_weights_though_the_run_goes_on(run, tmp_path, capsys, monkeypatch):
    folder, file = shutil.copytree(run, tmp_path / "run"), tmp_path / "net"
    kept = load_run(folder)
    before = kept.predictor().variables["params"]["Dense_0"]["bias"]
    tensors = run_folder.choose_weights(folder).tensors
    (folder / "weights.safetensors").write_bytes(
        run_folder.pack_weights({name: a + 1 for name, a in tensors.items()}, 7)
    )
    monkeypatch.setattr("jaxd2l.commands.weights.export.load_run", lambda run_dir: kept)
    assert export(folder, "safetensors", file, "--json") == 0
    out = capsys.readouterr().out
    held, epoch = run_folder.parse_weights(file.read_bytes(), "net")
    assert np.array_equal(held["params.Dense_0.bias"], before)
    assert (epoch, json.loads(out.splitlines()[-1])["epoch"]) == (1, 1)
    assert "weights.safetensors after epoch 1" in out


@pytest.mark.slow
def test_without_the_data_random_inputs_are_compared_and_it_says_so(run, tmp_path, capsys, monkeypatch):
    def gone(*_, **__):
        raise DataError("the data are gone")

    monkeypatch.setattr(TrainedRun, "data", gone)
    assert export(run, "safetensors", tmp_path / "net", "--json") == 0
    out = capsys.readouterr().out
    assert "100 random inputs, because the data are gone" in out
    assert json.loads(out.splitlines()[-1])["random_examples"]


WRONG = {
    "an unknown format": (["--to", "onxn"], 2, "unknown --to"),
    "a program of weights": (["--to", "torch", "--what", "train-step"], 2, "for stablehlo"),
    "a prepared update": (["--to", "stablehlo", "--what", "train-step", "--prepared"], 2, "for predictions"),
    "an update as onnx": (["--to", "onnx", "--what", "train-step"], 2, "onnx holds predictions"),
    "no run": (["--to", "torch"], 65, "config.json"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_use_is_one_line(tmp_path, capsys, wrong):
    (tmp_path / "run").mkdir()
    options, code, words = WRONG[wrong]
    try:
        found = main(["export", str(tmp_path / "run"), *options, "--out", str(tmp_path / "net")])
    except SystemExit as stop:
        found = stop.code
    error = capsys.readouterr().err
    assert (found, len(error.splitlines())) == (code, 1), error
    assert words in error
    assert not (tmp_path / "net").exists()


@pytest.mark.parametrize(("library", "kind"), [("flatbuffers", "stablehlo"), ("onnx", "onnx"), ("onnxruntime", "onnx")])
def test_a_missing_library_is_named_with_the_line_that_installs_it(tmp_path, capsys, monkeypatch, library, kind):
    monkeypatch.setitem(sys.modules, library, None)
    assert export(tmp_path, kind, tmp_path / "net") == 2
    assert "pip install 'jaxd2l[export]'" in capsys.readouterr().err


def test_what_is_no_program_is_refused():
    with pytest.raises(DataError, match=r"no program of jax\.export"):
        load_program(b"no program")


@pytest.mark.parametrize("name", quick_first(ONE_OF_EACH))
def test_every_recipe_predicts_for_any_number_of_examples(name):
    predictor, x = small(name)
    own = np.asarray(jax.jit(predictor.apply, compiler_options=UNOPTIMISED)(predictor.variables, x))
    program = load_program(prediction_program(predictor))
    assert program.in_avals[0].shape[1:] == x.shape[1:]
    found = np.asarray(jax.jit(program.call, compiler_options=UNOPTIMISED)(x))
    comparison.compare_outputs(own, found, 1e-4, random=True).require()
    session = Session(onnx_model(predictor))
    for n in (1, 3):
        comparison.compare_outputs(own[:n], session(x[:n]), 1e-5, random=True).require()


class Normalised(nn.Module):
    """A convolution whose outputs are normalised over the batch."""

    @nn.compact
    def __call__(self, x, *, train):
        return Dense(10)(flatten(relu(BatchNorm()(Conv(2, (5, 5), stride=4)(x), train=train))))


STEPS = {
    "linear": ("linear", {}),
    "dropout, pieces, average": ("dropout_mlp", {"accumulate": 2, "optimizer": "adamw", "ema": 0.9, "clip_norm": 1.0}),
    "mixup, again": ("mlp", {"mixup": 0.2, "remat": True, "label_smoothing": 0.1}),
    "statistics": ("lenet_bn", {"augment": "flip,erase", "model": Normalised()}),
    "a frozen layer, average": ("mlp", {"freeze": "Dense_0/*", "optimizer": "adam", "ema": 0.9}),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", STEPS)
def test_an_update_is_the_runs_own(case):
    name, settings = STEPS[case]
    recipe = dataclasses.replace(RECIPES[name], **settings)
    shape, dtype = ((2,), np.float32) if name == "linear" else ((28, 28, 1), np.uint8)
    predictor = predictor_of(recipe, shape, dtype, () if name == "linear" else tuple("0123456789"))
    draw = np.random.default_rng(0)
    x = draw.integers(0, 256, (6, *shape)).astype(dtype)
    y = draw.normal(size=(6, 1)).astype(np.float32) if name == "linear" else draw.integers(0, 10, 6).astype(np.int32)
    training = training_of(predictor, None)
    program = load_program(training_program(training, *(jax.ShapeDtypeStruct(a.shape, a.dtype) for a in (x, y))))
    compared = compare_updates(training, program, Examples(x, y), random=True)
    compared.require()
    assert set(compared.differences) >= {"loss", "gradient_norm", "params"}
    assert ("batch_stats" in compared.differences) == (name == "lenet_bn")


def test_a_comparison_tells_what_is_beyond_rounding():
    own = np.array([[3.0, -20.0]], np.float32)
    comparison.compare_outputs(own, own + 1e-4, 1e-4, random=False).require()
    for found in (own + 1e-2, own * np.nan, own[:, :1]):
        with pytest.raises(comparison.ExportMismatchError, match="outputs differ by"):
            comparison.compare_outputs(own, found, 1e-4, random=False).require()


class AsksForAnInteger(nn.Module):
    """The idiom of many a network: it fails where the number of examples is a symbol."""

    @nn.compact
    def __call__(self, x, *, train):
        x = nn.BatchNorm(use_running_average=not train)(nn.Conv(2, (3, 3))(x))
        return nn.Dense(3)(x.reshape(len(x), -1))


@pytest.mark.slow
def test_a_network_that_asks_for_the_number_of_examples_predicts_for_any():
    recipe = Recipe("own", AsksForAnInteger(), "", image_size=4)
    predictor = predictor_of(recipe, (4, 4, 1), np.uint8, ("a", "b", "c"))
    program, session = load_program(prediction_program(predictor)), Session(onnx_model(predictor))
    for n in (1, 5):
        x = np.random.default_rng(n).integers(0, 256, (n, 4, 4, 1), np.uint8)
        for call in (program.call, session):
            np.testing.assert_allclose(call(x), predictor.outputs(x), rtol=1e-5, atol=1e-6)
    training = training_of(predictor, None)
    stored = [jax.ShapeDtypeStruct((4, *shape), dtype) for shape, dtype in (((4, 4, 1), np.uint8), ((), np.int32))]
    with pytest.raises(ValueError, match=r"for any number of examples: .*len\(x\).*x.shape\[0\]"):
        training_program(training, *stored)
