"""The cache of compiled programs: the second start finds what the first one compiled, with equal bits."""

import json
import os
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


def _train(cache, **environment):
    """The closing JSON and the errors of a short run as a process that keeps its programs under `cache`."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    env["XDG_CACHE_HOME"] = str(cache)
    env["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"  # kept however fast this machine compiles
    env |= environment
    folder = cache.parent / f"run{len(list(cache.parent.iterdir()))}"
    program = [sys.executable, "-m", "jaxd2l", "train", "linear", "--epochs", "1", "--quiet", "--json"]
    done = subprocess.run([*program, "--out", str(folder)], env=env, capture_output=True, text=True, check=True)
    return json.loads(done.stdout), done.stderr


def _kept(cache):
    return {path.relative_to(cache): path.stat().st_mtime_ns for path in cache.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """What a first run prints, and the folder in which it kept its programs."""
    cache = tmp_path_factory.mktemp("first") / "cache"
    cache.mkdir()
    return _train(cache)[0], cache


def test_a_second_run_starts_from_what_the_first_compiled_with_equal_bits(first):
    printed, cache = first
    kept = _kept(cache)
    assert kept
    again, complaints = _train(cache)
    assert _kept(cache) == kept
    assert (again["train_loss"], again["test_loss"]) == (printed["train_loss"], printed["test_loss"])
    assert complaints == ""


def test_jaxs_own_settings_decide_what_is_kept(tmp_path):
    (tmp_path / "cache").mkdir()
    _train(tmp_path / "cache", JAX_ENABLE_COMPILATION_CACHE="0")
    assert not _kept(tmp_path / "cache")


def test_a_damaged_program_is_compiled_again(first, tmp_path):
    printed, sound = first
    cache = shutil.copytree(sound, tmp_path / "cache")
    for name in _kept(cache):
        (cache / name).write_bytes((cache / name).read_bytes()[: (cache / name).stat().st_size // 2])
    again, _ = _train(cache)
    assert again["train_loss"] == printed["train_loss"]
