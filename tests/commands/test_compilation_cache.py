import json
import os
import subprocess
import sys


def _train(tmp_path, **environment):
    env = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    env["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    env["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"  # kept however fast this machine compiles
    env |= environment
    program = [sys.executable, "-m", "jaxd2l", "train", "mlp", "--limit-train", "256", "--limit-test", "256"]
    program += ["--epochs", "1", "--quiet", "--json", "--out", str(tmp_path / str(len(list(tmp_path.iterdir()))))]
    done = subprocess.run(program, env=env, capture_output=True, text=True, check=True)
    return json.loads(done.stdout), done.stderr


def test_a_second_run_starts_from_what_the_first_compiled_with_equal_bits(tmp_path):
    (tmp_path / "cache").mkdir()
    first, _ = _train(tmp_path)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*-cache")}
    assert kept
    again, complaints = _train(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*-cache")} == kept
    assert (again["train_loss"], again["test_loss"]) == (first["train_loss"], first["test_loss"])
    assert complaints == ""


def test_jaxs_own_switch_keeps_nothing(tmp_path):
    (tmp_path / "cache").mkdir()
    _train(tmp_path, JAX_ENABLE_COMPILATION_CACHE="0")
    assert not list((tmp_path / "cache").iterdir())


def test_jaxs_own_least_time_decides_what_is_kept(tmp_path):
    (tmp_path / "cache").mkdir()
    _train(tmp_path, JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="1000")
    assert not list((tmp_path / "cache").rglob("*-cache"))


def test_a_damaged_program_is_compiled_again(tmp_path):
    (tmp_path / "cache").mkdir()
    first, _ = _train(tmp_path)
    kept = list((tmp_path / "cache").rglob("*-cache"))
    assert kept
    for path in kept:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    again, _ = _train(tmp_path)
    assert again["train_loss"] == first["train_loss"]
