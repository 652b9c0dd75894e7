"""`benchmarks/gpu.py`: every part of it, so small that a CPU does it, since no GPU is at hand where tests run."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# What the package uses elsewhere: a machine that trains need not have it.
NOT_FOR_TRAINING = ("PIL", "pandas", "platformdirs", "psutil", "safetensors", "tensorflow_datasets")


@pytest.fixture
def gpu(monkeypatch):
    """The script as a module."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("gpu")


class InThisProcess:
    """Stands for a child of the driver, without starting another Python for each part."""

    returncode = 0

    def __init__(self, gpu, part):
        self.answer = json.dumps(gpu.PARTS[part](gpu.tiny()))

    def communicate(self, timeout):
        """What the child printed."""
        return f"a line of something else\n{self.answer}\n", ""


@pytest.mark.slow
def test_every_part_answers_and_the_answers_are_one_json(gpu, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(gpu, "child", lambda passed, part, environment=(): InThisProcess(gpu, part))
    record = gpu.measure(gpu.tiny(), ["--tiny"], seconds=3000)

    assert record["missing"] == []
    (found,) = record["parity"].values()
    assert found["equal"]
    assert found["gradient"] == 0  # the device is the CPU itself
    assert record["determinism"]["equal"]
    assert record["inside_an_epoch"] == {"mlp": {"steps": 2, "compiled": 0, "finite": True}}
    speeds = record["speed"]["recipes"]["mlp"]
    assert speeds["jaxd2l float32"]["same_work"]
    assert speeds["jaxd2l bfloat16"]["ms_a_step"] > 0
    assert record["profile"]["ms_a_step"], "no kernel was seen"
    assert len(record["training"]["softmax"]["epochs"]) == 1

    path = gpu.save(record, tmp_path / "deep" / "gpu.json")
    assert json.loads(path.read_text(encoding="utf-8"))["device"] == record["device"]
    gpu.show(record)
    assert "equal to the CPU: 1 of 1" in capsys.readouterr().out


def test_a_part_that_fails_or_takes_too_long_is_named(gpu):
    broken = subprocess.Popen(
        [sys.executable, "-c", "raise SystemExit('no kernel image')"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert gpu.answer(broken, 60) == {"failure": "no kernel image"}
    endless = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert gpu.answer(endless, 0.1) == {"failure": "out of time"}
    assert gpu._tried(lambda name: 1 / 0)("lenet")["failure"].startswith("ZeroDivisionError")


@pytest.mark.slow
def test_training_needs_no_package_beyond_those_of_the_loop():
    code = f"""
import sys
sys.modules.update(dict.fromkeys({NOT_FOR_TRAINING!r}))  # None: an import of it fails
import jaxd2l.interop.torch
from jaxd2l.data import Examples, load
from jaxd2l.recipes import find
from jaxd2l.train import evaluate, fit
data = load("fashion_mnist")
data = data._replace(train=Examples(*(a[:256] for a in data.train)), test=Examples(*(a[:64] for a in data.test)))
import dataclasses
done = fit(dataclasses.replace(find("softmax"), epochs=1), data)
evaluate(done.recipe, done.state.params, done.state.batch_stats, data.test)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
