import json

import pytest

from jaxd2l.cli import main

pytestmark = pytest.mark.usefixtures("unoptimised")


@pytest.fixture
def line(tmp_path, monkeypatch):
    """The linear recipe on 40 examples, two rates, of which one diverges."""
    monkeypatch.chdir(tmp_path)
    options = ["--epochs", "3", "--limit-train", "40", "--limit-test", "11", "--out", "out", "--method", "vmap"]
    return ["sweep", "linear", *options]


@pytest.mark.slow
def test_a_sweep_writes_its_table_members_and_page_and_goes_on_where_it_was(line, capsys, tmp_path):
    rates = ["--learning-rates", "0.03", "1e10", "--json"]
    assert main([*line, *rates, "--seeds", "2"]) == 0
    out = capsys.readouterr().out.splitlines()
    summary = json.loads(out[-1])
    good, bad = summary["points"]
    assert (good["diverged"], good["last"]["n"]) == ([], 2)
    assert good["last"]["low"] <= good["last"]["mean"] <= good["last"]["high"]
    assert len(bad["diverged"]) == 2
    assert bad["last"]["mean"] is None
    assert any("2/2 at" in text for text in out)  # the map of divergence
    folder = tmp_path / "out"
    assert {"sweep.md", "sweep.json", "report.html", "curves.svg", "curves.png", "linear"} == {
        path.name for path in folder.iterdir()
    }
    kept = sorted((folder / "linear").iterdir())
    assert len(kept) == 4
    written = [path.stat().st_mtime_ns for path in kept]

    assert main([*line, *rates, "--seeds", "3"]) == 0
    out = capsys.readouterr().out
    assert "6 members, 4 of them are there" in out
    assert [path.stat().st_mtime_ns for path in kept] == written

    assert main([*line, *rates, "--seeds", "3", "--batch-size", "7"]) == 65
    assert "was made with batch_size 10, asked is 7" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "0"], "--seeds"),
        (["--learning-rates", "-1"], "learning_rate"),
        (["--weight-decays", "-1"], "weight_decay"),
        (["--epochs", "0"], "epochs"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(line, capsys, arguments, message):
    assert main([*line, *arguments]) == 2
    one_line(capsys, message)


@pytest.mark.parametrize(("recipes", "message"), [(["linear", "lenet"], "not both"), (["linaer"], "linear")])
def test_recipes_are_known_and_compare(capsys, recipes, message):
    assert main(["sweep", *recipes]) == 2
    one_line(capsys, message)


def one_line(capsys, message):
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("method", ["vmap", "loop"])
def test_a_point_is_chosen_on_the_validation_part_and_only_its_test_figure_is_shown(method, line, capsys, tmp_path):
    options = [*line[:-1], method, "--validation-fraction", "0.25", "--learning-rates", "0.01", "0.03", "1e10"]
    assert main([*options, "--seeds", "2", "--json"]) == 0
    out = capsys.readouterr().out
    summary, result = json.loads(out.splitlines()[-1]), json.loads((tmp_path / "out/sweep.json").read_bytes())
    assert "last validation loss | best validation loss" in out
    points = [point for point in summary["points"] if not point["diverged"]]
    best = min(points, key=lambda point: point["last"]["mean"])
    (chosen,) = summary["chosen"]
    assert chosen["learning_rate"] == best["learning_rate"]
    assert chosen["test"]["n"] == 2
    assert f"rate {best['learning_rate']:g}, decay 0 is chosen on the validation part; its test loss" in out
    assert all("test_loss" not in member and "validation_loss" in member for member in result["members"])
    assert main([*options, "--seeds", "2"]) == 0
    assert "6 members, 6 of them are there" in capsys.readouterr().out
    assert main([*options, "--seeds", "2", "--split-seed", "1"]) == 65
    assert "was made with split_seed 0, asked is 1" in capsys.readouterr().err
    assert main(["report", "out"]) == 0
    assert "is chosen on the validation part; its test loss" in (tmp_path / "out/report.html").read_text(
        encoding="utf-8"
    )
