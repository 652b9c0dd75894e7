"""Processes that train one run, as a user would start them: begun, awaited, and what they left compared."""

import contextlib
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from jaxd2l import run_folder

LOSSES = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
HOSTS = {"host-a": "10.77.16.1", "host-b": "10.77.16.2"}


class Started:
    """One process of a run, its output in a file."""

    def __init__(self, command: Sequence[str], log: Path, devices: int = 1) -> None:
        variables = {**os.environ, "JAX_NUM_CPU_DEVICES": str(devices), "JAX_PLATFORMS": "cpu", "NPROC": "2"}
        with log.open("ab") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=variables)
        self.log = log

    def wait(self, seconds: float = 600.0) -> int:
        """Its exit code; ended by force where it takes longer."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return -99

    def said(self, word: str) -> list[str]:
        """The lines of its output with this word."""
        return [line for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines() if word in line]


def train(folder: Path, *options: str) -> list[str]:
    """The command that trains into a folder."""
    return [sys.executable, "-m", "jaxd2l", "train", *options, "--out", str(folder)]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(folder: Path, *options: str, processes: int = 2, devices: int = 1) -> list[Started]:
    """Plain processes of one run."""
    address = f"127.0.0.1:{free_port()}"
    return [
        Started(
            [
                *train(folder, *options, "--coordinator", address),
                *("--num-processes", str(processes), "--process-id", str(i)),
            ],
            folder.with_name(f"{folder.name}-{i}.txt"),
            devices,
        )
        for i in range(processes)
    ]


def facts(folder: Path) -> dict[str, Any]:
    """What has to be equal: the weights' digest and every epoch's figures."""
    rows = run_folder.whole_rows(folder)
    return {
        "weights": hashlib.sha256((folder / run_folder.WEIGHTS).read_bytes()).hexdigest(),
        "best": hashlib.sha256((folder / run_folder.BEST).read_bytes()).hexdigest(),
        "epochs": [[row[name] for name in LOSSES] for row in rows],
    }


def apart(one: Path, other: Path) -> float:
    """The largest difference of two runs' last weights."""
    a, b = (safetensors.numpy.load((folder / run_folder.WEIGHTS).read_bytes()) for folder in (one, other))
    return max(float(np.max(np.abs(a[name] - b[name]))) for name in a)


def in_the_second_epoch(folder: Path, updates: int) -> None:
    """Wait until a checkpoint was saved inside the second epoch, each of so many updates, and well before its end."""
    until = time.monotonic() + 300
    while time.monotonic() < until:
        names = [path.name for path in (folder / run_folder.CHECKPOINTS).glob("*")]
        if any(name.isdigit() and updates < int(name) < 1.87 * updates for name in names):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{folder}: no checkpoint of the second epoch in 300 s")


def ended(processes: Sequence[Started], since: float) -> tuple[list[int], list[float]]:
    """Exit code of each, and seconds from a moment of `time.monotonic` to its end."""
    codes, seconds = [], []
    for process in processes:
        codes.append(process.wait(90))
        seconds.append(round(time.monotonic() - since, 1))
    return codes, seconds


def errors(processes: Sequence[Started]) -> list[list[str]]:
    """The lines with which each said why it ended, folders beside its output by their names."""
    return [[line.replace(f"{one.log.parent}{os.sep}", "") for line in one.said("error:")] for one in processes]


@contextlib.contextmanager
def two_hosts() -> Iterator[None]:
    """Two network namespaces with a cable between them, each with a table of host names; needs root."""

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    tables = [Path("/etc/netns") / name for name in HOSTS]
    a, b = HOSTS
    try:
        for name, table in zip(HOSTS, tables, strict=True):
            ip("netns", "add", name)
            table.mkdir(parents=True, exist_ok=True)
            lines = ["127.0.0.1 localhost", *(f"{address} {host}" for host, address in HOSTS.items())]
            (table / "hosts").write_text("\n".join(lines) + "\n", encoding="utf-8")
        ip("link", "add", "cable-a", "netns", a, "type", "veth", "peer", "name", "cable-b", "netns", b)
        for name, cable in ((a, "cable-a"), (b, "cable-b")):
            ip("-n", name, "addr", "add", f"{HOSTS[name]}/24", "dev", cable)
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", cable, "up")
        yield
    finally:
        for name, table in zip(HOSTS, tables, strict=True):
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)
            shutil.rmtree(table, ignore_errors=True)


def on_two_hosts(folder: Path, *options: str) -> list[Started]:
    """A process on each, which knows its own host by name."""
    a, port = next(iter(HOSTS)), free_port()
    return [
        Started(
            [
                *("ip", "netns", "exec", host, "unshare", "--uts", "sh", "-c", 'hostname "$0"; exec "$@"', host),
                *train(folder, *options, "--coordinator", f"{HOSTS[a]}:{port}"),
                *("--num-processes", "2", "--process-id", str(i)),
            ],
            folder.with_name(f"{folder.name}-{host}.txt"),
        )
        for i, host in enumerate(HOSTS)
    ]
