"""`evaluate` and `export-torch` take the last or the best weights, say which, and refuse what cannot be judged."""

import json
import os
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

from jaxd2l import run_folder
from jaxd2l.cli import main
from jaxd2l.run_folder import load_run

pytestmark = pytest.mark.usefixtures("unoptimised")

TRAIN = ["train", "linear", "--quiet", "--no-report"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of three epochs, of which the second is made the best, with weights of its own."""
    folder = tmp_path_factory.mktemp("evaluate") / "run"
    assert main([*TRAIN, "--out", str(folder)]) == 0
    rows = run_folder.read_metrics(folder)
    losses = (0.5, 0.25, 0.75)
    run_folder.write_metrics(folder, [{**row, "test_loss": loss} for row, loss in zip(rows, losses, strict=True)])
    params = {"Dense_0": {"kernel": np.array([[2.0], [-3.0]], np.float32), "bias": np.array([4.0], np.float32)}}
    content = run_folder.serialize_weights(params, {}, 2)
    (folder / run_folder.BEST).write_bytes(content)
    return folder


def _evaluated(capsys, folder, *more):
    capsys.readouterr()
    assert main(["evaluate", str(folder), "--json", *more]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out, json.loads(out.splitlines()[-1])


def _refused(capsys, code, *arguments):
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == code
    out, err = capsys.readouterr()
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in out + err
    return err


@pytest.mark.slow
def test_the_last_weights_are_judged_unless_the_best_are_asked_for(trained, capsys):
    for more, weights, epoch in (
        ([], "last", 3),
        (["--weights", "last"], "last", 3),
        (["--weights", "best"], "best", 2),
    ):
        out, summary = _evaluated(capsys, trained, *more)
        assert (summary["weights"], summary["epoch"], summary["best_epoch"]) == (weights, epoch, 2)
        assert out.splitlines()[0].startswith("linear on synthetic_linear, 1,000 test examples: loss ")
    assert "weights: best.safetensors after epoch 2, the best" in out
    told = "weights: weights.safetensors after epoch 3, the last; epoch 2 was the best (--weights best)"
    assert told in _evaluated(capsys, trained)[0]
    assert _evaluated(capsys, trained)[1]["test_loss"] < 1e-3 < summary["test_loss"]


@pytest.mark.slow
def test_export_and_python_make_the_same_choice(trained, tmp_path, capsys):
    kept = load_run(trained)
    for weights in ("last", "best"):
        file = tmp_path / f"{weights}.safetensors"
        assert main(["export-torch", str(trained), str(file), "--weights", weights]) == 0
        params, batch_stats = kept.weights(weights)
        np.testing.assert_array_equal(load_file(file)["0.weight"], params["Dense_0"]["kernel"].T)
        assert batch_stats == {}
    assert "best.safetensors after epoch 2, the best" in capsys.readouterr().out
    assert load_file(tmp_path / "best.safetensors")["0.weight"].tolist() == [[2.0, -3.0]]
    with pytest.raises(ValueError, match="must be one of last, best, ema, got 'first'"):
        kept.weights("first")


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [1, 4])
def test_a_finished_run_tells_its_best_epoch_and_keeps_its_weights(epochs, tmp_path, capsys):
    train = [*TRAIN[:2], "--epochs", str(epochs), "--out", str(tmp_path / "run"), "--json"]
    assert main(train) == 0
    out = capsys.readouterr().out.splitlines()
    rows = run_folder.read_metrics(tmp_path / "run")
    best = 1 + int(np.argmin([row["test_loss"] for row in rows]))
    line = f"after epoch {epochs}, the last; best.safetensors after epoch {best}, the best on the test examples"
    assert f"weights: weights.safetensors {line}" in out
    assert json.loads(out[-1])["best_epoch"] == best
    _, summary = _evaluated(capsys, tmp_path / "run", "--weights", "best")
    assert summary["test_loss"] == pytest.approx(rows[best - 1]["test_loss"], rel=1e-5)
    assert main([*train, "--resume"]) == 0
    assert line in capsys.readouterr().out, "a finished run that is resumed tells it again"


@pytest.mark.slow
def test_resume_puts_back_best_weights_that_a_finished_run_lost(tmp_path, capsys):
    folder = tmp_path / "run"
    assert main([*TRAIN, "--checkpoint-every", "0", "--keep", "99", "--out", str(folder)]) == 0
    content = (folder / run_folder.BEST).read_bytes()
    (folder / run_folder.BEST).unlink()
    assert main([*TRAIN, "--out", str(folder), "--resume"]) == 0
    assert capsys.readouterr().err == ""
    assert (folder / run_folder.BEST).read_bytes() == content
    assert main(["check", str(folder)]) == 0


@pytest.mark.slow
def test_a_folder_of_an_earlier_version_is_told_in_one_line(trained, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    (folder / run_folder.BEST).unlink()
    for arguments in (["evaluate", folder], ["export-torch", folder, tmp_path / "net.safetensors"]):
        message = _refused(capsys, 65, *arguments, "--weights", "best")
        assert "the weights of epoch 2, the best, were not kept" in message
        assert "those of epoch 3, the last, are there" in message
    assert not (tmp_path / "net.safetensors").exists()
    assert main(["check", str(folder)]) == 0


def _with_weights(folder, to, **parts):
    """A copy of a run folder with other numbers in its last weights, and their right digest."""
    shutil.copytree(folder, to)
    params = {"kernel": np.array([[2.0], [-3.4]], np.float32), "bias": np.array([4.2], np.float32)}
    for name, value in parts.items():
        params[name] = np.array(value, np.float32).reshape(params[name].shape)
    run_folder.write_weights(to, {"Dense_0": params}, {}, 3)
    return to


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kernel", "told"), [((np.nan, 1), "1 NaN of 2, the first at (0, 0)"), ((1, -np.inf), "(1, 0)")]
)
def test_weights_that_are_not_finite_are_refused_with_how_many_and_where(kernel, told, trained, tmp_path, capsys):
    folder = _with_weights(trained, tmp_path / "run", kernel=kernel, bias=[np.nan])
    for arguments in (["evaluate", folder, "--json"], ["export-torch", folder, tmp_path / "net.safetensors"]):
        message = _refused(capsys, 65, *arguments)
        for part in (
            "2 of 3 numbers are not finite",
            "params.Dense_0.kernel has",
            told,
            "params.Dense_0.bias has 1 NaN",
        ):
            assert part in message
    assert main(["check", str(folder)]) == 65
    assert (
        "WRONG  weights.safetensors: 2 tensors after epoch 3, 2 of 3 numbers are not finite" in capsys.readouterr().out
    )


@pytest.mark.slow
def test_a_loss_that_overflows_is_told_and_is_null_in_json(trained, tmp_path, capsys):
    folder = _with_weights(trained, tmp_path / "run", kernel=(3e38, 3e38))
    assert main(["evaluate", str(folder), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out.splitlines()[-1])["test_loss"] is None
    assert "the loss is not finite though the weights are" in err


@pytest.mark.slow
def test_an_imported_network_has_no_best_epoch(tmp_path, trained, capsys):
    file, folder = tmp_path / "net.safetensors", tmp_path / "imported"
    assert main(["export-torch", str(trained), str(file)]) == 0
    assert main(["import-torch", "linear", str(file), "--out", str(folder)]) == 0
    assert _evaluated(capsys, folder)[1]["epoch"] is None
    assert "no finished epoch to choose the best of" in _refused(capsys, 2, "evaluate", folder, "--weights", "best")


@pytest.mark.slow
def test_where_an_export_cannot_be_written_is_one_line(trained, tmp_path, capsys):
    assert "is a folder" in _refused(capsys, 74, "export-torch", trained, tmp_path)
    assert "No such file" in _refused(capsys, 74, "export-torch", trained, tmp_path / "nowhere" / "net.safetensors")
    assert "no regular file" in _refused(capsys, 2, "export-torch", trained, os.devnull, "--overwrite")
