import json

import pytest

from jaxd2l.cli import main

pytestmark = pytest.mark.usefixtures("unoptimised")

LIMITS = ("--limit-train", "40", "--limit-test", "24", "--batch-size", "8", "--epochs", "1", "--quiet")


@pytest.mark.slow
def test_a_run_becomes_a_page_and_goes_on_afterwards(tmp_path, capsys):
    folder, out = tmp_path / "lenet", tmp_path / "new" / "mine.html"
    assert main(["train", "lenet", *LIMITS, "--out", str(folder)]) == 0
    capsys.readouterr()
    assert main(["web", str(folder)]) == 0
    assert f"page: {folder / 'draw.html'} (3" in capsys.readouterr().out
    assert main(["web", str(folder), "--weights", "best", "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"page": str(out), "bytes": out.stat().st_size}
    assert out.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert main(["train", "lenet", *LIMITS, "--out", str(folder), "--overwrite"]) == 0
    assert not (folder / "draw.html").exists(), "of the run that is no more"


def test_wrong_use_of_web_is_one_line(tmp_path, capsys):
    assert main(["web", str(tmp_path / "none")]) == 65
    assert main(["web", str(tmp_path), "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "is a folder; name the file" in said[1]


@pytest.mark.slow
def test_a_run_without_pictures_is_refused(tmp_path, capsys):
    folder = tmp_path / "linear"
    assert main(["train", "linear", *LIMITS, "--out", str(folder)]) == 0
    capsys.readouterr()
    assert main(["web", str(folder)]) == 2
    assert "classifies no pictures" in capsys.readouterr().err
    assert not (folder / "draw.html").exists()
