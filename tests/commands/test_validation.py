"""`train` with a validation part, early stopping and averaged weights as a user types it."""

import json

import pytest

from jaxd2l import load_run
from jaxd2l.cli import main

pytestmark = pytest.mark.usefixtures("unoptimised")

TRAIN = ["train", "linear", "--no-report", "--epochs", "9", "--learning-rate", "0.5", "--validation-fraction", "0.2"]
CLASSIFY = ["train", "softmax", "--no-report", "--limit-train", "600", "--limit-test", "200", "--epochs", "2"]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def last_json(text):
    return json.loads(text.strip().splitlines()[-1])


@pytest.mark.slow
def test_a_run_that_stops_early_says_so_and_is_told_to_be_finished(capsys):
    train = [*TRAIN, "--early-stop", "1", "--ema", "0.9", "--out", "run", "--json"]
    assert main(train) == 0
    out = capsys.readouterr().out
    summary, kept = last_json(out), load_run("run")
    done, best = len(kept.epochs), kept.best_epoch
    assert "800 training, 200 validation and 1,000 test examples" in out
    assert f"stopped early: no better epoch in the 1 after epoch {best}" in out
    assert "ema.safetensors, their average; best.safetensors after epoch" in out
    assert "the best on the validation examples by the average" in out
    assert summary["stopped_early"]
    assert summary["epochs"] == done < 9
    assert summary["tested"] == {name: judged._asdict() for name, judged in kept.tested.items()}
    assert summary["test_loss"] == kept.tested["last"].test_loss
    assert main([*train, "--resume"]) == 0
    out = capsys.readouterr().out
    assert f"run is finished: {done} of 9 epochs, stopped early (patience 1)" in out
    told = {name: value for name, value in last_json(out).items() if name not in ("compile_seconds",)}
    assert told == {name: value for name, value in summary.items() if name not in ("compile_seconds",)}
    assert main(["check", "run"]) == 0
    assert f"run: finished early, after {done} of 9 epochs; nothing wrong" in capsys.readouterr().out
    for weights in ("last", "best", "ema"):
        assert main(["evaluate", "run", "--weights", weights, "--json"]) == 0
        found = last_json(capsys.readouterr().out)
        assert found["test_loss"] == pytest.approx(summary["tested"][weights]["test_loss"], rel=1e-5)
        assert found["epoch"] == summary["tested"][weights]["epoch"]


@pytest.mark.slow
def test_the_table_shows_both_parts_and_says_on_which_the_best_epoch_was_chosen(capsys):
    assert main([*CLASSIFY, "--validation-fraction", "0.2", "--out", "validated"]) == 0
    table = [line.split() for line in capsys.readouterr().out.splitlines()]
    kept = load_run("validated")
    last, best = kept.epochs[-1].validation_accuracy, kept.epochs[kept.best_epoch - 1].validation_accuracy
    shown = {
        name: [f"{a:.3f}", f"{kept.tested[name].test_accuracy:.3f}"] for name, a in (("last", last), ("best", best))
    }
    assert [line[-2:] for line in table if line[:4] == ["this", "run,", "last", "epoch"]] == [shown["last"]]
    assert [line[-2:] for line in table if line[:6] == ["this", "run,", "best", "epoch", "on", "validation"]] == [
        shown["best"]
    ]
    assert main([*CLASSIFY, "--out", "plain"]) == 0
    out = capsys.readouterr().out
    assert "this run, best epoch on test" in out
    assert "the best on the test examples" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--early-stop", "3"], "takes a validation part, and fashion_mnist has none; hold one out"),
        (["--early-stop", "0", "--validation-fraction", ".1"], "early_stop must be an integer of at least 1"),
        (["--validation-fraction", "1.5"], "validation fraction must be between 0 and 1, got 1.5"),
        (["--validation-fraction", ".1", "--split-seed", "-1"], "seed of a split must be an integer from 0"),
        (["--split-seed", "1"], "name them with --data, or hold out a --validation-fraction"),
        (["--ema", "1"], "ema must be between 0 and 1"),
    ],
)
def test_wrong_use_is_one_line_before_anything_is_compiled_or_made(arguments, message, tmp_path, capsys):
    assert main([*CLASSIFY, "--out", "run", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []
