"""One run over several processes: equal to one process's, stopped, killed and cut off, and gone on with.

    python scripts/many_processes.py --out benchmarks/results/many_processes.json
    python scripts/many_processes.py --out benchmarks/results/many_processes.json --only equal mpirun

Each case starts `jaxd2l train` as a user would and looks at exit codes, at what was said, at how long the others took
to end, and at the files: weights byte for byte, losses as written. `mpirun` needs Open MPI, `cut` root and `ip netns`:
two network namespaces stand for two hosts, and the cable between them is pulled in mid-epoch. A case that cannot be
tried here is named with the reason. The command's exit code is 1 where a case does not hold.

Each case is kept with when and on what it was tried, in the file of `--out` as soon as it is over; cases that stand
there and are not tried again stay.
"""

import argparse
import datetime
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from sklearn.datasets import load_sample_images
from started_processes import (
    HOSTS,
    Started,
    apart,
    ended,
    errors,
    facts,
    free_port,
    in_the_second_epoch,
    on_two_hosts,
    start,
    train,
    two_hosts,
)

from jaxd2l import run_folder

ENDS_SECONDS = 25.0  # in which all others end once one is gone
WHOLE = ("lenet", "--epochs", "3", "--no-report")
BROKEN = ("mlp", "--epochs", "3", "--no-report")  # compiled in a few seconds
UPDATES = 235  # of an epoch of it
OFTEN = ("--checkpoint-every", "0.3")
PICTURES = 1400  # of 160 pixels, so that the training part takes two windows of 64 MiB
OF_PICTURES = ("lenet_relu", "--image-size", "160", "--epochs", "2", "--batch-size", "32", "--learning-rate", "0.02")


def reference(work: Path, *options: str) -> Path:
    """The unbroken run in one process with two devices; made once."""
    folder = work / f"one-process-{'-'.join(Path(option.strip('-')).name for option in options)}"
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
    in_the_second_epoch(folder, UPDATES)
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
    in_the_second_epoch(folder, UPDATES)
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
    in_the_second_epoch(folder, UPDATES)
    processes[0].process.send_signal(signal.SIGTERM)
    codes = [process.wait() for process in processes]
    codes += [process.wait() for process in start(folder, *BROKEN, "--shard-parameters", "--resume")]
    return {"exit_codes": codes, "holds": codes == [75, 75, 0, 0] and facts(one) == facts(folder)}


def pictures(folder: Path) -> None:
    """JPEGs of two classes, cut from scikit-learn's two photographs."""
    size = 160
    for label, photograph in enumerate(load_sample_images().images):
        (folder / str(label)).mkdir(parents=True)
        rows, columns = (n - size for n in photograph.shape[:2])
        for i in range(PICTURES // 2):
            top, left = 7 * i % rows, 11 * i % columns
            cut = photograph[top : top + size, left : left + size]
            Image.fromarray(cut).save(folder / str(label) / f"{i}.jpg", quality=90)


def streamed(work: Path) -> dict[str, Any]:
    """Pictures from a folder: resident in one process and in two, streamed in two, and streamed, stopped, gone on."""
    data = work / "pictures"
    if not data.exists():
        pictures(data)
    options = (*OF_PICTURES, "--data", str(data), "--no-report")
    one, read = reference(work, *options), ("--stream", "--workers", "1")
    codes = {}
    for name, reading in (("resident", ()), ("streamed", read)):
        codes[name] = [process.wait() for process in start(work / f"pictures-{name}", *options, *reading)]
    folder, updates = work / "pictures-stopped", int(PICTURES * 0.8) // 32
    processes = start(folder, *options, *read, *OFTEN)
    in_the_second_epoch(folder, updates)
    processes[1].process.send_signal(signal.SIGTERM)
    codes["stopped"] = [process.wait() for process in processes]
    codes["gone_on_with"] = [process.wait() for process in start(folder, *options, *read, "--resume")]
    runs = {name: facts(work / f"pictures-{name}") for name in ("resident", "streamed", "stopped")}
    equal = {name: found == facts(one) for name, found in runs.items()}
    as_they_should = {"resident": [0, 0], "streamed": [0, 0], "stopped": [75, 75], "gone_on_with": [0, 0]}
    return {
        "run": " ".join(("jaxd2l train", *OF_PICTURES, "--data pictures", *read)),
        "pictures": PICTURES,
        "exit_codes": codes,
        "said": errors(processes),
        "printed": [line for line in _log(work / "pictures-streamed").splitlines() if line.startswith("streaming")],
        "test_accuracy": runs["streamed"]["epochs"][-1][-1],
        "weights": {name: found["weights"] for name, found in {"one_process": facts(one), **runs}.items()},
        "equal_to_one_process": equal,
        "holds": all(equal.values()) and codes == as_they_should,
    }


def _log(folder: Path) -> str:
    """What the first process of a run printed."""
    return folder.with_name(f"{folder.name}-0.txt").read_text(encoding="utf-8")


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


def cut(work: Path) -> dict[str, Any]:
    """The cable between two hosts pulled in mid-epoch; then it is back, and the same command goes on."""
    if shutil.which("ip") is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        return {"not_tried": "needs root and ip netns"}
    folder, one = work / "cut", reference(work, *BROKEN)
    try:
        with two_hosts():
            cable = ["ip", "-n", next(iter(HOSTS)), "link", "set", "cable-a"]
            processes = on_two_hosts(folder, *BROKEN, *OFTEN)
            in_the_second_epoch(folder, UPDATES)
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
    for case in (equal, mpirun, terminated, killed, coordinator_killed, other_numbers, in_parts, streamed, refused, cut)
}


def conditions() -> dict[str, str]:
    """On what a case was tried."""
    found = run_folder.conditions()
    packages = ("jax", "jaxlib", "flax", "numpy", "device", "processor")
    return {
        **{name: found[name] for name in packages},
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def now() -> str:
    """The moment, in UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def keep(out: Path, name: str, found: dict[str, Any]) -> None:
    """Write one case into the results, in the place of what they held of it."""
    before = json.loads(out.read_bytes())["cases"] if out.exists() else {}
    cases = {**before, name: found}
    head = {
        "command": "python scripts/many_processes.py",
        "run": " ".join(("jaxd2l train", *WHOLE)),
        "broken_run": " ".join(("jaxd2l train", *BROKEN, *OFTEN)),
    }
    run_folder.write_json(out, {**head, "cases": {name: cases[name] for name in CASES if name in cases}})


def main() -> int:
    """Try the cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--out", type=Path, help="write each case into this JSON, beside the others that it holds")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave run folders and output there")
    args = parser.parse_args()
    held = True
    with tempfile.TemporaryDirectory() as temporary:
        work = args.keep or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        for name in args.only:
            began = time.monotonic()
            found = CASES[name](work)
            found |= {"seconds": round(time.monotonic() - began, 1), "when": now(), "conditions": conditions()}
            print(name, json.dumps(found, indent=2), flush=True)
            held &= found.get("holds", True)
            if args.out:
                keep(args.out, name, found)
    return int(not held)


if __name__ == "__main__":
    sys.exit(main())
