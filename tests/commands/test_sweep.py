import json

import pytest

from jaxd2l.cli import main


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
