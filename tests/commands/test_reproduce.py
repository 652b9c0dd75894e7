import json

import pytest

from jaxd2l.cli import main
from jaxd2l.recipes import find
from jaxd2l.report.spread import interval
from jaxd2l.report.table import markdown, summarise
from jaxd2l.train import EpochResult

FAST = ["--limit-train", "512", "--limit-test", "300", "--epochs", "2", "--seeds", "2", "--no-report"]


def _run(*accuracies, seconds=2.0):
    epochs = [EpochResult(i, 0.5, 0.5, 0.5, a, seconds, 100.0)._asdict() for i, a in enumerate(accuracies, 1)]
    return {"parameters": 7850, "epochs": epochs}


def test_mean_and_deviation_are_of_the_last_and_of_the_best_epoch():
    row = summarise(find("softmax"), [_run(0.7, 0.9, 0.8), _run(0.5, 0.6, 0.6)])
    assert row.as_json()["test_accuracy"] == pytest.approx((0.7, 0.02**0.5))  # 0.8 and 0.6
    assert row.figures.best.mean == pytest.approx(0.75)  # 0.9 and 0.6
    assert row.seconds == 6
    assert row.images_per_second == 100
    assert "0.828 (zh)" in markdown([row])


def test_one_value_has_no_deviation():
    assert interval([0.5]) == (0.5, None, None, None, 1)
    assert str(interval([0.5])) == interval([0.5]).short() == "0.5000"
    with pytest.raises(ValueError, match="no finished run of softmax"):
        summarise(find("softmax"), [])


@pytest.mark.slow
def test_reproduce_writes_the_table_and_goes_on_where_it_was(tmp_path, capsys):
    out = tmp_path / "table"
    command = ["reproduce", "softmax", *FAST, "--out", str(out), "--quiet", "--json"]
    assert main(command) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert first["rows"][0]["seeds"] == 2
    assert (out / "table.md").read_text(encoding="utf-8").startswith("| recipe |")
    assert [run["seed"] for run in json.loads((out / "results.json").read_text(encoding="utf-8"))["softmax"]] == [0, 1]

    kept = (out / "softmax" / "seed0.json").stat().st_mtime_ns
    (out / "softmax" / "seed1.json").unlink()
    assert main(command) == 0
    assert (out / "softmax" / "seed0.json").stat().st_mtime_ns == kept
    again = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert again["rows"][0]["test_accuracy"] == first["rows"][0]["test_accuracy"]


@pytest.mark.slow
def test_kept_seeds_of_other_settings_or_damaged_are_refused(tmp_path, capsys):
    command = ["reproduce", "softmax", *FAST, "--out", str(tmp_path), "--quiet"]
    assert main(command) == 0
    capsys.readouterr()
    assert main([*command, "--learning-rate", "0.2"]) == 65
    assert "was made with learning_rate 0.1, asked is 0.2" in capsys.readouterr().err
    (tmp_path / "softmax" / "seed1.json").write_text("{", encoding="utf-8")
    assert main(command) == 65
    assert "no result of this command" in capsys.readouterr().err
    assert main([*command, "--seeds", "0"]) == 2
