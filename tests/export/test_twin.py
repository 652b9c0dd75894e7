"""The PyTorch twin without PyTorch: its script is Python, its numbers are those of our run."""

import ast
import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxd2l.cli import main
from jaxd2l.data import Dataset, Examples
from jaxd2l.export.twin import require_twin, twin_of, write_twin
from jaxd2l.interop.torch import from_torch
from jaxd2l.nn.loss import cross_entropy
from jaxd2l.recipes import RECIPES
from jaxd2l.train import fit
from jaxd2l.train.program import bind
from jaxd2l.train.state import run_keys

NETWORKS = ("linear", "softmax", "mlp", "dropout_mlp", "lenet", "lenet_relu", "lenet_conv_relu", "lenet_bn")


def few(name, batch_size=4):
    """The recipe in small batches, and ten examples for it: the last batch of an epoch is not full."""
    draw = np.random.default_rng(0)
    if name == "linear":
        part = Examples(draw.normal(size=(10, 2)).astype(np.float32), draw.normal(size=(10, 1)).astype(np.float32))
        data = Dataset("synthetic", part, part, ())
    else:
        labels = draw.integers(0, 10, 10).astype(np.int32)
        part = Examples(draw.integers(0, 256, (10, 28, 28, 1), np.uint8), labels)
        data = Dataset("fashion_mnist", part, part, tuple("0123456789"))
    return dataclasses.replace(RECIPES[name], batch_size=batch_size), data


@pytest.mark.parametrize("name", NETWORKS)
def test_the_script_is_python_and_has_the_networks_layers_at_their_places(name):
    from jaxd2l.export.twin.script import layers_of, script_of
    from jaxd2l.interop.torch import torch_shapes

    recipe, data = few(name)
    shape = require_twin(recipe, data)
    text = script_of(recipe, shape, name="twin", seed=0)
    tree = ast.parse(text)
    assert "<<" not in text
    assert "twin.npz" in text
    [made] = [
        node.value for node in ast.walk(tree) if isinstance(node, ast.Assign) and ast.unparse(node.targets) == "net"
    ]
    layers = [ast.unparse(one) for one in made.args]
    assert layers == layers_of(recipe.model, shape)
    for array, size in torch_shapes(recipe.model, shape).items():
        place, kind = array.split(".")
        call, sizes = layers[int(place)].split("(", 1)
        expected = {"weight": 2 if call in ("nn.Linear", "nn.Conv2d") else 1}.get(kind, 1)
        if kind in ("weight", "bias", "running_mean", "running_var"):
            assert min(len(size), 2) == expected
            assert str(size[0]) in sizes


@pytest.mark.slow
def test_the_numbers_are_those_of_our_run(tmp_path):
    recipe, data = few("dropout_mlp")
    twin = write_twin(recipe, data, tmp_path / "net.py", steps=5, seed=3)
    assert (tmp_path / "net.py").read_text(encoding="utf-8") == twin.script
    found = np.load(tmp_path / "net.npz")
    run = fit(dataclasses.replace(recipe, epochs=1), data, seed=3)
    np.testing.assert_allclose(np.dot(found["losses/float32"][:3], [4, 4, 2]) / 10, run.epochs[0].train_loss, rtol=1e-7)
    np.testing.assert_allclose(found["losses/float64"], found["losses/float32"], rtol=1e-5)
    state = {name.removeprefix("weights/"): a for name, a in found.items() if name.startswith("weights/")}
    params, _ = from_torch(recipe.model, state, (28, 28, 1))
    keys, program = run_keys(3), bind(recipe, data)
    own = jax.jit(program.init)(keys.init, np.float32(recipe.learning_rate), np.float32(0)).params
    assert jax.tree.all(jax.tree.map(np.array_equal, params, own))
    rows = program.shuffle(keys.shuffle, 1)
    order = np.where(np.asarray(rows.weight) > 0, np.asarray(rows.indices), -1)
    used = np.unique(np.concatenate([order[order >= 0]]))
    np.testing.assert_array_equal(used[found["order"][:3]][order >= 0], order[order >= 0])
    np.testing.assert_array_equal(found["order"][:3] < 0, order < 0)
    # a forward pass with the masks finds the loss, in every step the weights of which are known: the first
    x = found["x"][found["order"][0]].reshape(4, -1) / np.float64(255)
    for place, rate, mask in ((1, 0.2, 0), (4, 0.5, 1)):
        x = np.maximum(x @ state[f"{place}.weight"].T + state[f"{place}.bias"], 0)
        units = found[f"masks/{mask}/units"]
        keep = np.unpackbits(found[f"masks/{mask}"][0])[: 4 * units].reshape(4, units)
        x = keep * x / (1 - rate)
    logits = x @ state["7.weight"].T + state["7.bias"]
    loss = cross_entropy(jnp.asarray(logits), jnp.asarray(found["y"][found["order"][0]])).mean()
    np.testing.assert_allclose(found["losses/float64"][0], loss, rtol=1e-6)


def test_what_has_no_twin_is_refused_before_anything_is_trained():
    recipe, data = few("mlp")
    wrong = {
        "mixup": dataclasses.replace(recipe, mixup=0.2),
        "does not resize": dataclasses.replace(recipe, image_size=32),
        "by number": dataclasses.replace(recipe, learning_rate=lambda count: 0.1),
        "no twin of NiN": RECIPES["nin"],
    }
    for words, one in wrong.items():
        with pytest.raises(ValueError, match=words):
            require_twin(one, data)
    with pytest.raises(ValueError, match="at least 1 step"):
        twin_of(recipe, data, steps=0)


def test_the_command_ends_with_the_losses_and_what_it_wrote(tmp_path, capsys):
    script = tmp_path / "twin.py"
    assert main(["twin", "linear", "--steps", "2", "--learning-rate", "1e30", "--out", str(script), "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (said["recipe"], said["seed"]) == ("linear", 0)
    written = {"script": script, "data": tmp_path / "twin.npz"}
    assert said["files"] == {what: {"path": str(p), "bytes": p.stat().st_size} for what, p in written.items()}
    assert said["losses"]["float32"][0] == pytest.approx(said["losses"]["float64"][0], rel=1e-5)
    assert said["losses"]["float32"][1] is None  # beyond float32, which JSON cannot say
    assert said["losses"]["float64"][1] > 1e50


def test_wrong_use_is_one_line(tmp_path, capsys):
    (tmp_path / "there.npz").touch()
    for options, code, words in (
        (["mlp", "--out", tmp_path / "twin.txt"], 2, "ends in .py"),
        (["mlp", "--out", tmp_path / "there.py"], 2, "--overwrite"),
        (["mlp", "--out", tmp_path / "none" / "twin.py"], 74, "no such folder"),
        (["mlpp", "--out", tmp_path / "twin.py"], 2, "mlp"),
        (["mlp", "--seed", "-1", "--out", tmp_path / "twin.py"], 2, "seed must be"),
        (["mlp", "--class-weights", "balanced", "--out", tmp_path / "twin.py"], 2, "class_weights"),
    ):
        assert main(["twin", *map(str, options)]) == code
        error = capsys.readouterr().err
        assert len(error.splitlines()) == 1
        assert words in error
    assert [path.name for path in tmp_path.iterdir()] == ["there.npz"]
