"""It starts where POSIX ends: the commands in processes that lack what Windows and macOS lack, and names of files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jaxd2l.cli import main

REPOSITORY = Path(__file__).parent.parent
WITHOUT_POSIX = str(REPOSITORY / "tests" / "without_posix")


def _python(*arguments, **environment):
    """Python without what only POSIX systems have."""
    env = {**os.environ, "PYTHONPATH": WITHOUT_POSIX, **environment}
    return subprocess.run([sys.executable, *arguments], capture_output=True, encoding="utf-8", env=env, check=False)


@pytest.mark.parametrize("statement", ["import fcntl", "from resource import getrlimit", "import os; os.fork"])
def test_what_only_posix_has_is_missing_there(statement):
    done = _python("-c", statement)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(("ModuleNotFoundError", "AttributeError"))


COMMANDS = """
import contextlib, io, json, sys
from jaxd2l.cli import main
told = []
for arguments in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        told.append([main(arguments), out.getvalue(), err.getvalue()])
print(json.dumps(told))
"""


@pytest.mark.slow
def test_the_commands_work_without_posix_and_give_the_same_weights(tmp_path):
    run, train = str(tmp_path / "run"), ["train", "linear", "--no-report", "--quiet", "--checkpoint-every", "0"]
    commands = [
        ["--version"],
        [*train, "--epochs", "1", "--out", run],
        ["check", run],
        [*train, "--epochs", "2", "--out", run, "--resume"],
        ["evaluate", run, "--json"],
        [*train, "--out", run],
    ]
    done = _python("-c", COMMANDS, json.dumps(commands))
    assert (done.returncode, done.stderr) == (0, "")
    *told, (refused, _, line) = json.loads(done.stdout)
    assert [(code, err) for code, _, err in told] == [(0, "")] * 5
    version, _, checked, _, evaluated = (out for _, out, _ in told)
    assert version.startswith("jaxd2l ")
    assert "nothing wrong" in checked
    assert json.loads(evaluated.splitlines()[-1])["test_loss"] < 1
    assert (refused, len(line.splitlines())) == (2, 1)
    assert main([*train, "--epochs", "2", "--out", str(tmp_path / "usual")]) == 0
    assert len({Path(folder, "weights.safetensors").read_bytes() for folder in (run, tmp_path / "usual")}) == 1
