import json
import signal

import pytest
from page_law import Page, broken

from jaxd2l import run_folder
from jaxd2l.cli import main
from jaxd2l.commands import train

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unoptimised")]

SMALL = ("--epochs", "2", "--limit-train", "40", "--limit-test", "11", "--json")


def answer(capsys, *arguments):
    assert main(list(arguments)) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    return lines, json.loads(last)


def test_a_run_ends_with_its_page_which_is_written_again_only_where_it_is_missing(tmp_path, capsys):
    folder = tmp_path / "run"
    line = ("train", "linear", *SMALL, "--out", str(folder))
    page = folder / run_folder.REPORT
    said, told = answer(capsys, *line)
    assert (said[-1], told["report"]) == (f"report: {page}", str(page))
    assert broken(page.read_text(encoding="utf-8")) == []

    page.write_text("mine", encoding="utf-8")
    assert answer(capsys, *line, "--resume")[1]["report"] == str(page)
    assert page.read_text(encoding="utf-8") == "mine"
    page.unlink()
    assert answer(capsys, *line, "--resume", "--no-report")[1]["report"] is None
    assert not page.exists()
    assert answer(capsys, *line, "--resume")[0][-1] == f"report: {page}"
    assert page.exists()


def test_the_page_shows_validation_the_average_and_the_rate_in_force(tmp_path, capsys):
    options = ("--validation-fraction", "0.2", "--ema", "0.5", "--schedule", "cosine")
    _, told = answer(capsys, "train", "linear", *SMALL, *options, "--out", str(tmp_path / "run"))
    page = Page((tmp_path / "run" / "report.html").read_text(encoding="utf-8"))
    rows = run_folder.read_metrics(tmp_path / "run")
    loss, rate, *_ = (drawing["aria-label"] for drawing in page.named("svg"))
    for words in ("train loss", "validation loss", "ema validation loss"):
        assert f"{words}: {rows[0][words.replace(' ', '_')]:.4g} to {rows[1][words.replace(' ', '_')]:.4g}" in loss
    assert f"{rows[0]['learning_rate']:.4g} to {rows[1]['learning_rate']:.4g}" in rate
    assert f"{told['tested']['ema']['test_loss']:.3f}" in page.text
    assert "flatters" not in page.text


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("x"), MemoryError()])
def test_a_page_that_fails_is_a_warning(tmp_path, capsys, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(train, "write_run_report", fail)
    assert main(["train", "linear", *SMALL, "--out", str(tmp_path / "run")]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out.splitlines()[-1])["report"] is None
    assert "warning: the run is kept, but its report could not be written" in shown.err
    assert len(run_folder.read_metrics(tmp_path / "run")) == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_a_signal_while_the_page_is_made_ends_the_command_and_keeps_the_run(
    tmp_path, capsys, monkeypatch, number, code
):
    folder = tmp_path / "run"
    monkeypatch.setattr(train, "write_run_report", lambda *_, **__: signal.raise_signal(number))
    assert main(["train", "linear", *SMALL, "--out", str(folder)]) == code
    assert "the run is kept" in capsys.readouterr().err
    assert main(["train", "linear", *SMALL, "--out", str(folder), "--resume", "--no-report"]) == 0
    assert "is finished" in capsys.readouterr().out


def test_sweeps_and_reproductions_end_with_their_pages_too(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    commands = {
        "sweep": ("sweep", "linear", *SMALL, "--seeds", "1", "--method", "loop"),
        "reproduce": ("reproduce", "linear", *SMALL, "--seeds", "1"),
    }
    told = {name: answer(capsys, *line)[1]["report"] for name, line in commands.items()}
    assert told == {name: f"runs/{name}/report.html" for name in commands}
    assert not [name for name, page in told.items() if broken((tmp_path / page).read_text(encoding="utf-8"))]
