"""One run over several processes: the bits of one process with as many devices, from any clock and through any stop."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import many_processes
import numpy as np
import pytest

from jaxd2l.run_folder.checkpoint import Checkpoints
from jaxd2l.train.mesh import agreed, agreed_text, meet, of_each, readable, spans_processes, writes_files


def test_without_other_processes_everybody_agrees_with_himself():
    assert (agreed(7, None), agreed_text("a", None), of_each(7, None)) == (7, "a", [7])
    assert not spans_processes(None)
    assert writes_files(None)
    meet(None, "nobody")
    tree = {"a": np.ones(2)}
    assert readable(tree)["a"] is tree["a"]


def _run(folder, processes, devices):
    """`two_processes.py` in so many processes, each with so many simulated devices; what each of them told."""
    folder.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    program = [sys.executable, str(Path(__file__).parent / "two_processes.py"), str(folder), address, str(processes)]
    quickly = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    variables = {**os.environ, "NPROC": "2", "JAX_NUM_CPU_DEVICES": str(devices), "XLA_FLAGS": quickly}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    started = [subprocess.Popen([*program, str(i)], env=variables, **pipes) for i in range(processes)]
    said = [process.communicate(timeout=240)[0] for process in started]
    assert [process.returncode for process in started] == [0] * processes, said
    return [json.loads((folder / f"{i}.json").read_bytes()) for i in range(processes)]


@pytest.mark.slow
def test_two_processes_are_one_process_with_two_devices(tmp_path):
    """Stopped and gone on with in the meantime, kernels in parts and all else whole, every process at its own pace."""
    (first, second), (alone,) = _run(tmp_path / "two", 2, 1), _run(tmp_path / "one", 1, 2)
    assert first == second
    same, (loss, again), rows, exchanged = first[4]
    assert same
    assert exchanged == ["all-reduce"]
    assert (loss, [loss, again]) == (again, alone[4][1])
    assert (rows, alone[4][2]) == ([8], [16])  # each reads what its own device works on
    assert first[:2] == alone[:2]
    assert "epoch 1" in first[5]
    assert first[5] == alone[5]
    assert "process 1 was started with another seed than process 0" in first[2]
    assert (first[3], alone[2:4]) == ([0, 1], ["", [0]])
    two, one = (tmp_path / name / "run" for name in ("two", "one"))
    for file in ("weights.safetensors", "best.safetensors"):
        assert (two / file).read_bytes() == (one / file).read_bytes(), file
    saved = [Checkpoints(folder / "checkpoints", read_only=True) for folder in (two, one)]
    number = saved[0].numbers()[-1]  # where they were stopped
    a, b = (checkpoints.read(number) for checkpoints in saved)
    assert a.arrays.keys() == b.arrays.keys()
    assert all(np.array_equal(a.arrays[name], b.arrays[name]) for name in a.arrays)


def test_a_case_that_is_tried_again_takes_its_own_place_among_the_results(tmp_path):
    for name, holds in (("cut", True), ("equal", True), ("cut", False)):
        many_processes.keep(tmp_path / "found.json", name, {"holds": holds})
    cases = json.loads((tmp_path / "found.json").read_bytes())["cases"]
    assert list(cases.items()) == [("equal", {"holds": True}), ("cut", {"holds": False})]
