"""It starts where POSIX ends: the commands in processes that lack what Windows and macOS lack, and names of files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.slow
def test_the_commands_work_without_posix_and_give_the_same_weights(tmp_path):
    def command(*arguments):
        done = _python("-m", "jaxd2l", *arguments)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout

    run, train = tmp_path / "run", ["train", "linear", "--no-report", "--quiet", "--checkpoint-every", "0"]
    assert command("--version").startswith("jaxd2l ")
    command(*train, "--epochs", "1", "--out", str(run))
    assert "nothing wrong" in command("check", str(run))
    command(*train, "--epochs", "2", "--out", str(run), "--resume")
    assert json.loads(command("evaluate", str(run), "--json").splitlines()[-1])["test_loss"] < 1
    usual = tmp_path / "usual"
    whole = [sys.executable, "-m", "jaxd2l", *train, "--epochs", "2", "--out", str(usual)]
    subprocess.run(whole, check=True)
    assert (run / "weights.safetensors").read_bytes() == (usual / "weights.safetensors").read_bytes()
    refused = _python("-m", "jaxd2l", *train, "--out", str(run))
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
