"""One run over several processes: equal to one process's, stopped, killed and cut off, and gone on with.

    python scripts/many_processes.py --out benchmarks/results/many_processes.json
    python scripts/many_processes.py --only equal mpirun

Each case starts `jaxd2l train` as a user would and looks at exit codes, at what was said, at how long the others took
to end, and at the files: weights byte for byte, losses as written. `mpirun` needs Open MPI, `cut` root and `ip netns`:
two network namespaces stand for two hosts, and the cable between them is pulled in mid-epoch. A case that cannot be
tried here is named with the reason. The command's exit code is 1 where a case does not hold.
"""

import argparse
import contextlib
import datetime
import hashlib
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from jaxd2l import run_folder

LOSSES = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
ENDS_SECONDS = 25.0  # in which all others end once one is gone
WHOLE = ("lenet", "--epochs", "3", "--no-report")
BROKEN = ("mlp", "--epochs", "3", "--no-report")  # 235 updates an epoch, and compiled in a few seconds
OFTEN = ("--checkpoint-every", "0.3")
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


def in_the_second_epoch(folder: Path) -> None:
    """Wait until a checkpoint was saved inside the second epoch of 235 updates."""
    until = time.monotonic() + 300
    while time.monotonic() < until:
        names = [path.name for path in (folder / run_folder.CHECKPOINTS).glob("*")]
        if any(name.isdigit() and 235 < int(name) < 440 for name in names):
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
    """The lines with which each said why it ended."""
    return [process.said("error:") for process in processes]


def reference(work: Path, *options: str) -> Path:
    """The unbroken run in one process with two devices; made once."""
    folder = work / f"one-process-{'-'.join(option.strip('-') for option in options)}"
    if not folder.exists():
        log = folder.with_name(f"{folder.name}.txt")
        code = Started(train(folder, *options), log, devices=2).wait()
        assert code == 0, log.read_text(encoding="utf-8")
    return folder


def equal(work: Path) -> dict[str, Any]:
    """Two processes of one device against one process with two, bit for bit."""
    folder, one = work / "two-processes", reference(work, *WHOLE)
    processes = start(folder, *WHOLE)
    codes = [process.wait() for process in processes]
    printed = processes[0].log.read_text(encoding="utf-8").splitlines()
    return {
        "exit_codes": codes,
        "printed": [line for line in printed if line.startswith(("batch", "process"))],
        "the_other_printed": processes[1].log.read_text(encoding="utf-8"),
        "test_accuracy": facts(folder)["epochs"][-1][-1],
        "holds": codes == [0, 0] and facts(folder) == facts(one),
    }


def mpirun(work: Path) -> dict[str, Any]:
    """The same by `mpirun -n 2` and `--dist auto`."""
    if shutil.which("mpirun") is None:
        return {"not_tried": "no mpirun here"}
    folder, one = work / "mpirun", reference(work, *WHOLE)
    command = [
        "mpirun",
        "-n",
        "2",
        "--allow-run-as-root",
        "--bind-to",
        "none",
        *train(folder, *WHOLE, "--dist", "auto"),
    ]
    process = Started(command, work / "mpirun.txt")
    code = process.wait()
    return {
        "command": "mpirun -n 2 --allow-run-as-root --bind-to none jaxd2l train ... --dist auto",
        "exit_code": code,
        "test_accuracy": facts(folder)["epochs"][-1][-1] if code == 0 else process.said(""),
        "holds": code == 0 and facts(folder) == facts(one),
    }


def _gone_on(
    folder: Path, one: Path, processes: list[Started], codes: list[int], seconds: list[float], again: list[int]
) -> dict[str, Any]:
    """What became of a run that was broken and started again, beside the unbroken one."""
    equal = facts(folder) == facts(one)
    return {
        "exit_codes": codes,
        "seconds_to_the_end": seconds,
        "said": errors(processes),
        "exit_codes_of_the_second_start": again,
        "equal_to_the_unbroken_run": equal,
        "holds": again == [0, 0] and equal and max(seconds) < ENDS_SECONDS,
    }


def _broken(work: Path, name: str, how: Callable[[list[Started]], None]) -> dict[str, Any]:
    """A run of two processes that is broken in its second epoch and started again."""
    folder, one = work / name, reference(work, *BROKEN)
    processes = start(folder, *BROKEN, *OFTEN)
    in_the_second_epoch(folder)
    how(processes)
    codes, seconds = ended(processes, time.monotonic())
    again = [process.wait() for process in start(folder, *BROKEN, "--resume")]
    return _gone_on(folder, one, processes, codes, seconds, again)


def terminated(work: Path) -> dict[str, Any]:
    """SIGTERM to the second process alone: both save and exit 75."""
    found = _broken(work, "terminated", lambda processes: processes[1].process.send_signal(signal.SIGTERM))
    return {**found, "holds": found["holds"] and found["exit_codes"] == [75, 75]}


def killed(work: Path) -> dict[str, Any]:
    """SIGKILL to the second process."""
    found = _broken(work, "killed", lambda processes: processes[1].process.kill())
    return {**found, "holds": found["holds"] and found["exit_codes"] == [75, -9]}


