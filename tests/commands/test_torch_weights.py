import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from jaxd2l.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unoptimised")]

FAST = ["--limit-train", "256", "--limit-test", "100", "--epochs", "1", "--quiet", "--no-report"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A trained run folder and its weights as a state_dict."""
    folder = tmp_path_factory.mktemp("torch")
    assert main(["train", "lenet_relu", *FAST, "--out", str(folder / "run")]) == 0
    assert main(["export-torch", str(folder / "run"), str(folder / "net.safetensors")]) == 0
    return folder / "run", folder / "net.safetensors"


def _evaluated(folder, capsys):
    capsys.readouterr()
    assert main(["evaluate", str(folder), "--limit-test", "100", "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_weights_survive_the_way_to_pytorch_and_back(exported, tmp_path, capsys):
    run, file = exported
    state = load_file(file)
    assert state["0.weight"].shape == (6, 1, 5, 5)  # OIHW
    capsys.readouterr()
    assert main(["export-torch", str(run), str(tmp_path / "again.safetensors"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said == {
        "run_dir": str(run),
        "recipe": "lenet_relu",
        "weights": "last",
        "epoch": 1,
        "file": str(tmp_path / "again.safetensors"),
        "bytes": file.stat().st_size,
    }
    assert main(["import-torch", "lenet_relu", str(file), "--out", str(tmp_path / "back"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    parameters = sum(a.size for a in state.values())
    assert said == {
        "recipe": "lenet_relu",
        "imported_from": str(file),
        "run_dir": str(tmp_path / "back"),
        "parameters": parameters,
    }
    found, expected = _evaluated(tmp_path / "back", capsys), _evaluated(run, capsys)
    assert (found["test_loss"], found["test_accuracy"]) == (expected["test_loss"], expected["test_accuracy"])
    assert main(["check", str(tmp_path / "back")]) == 0
    balanced = ["--class-weights", "balanced", "--out", str(tmp_path / "balanced")]
    assert main(["import-torch", "lenet_relu", str(file), *balanced]) == 0
    assert json.loads((tmp_path / "balanced" / "config.json").read_bytes())["class_weights"] == [1.0] * 10


def test_every_wrong_name_and_shape_is_listed(exported, tmp_path, capsys):
    state = load_file(exported[1])
    state["0.weight"] = np.zeros((6, 1, 3, 3), np.float32)
    state["extra"] = state.pop("0.bias")
    save_file(state, tmp_path / "bad.safetensors")
    assert main(["import-torch", "lenet_relu", str(tmp_path / "bad.safetensors"), "--out", str(tmp_path / "run")]) == 65
    message = capsys.readouterr().err
    assert len(message.strip().splitlines()) == 1
    for part in ("0.weight", "0.bias", "extra"):
        assert part in message
    assert not (tmp_path / "run").exists()


def test_a_pickle_is_refused_and_nothing_in_it_runs(tmp_path, capsys):
    import pickle

    class Trap:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    (tmp_path / "net.pt").write_bytes(pickle.dumps(Trap()))
    assert main(["import-torch", "lenet", str(tmp_path / "net.pt"), "--out", str(tmp_path / "run")]) == 65
    assert "pickle" in capsys.readouterr().err
    assert not (tmp_path / "ran").exists()


def test_an_existing_file_is_not_overwritten_unasked(exported, capsys):
    run, file = exported
    before = file.read_bytes()
    assert main(["export-torch", str(run), str(file)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert file.read_bytes() == before
    assert main(["export-torch", str(run), str(file), "--overwrite"]) == 0
