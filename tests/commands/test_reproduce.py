import json
import math
from types import SimpleNamespace

import pytest

import jaxd2l
from jaxd2l.cli import main
from jaxd2l.commands import reproduce as module
from jaxd2l.recipes import find
from jaxd2l.report.page.reproduce import reproduce_page
from jaxd2l.report.spread import interval
from jaxd2l.report.table import markdown, summarise
from jaxd2l.train import EpochResult

pytestmark = pytest.mark.usefixtures("unoptimised")

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


def test_chart_and_table_of_the_page_say_the_same_of_an_average():
    """And of the time the page tells the median too."""
    averages, raw, seconds = ((0.8, 0.9), (0.7, 0.7), (0.6, 0.8)), 0.1, (1.0, 2.0, 30.0)
    row = EpochResult(1, 0.5, 0.5, 0.5, raw, 0.0, 100.0, ema_test_loss=0.5)
    runs = [
        {
            "parameters": 7850,
            "epochs": [row._replace(epoch=i + 1, ema_test_accuracy=a, seconds=s)._asdict() for i, a in enumerate(of)],
        }
        for of, s in zip(averages, seconds, strict=True)
    ]
    page, (drawing,) = reproduce_page({"softmax": runs})
    assert summarise(find("softmax"), runs).figures.last.short() == "0.8000 \u00b1 0.1000"
    assert "0.8000 \u00b1 0.1000" in page
    assert "every seed: 0.8 to 0.9" in drawing.description
    assert (summarise(find("softmax"), runs).seconds, "<td>4.0 s</td>" in page) == (4.0, True)


def test_one_value_has_no_deviation():
    assert interval([0.5]) == (0.5, None, None, None, 1)
    assert str(interval([0.5])) == interval([0.5]).short() == "0.5000"
    with pytest.raises(ValueError, match="no finished run of softmax"):
        summarise(find("softmax"), [])


@pytest.mark.slow
def test_a_seed_that_diverges_is_told_with_its_recipe_and_an_option_that_there_is(tmp_path, capsys):
    options = ["--epochs", "1", "--limit-train", "40", "--limit-test", "11", "--batch-size", "8", "--quiet"]
    assert main(["reproduce", "softmax", *options, "--learning-rate", "1e38", "--out", str(tmp_path)]) == 3
    said = capsys.readouterr().err
    assert "softmax seed 0: the loss became non-finite" in said
    assert "(--clip-norm 1)" in said


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


@pytest.mark.slow
def test_seeds_are_judged_once_by_the_test_part_where_a_validation_part_judges_their_epochs(tmp_path, capsys):
    options = ["--limit-train", "300", "--limit-test", "200", "--epochs", "3", "--validation-fraction", ".2", "--quiet"]
    more = ["--early-stop", "1", "--learning-rate", ".5", "--batch-size", "32"]
    out = tmp_path / "table"
    command = ["reproduce", "softmax", *options, *more, "--seeds", "2", "--out", str(out)]
    assert main([*command, "--json"]) == 0
    printed = capsys.readouterr().out.splitlines()
    (row,) = json.loads(printed[-1])["rows"]
    assert "best epoch on validation" in printed[0]
    assert row["best_epoch_on"] == "validation"
    assert (
        main(["train", "softmax", *options, *more, "--seed", "1", "--no-report", "--out", str(tmp_path / "run")]) == 0
    )
    run, kept = jaxd2l.load_run(tmp_path / "run"), json.loads((out / "results.json").read_bytes())["softmax"]
    assert kept[1]["tested"] == {name: judged._asdict() for name, judged in run.tested.items()}
    assert [e["validation_accuracy"] for e in kept[1]["epochs"]] == [e.validation_accuracy for e in run.epochs]
    for name, key in (("last", "test_accuracy"), ("best", "best_test_accuracy")):
        assert row[key][0] == pytest.approx(sum(one["tested"][name]["test_accuracy"] for one in kept) / 2)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "softmax: validation accuracy" in page
    assert main([*command, "--split-seed", "1"]) == 65
    assert "was made with split_seed 0, asked is 1" in capsys.readouterr().err


@pytest.mark.slow
def test_seeds_and_members_begin_with_the_weights_of_a_run_and_by_its_configuration(tmp_path, capsys):
    """A reproduction of one seed, and a sweep of one point, are the single run with the same options."""
    limits = ["--limit-train", "300", "--limit-test", "200", "--no-report", "--quiet"]
    first, then = str(tmp_path / "first"), str(tmp_path / "then")
    assert main(["train", "mlp", "--epochs", "1", *limits, "--out", first]) == 0
    fine = ["--init-from", first, "--freeze", "Dense_0/*", "--ema", ".9", "--clip-norm", "1", "--epochs", "2"]
    assert main(["train", "mlp", *fine, *limits, "--learning-rate", ".05", "--out", then]) == 0
    expected = [row.ema_test_accuracy for row in jaxd2l.load_run(then).epochs]
    config = ["--config", then + "/config.json", "--no-report", "--quiet", "--seeds", "1"]
    alike = ["mlp", *fine, *limits, "--seeds", "1"]
    ways = {
        "a": ["reproduce", *config],
        "b": ["reproduce", *alike, "--learning-rate", ".05"],
        "c": ["sweep", *config],
        "d": ["sweep", *alike, "--learning-rates", ".05"],
    }
    for name, command in ways.items():
        out = tmp_path / name
        assert main([*command, "--out", str(out)]) == 0, command
        if command[0] == "reproduce":
            (kept,) = json.loads((out / "results.json").read_bytes())["mlp"]
            found = [epoch["ema_test_accuracy"] for epoch in kept["epochs"]]
        else:
            (kept,) = json.loads((out / "sweep.json").read_bytes())["members"]
            found = kept["test_accuracy"]
            assert kept["learning_rate"] == 0.05
        assert found == pytest.approx(expected, abs=1e-6), command
    assert (
        main(["sweep", *config, "--epochs", "2", "--weights", "best", "--init-from", first, "--out", out.as_posix()])
        == 0
    )
    capsys.readouterr()
    drawn = ["sweep", "mlp", *limits, "--epochs", "2", "--seeds", "1", "--learning-rates", ".05"]
    assert main([*drawn, "--out", str(out)]) == 65
    assert "asked is" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("reproduce", "softmax", "--weights", "best"), "--init-from"),
        (("sweep", "softmax", "--weights", "best"), "--init-from"),
        (("reproduce", "softmax", "--limit-train", "100", "--limit-test", "9", "--early-stop", "2"), "validation part"),
        (("sweep",), "--config"),
        (("sweep", "--config", "config.json", "--learning-rate", ".1"), "unknown argument '--learning-rate'"),
    ],
)
def test_wrong_use_is_one_line_and_leaves_nothing(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    try:
        code = main([*arguments])
    except SystemExit as stopped:  # the arguments do not parse
        code = stopped.code
    assert code == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_without_names_a_cpu_trains_what_is_known_to_be_small(monkeypatch):
    monkeypatch.setattr(module, "default_device", lambda: SimpleNamespace(platform="cpu"))
    names = module._default_names()
    assert "lenet_bn" in names
    assert all((find(name).macs or math.inf) < module.SMALL_MACS for name in names)
    monkeypatch.setattr(module, "default_device", lambda: SimpleNamespace(platform="gpu"))
    assert {"alexnet", "resnet50"} <= set(module._default_names())