def coordinator_killed(work: Path) -> dict[str, Any]:
    """SIGKILL to the first process, which holds the service and writes the files."""
    found = _broken(work, "coordinator-killed", lambda processes: processes[0].process.kill())
    return {**found, "holds": found["holds"] and found["exit_codes"] == [-9, 75]}


def other_numbers(work: Path) -> dict[str, Any]:
    """From two processes to one with one device, and back to two: the numbers agree, the bits need not."""
    folder, one = work / "other-numbers", reference(work, *BROKEN)
    codes = []
    processes = start(folder, *BROKEN, *OFTEN)
    in_the_second_epoch(folder)
    processes[0].process.send_signal(signal.SIGTERM)
    codes.append([process.wait() for process in processes])
    alone = Started(train(folder, *BROKEN, "--resume", "--epochs", "2"), folder.with_name("other-numbers-alone.txt"))
    codes.append([alone.wait()])
    codes.append([process.wait() for process in start(folder, *BROKEN, "--resume")])
    largest = apart(folder, one)
    return {
        "exit_codes": codes,
        "largest_difference_of_a_weight": largest,
        "losses": [row[0] for row in facts(folder)["epochs"]],
        "losses_of_the_unbroken_run": [row[0] for row in facts(one)["epochs"]],
        "holds": codes == [[75, 75], [0], [0, 0]] and largest < 0.05,
    }


def in_parts(work: Path) -> dict[str, Any]:
    """`--shard-parameters` over two processes, terminated and gone on with: equal to one process with two devices."""
    folder, one = work / "parts", reference(work, *BROKEN, "--shard-parameters")
    processes = start(folder, *BROKEN, "--shard-parameters", *OFTEN)
    in_the_second_epoch(folder)
    processes[0].process.send_signal(signal.SIGTERM)
    codes = [process.wait() for process in processes]
    codes += [process.wait() for process in start(folder, *BROKEN, "--shard-parameters", "--resume")]
    return {"exit_codes": codes, "holds": codes == [75, 75, 0, 0] and facts(one) == facts(folder)}


def refused(work: Path) -> dict[str, Any]:
    """Two processes that are asked for different things."""
    address, folder = f"127.0.0.1:{free_port()}", work / "refused"
    processes = [
        Started(
            [
                *train(folder, *BROKEN, "--coordinator", address, "--num-processes", "2", "--process-id", str(i)),
                *("--seed", str(i)),
            ],
            work / f"refused-{i}.txt",
        )
        for i in range(2)
    ]
    codes = [process.wait(120) for process in processes]
    return {
        "exit_codes": codes,
        "said": errors(processes),
        "holds": codes == [2, 2] and not folder.exists(),
    }


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


def cut(work: Path) -> dict[str, Any]:
    """The cable between two hosts pulled in mid-epoch; then it is back, and the same command goes on."""
    if shutil.which("ip") is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        return {"not_tried": "needs root and ip netns"}
    folder, one = work / "cut", reference(work, *BROKEN)
    try:
        with two_hosts():
            cable = ["ip", "-n", next(iter(HOSTS)), "link", "set", "cable-a"]
            processes = on_two_hosts(folder, *BROKEN, *OFTEN)
            in_the_second_epoch(folder)
            subprocess.run([*cable, "down"], check=True)
            codes, seconds = ended(processes, time.monotonic())
            subprocess.run([*cable, "up"], check=True)
            again = [process.wait() for process in on_two_hosts(folder, *BROKEN, "--resume")]
    except subprocess.CalledProcessError as error:
        return {"not_tried": f"{' '.join(map(str, error.cmd))}: {error.stderr}"}
    found = _gone_on(folder, one, processes, codes, seconds, again)
    return {**found, "holds": codes == [75, 75] and found["holds"]}


CASES = {
    case.__name__: case
    for case in (equal, mpirun, terminated, killed, coordinator_killed, other_numbers, in_parts, refused, cut)
}


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def main() -> int:
    """Try the cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--out", type=Path, help="write the results as JSON, beside those of other cases there")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave run folders and output there")
    args = parser.parse_args()
    told: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        work = args.keep or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        for name in args.only:
            began = time.monotonic()
            told[name] = {**CASES[name](work), "seconds": round(time.monotonic() - began, 1), "when": _now()}
            print(name, json.dumps(told[name], indent=2), flush=True)
    if args.out:
        before = json.loads(args.out.read_bytes())["cases"] if args.out.exists() else {}
        head = {
            "command": "python scripts/many_processes.py",
            "run": " ".join(("jaxd2l train", *WHOLE)),
            "broken_run": " ".join(("jaxd2l train", *BROKEN, *OFTEN)),
            "platform": platform.platform(),
            "conditions": {name: run_folder.conditions()[name] for name in ("jax", "device", "processor")},
        }
        args.out.write_text(json.dumps({**head, "cases": {**before, **told}}, indent=2) + "\n", encoding="utf-8")
    return int(not all(case.get("holds", True) for case in told.values()))


if __name__ == "__main__":
    sys.exit(main())
