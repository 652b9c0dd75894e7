"""`jaxd2l diagnose` as it is typed."""

import io
import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from jaxd2l.cli import main
from jaxd2l.diagnosis import curves_of, diagnose

RIGHT = "\n".join(
    f"loss {a:.3f}, train acc {b:.3f}, test acc {c:.3f}" for a, b, c in curves_of("softmax").curves["right"][3]
)


def _typed(monkeypatch, text, *, by_hand=False):
    stream = SimpleNamespace(buffer=io.BytesIO(text.encode()), isatty=lambda: by_hand)
    monkeypatch.setattr(sys, "stdin", stream)


def test_what_is_pasted_is_answered_and_the_last_line_is_json(monkeypatch, capsys):
    _typed(monkeypatch, RIGHT)
    assert main(["diagnose", "softmax", "--json"]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert "\n".join(lines) == str(diagnose("softmax", RIGHT))
    assert json.loads(last) == json.loads(json.dumps(diagnose("softmax", RIGHT).as_json()))
    assert json.loads(last)["verdict"] == "normal"


def test_who_types_is_told_how_to_end(monkeypatch, capsys):
    _typed(monkeypatch, RIGHT, by_hand=True)
    assert main(["diagnose", "softmax"]) == 0
    assert "Ctrl-D" in capsys.readouterr().err


def test_files_run_folders_and_columns_are_read(tmp_path, capsys):
    (tmp_path / "curve.txt").write_text(RIGHT, encoding="utf-8")
    rows = curves_of("softmax").curves["right"][3].tolist()
    fields = ("epoch", "train_loss", "train_accuracy", "test_accuracy")
    (tmp_path / "metrics.jsonl").write_text(
        "\n".join(json.dumps(dict(zip(fields, (i, *row), strict=True))) for i, row in enumerate(rows, 1)),
        encoding="utf-8",
    )
    (tmp_path / "bare.txt").write_text("\n".join(f"{c} {a}" for a, _, c in rows), encoding="utf-8")
    for arguments in (["curve.txt"], ["."], ["bare.txt", "--columns", "test, loss"]):
        assert main(["diagnose", "softmax", str(tmp_path / arguments[0]), *arguments[1:]]) == 0
        assert "\nnormal: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "text", "code", "message"),
    [
        (["softmax"], "", 65, "no lines to read"),
        (["softmax"], "loss: abc, train acc .6", 65, "line 1: loss is 'abc', no number"),
        (["softmax", "--columns", "loss,tests"], "1 2", 65, "columns are some of"),
        (["alexnet"], "loss 1", 2, "no trainings of recipe alexnet are stored"),
        (["softmaks"], "loss 1", 2, "did you mean softmax?"),
        (["softmax", "--first-epoch", "x"], "", 2, "expected an integer"),
        (["softmax", "no-such-file"], "", 74, "no-such-file: No such file"),
        ([], "", 2, "arguments are required: RECIPE"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(monkeypatch, capsys, arguments, text, code, message):
    _typed(monkeypatch, text)
    try:
        found = main(["diagnose", *arguments])
    except SystemExit as stop:
        found = stop.code
    said = capsys.readouterr().err
    assert (found, said.count("\n")) == (code, 1)
    assert message in said


@pytest.mark.slow
def test_no_jax_is_imported():
    program = """
import sys
from jaxd2l.cli import main
code = main(["diagnose", "softmax", "--json"])
heavy = {"jax", "jaxlib", "flax", "optax", "scipy", "pandas", "rich"} & set(sys.modules)
assert not heavy, heavy
sys.exit(code)
"""
    done = subprocess.run([sys.executable, "-c", program], input=RIGHT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
