"""One answer to which device, and one to how much of its memory is free."""

import os
import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest

from jaxd2l.cost import free_memory
from jaxd2l.machine import memory, processor

SECOND = """
import jax
from jaxd2l.machine.device import default_device, default_platform
from jaxd2l.run_folder import device_name
from jaxd2l.cost.free_memory import free_bytes
from jaxd2l.train.program import compile_program, initial_state
from jaxd2l.recipes import find, load_data
recipe = find("linear")
data = load_data(recipe)
for chosen in (*jax.devices(), "cpu"):
    jax.config.update("jax_default_device", chosen)
    state = initial_state(compile_program(recipe, data), 0, 0.03, 0.0)
    print(default_device().id, default_platform(), device_name(), {d.id for d in state.step.devices()}, sep="|")
    assert free_bytes() > 0
"""


@pytest.mark.slow
def test_everything_names_the_device_that_runs():
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
    program = [sys.executable, "-c", SECOND]
    done = subprocess.run(program, capture_output=True, text=True, check=True, env={**os.environ, "XLA_FLAGS": flags})
    for number, line in zip((0, 1, 0), done.stdout.splitlines(), strict=True):
        device, platform, name, where = line.split("|")
        assert (device, platform, where) == (str(number), "cpu", f"{{{number}}}")
        assert (", device 1" in name) == (number == 1)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of files: returns a function that writes one."""
    for name in ("_GROUPS", "_PROCESS"):
        monkeypatch.setattr(memory, name, tmp_path / name)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=4000 * 1024))

    def write(path, text):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")

    return write


def _second(write, group, limit, used, cache=0):
    write(f"_GROUPS/{group}/memory.max", f"{limit}\n")
    write(f"_GROUPS/{group}/memory.current", f"{used}\n")
    write(f"_GROUPS/{group}/memory.stat", f"anon 5\ninactive_file {cache}\n")


def _first(write, group, limit, used, cache=0):
    write(f"_GROUPS/memory/{group}/memory.limit_in_bytes", f"{limit}\n")
    write(f"_GROUPS/memory/{group}/memory.usage_in_bytes", f"{used}\n")
    write(f"_GROUPS/memory/{group}/memory.stat", f"cache 7\ninactive_file 1\ntotal_inactive_file {cache}\n")


def test_without_any_limit_it_is_what_the_system_can_give(machine):
    assert free_memory.free_bytes() == 4000 * 1024


def test_the_least_of_all_control_groups_above_the_process_counts(machine):
    machine("_PROCESS/cgroup", "0::/slice/job\n")
    _second(machine, "slice/job", "max", 0)
    _second(machine, "slice", 1000, 700, 50)
    assert free_memory.free_bytes() == 350
    _second(machine, "slice/job", 400, 100)
    assert free_memory.free_bytes() == 300
    _second(machine, "slice/job", 400, 500)
    assert free_memory.free_bytes() == 0


def test_the_groups_of_version_1_count_too(machine):
    machine("_PROCESS/cgroup", "5:cpu,cpuacct:/other\n4:memory:/docker/abc\n0::/\n")
    _first(machine, "docker/abc", 5000, 2000, 600)
    assert free_memory.free_bytes() == 3600
    _first(machine, "docker", 2**63 - 4096, 10)
    assert free_memory.free_bytes() == 3600


def test_a_container_that_sees_its_group_as_the_root_is_limited_by_it(machine):
    machine("_PROCESS/cgroup", "0::/../../outside\n")
    _second(machine, ".", 900, 100)
    assert free_memory.free_bytes() == 800


@pytest.mark.parametrize("text", ["", "nonsense\n", "0::\n", ":::\n"])
def test_what_cannot_be_read_limits_nothing(machine, text):
    machine("_PROCESS/cgroup", text)
    machine("_GROUPS/memory.max", "much")
    assert free_memory.free_bytes() == 4000 * 1024


@pytest.mark.posix
def test_ulimit_counts(machine, monkeypatch):
    import resource

    machine("_PROCESS/statm", "3 2 1 1 0 2 0\n")
    page = resource.getpagesize()
    limits = {resource.RLIMIT_AS: 10 * page, resource.RLIMIT_DATA: resource.RLIM_INFINITY}
    monkeypatch.setattr(resource, "getrlimit", lambda which: (limits[which], limits[which]))
    assert free_memory.free_bytes() == 7 * page


def test_an_accelerator_tells_itself():
    class Accelerator:
        platform = "gpu"

        def __init__(self, stats):
            self.memory_stats = lambda: stats

    assert free_memory.free_bytes(Accelerator({"bytes_limit": 10, "bytes_in_use": 4})) == 6
    assert free_memory.free_bytes(Accelerator(None)) is None


def test_what_the_system_does_not_tell_limits_nothing(machine, monkeypatch):
    def silent():
        raise OSError

    monkeypatch.setattr(psutil, "virtual_memory", silent)
    assert free_memory.free_bytes() is None
    machine("_PROCESS/cgroup", "0::/job\n")
    _second(machine, "job", 400, 100)
    assert free_memory.free_bytes() == 300


@pytest.mark.posix
def test_the_visible_cores_are_those_that_the_process_may_use():
    assert processor.visible_cores() == len(os.sched_getaffinity(0))


def test_a_system_that_binds_no_process_to_cores_shows_all_of_them(monkeypatch):
    monkeypatch.setattr(psutil, "Process", SimpleNamespace)
    assert processor.visible_cores() == os.cpu_count()
