"""Kill a run with SIGKILL at random moments, start it again, and compare its end with the unbroken run's.

    python scripts/kill_test.py --kills 200 --out benchmarks/results/kill_test.json

Each run is started again with `--resume` until it finishes; then the next one begins. Half of the kills come at
a moment drawn uniformly from the whole process, start-up and compilation included; the other half some
milliseconds after a file of the folder changed, where half-written things would be. After every kill
`jaxd2l check` has to find nothing wrong. At the end the weights, of the last and of the best epoch, must be equal byte
for byte and each epoch must be in metrics.jsonl once, with equal losses.

Processes are forked from one that has imported everything but used no device, so a start takes a second.
"""

import argparse
import contextlib
import datetime
import hashlib
import json
import math
import os
import random
import signal
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path

import orbax.checkpoint  # noqa: F401 - imported once here instead of in every child
import safetensors.numpy  # noqa: F401 - likewise

from jaxd2l import run_folder
from jaxd2l.cli import main as jaxd2l

LOSSES = ("epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy")


def start(arguments: list[str], log: Path) -> int:
    """Fork a child that runs one command, its output added to `log`; returns its process id."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python warns of threads: none of ours holds a lock here
        child = os.fork()
    if child:
        return child
    code = 70
    try:
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, 1)
        os.dup2(file, 2)
        code = jaxd2l(arguments)
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os._exit(code)


def finish(child: int) -> int:
    """Wait for a child; its exit code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def wait(child: int, until: float) -> int | None:
    """Wait until a moment of `time.monotonic`; the child's exit code where it ended before, else None."""
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    return None


def look(folder: Path) -> set[tuple[str, int]]:
    """Every file of a folder with the time of its last change."""
    found = set()
    for root, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(FileNotFoundError):
                found.add((name, os.stat(os.path.join(root, name)).st_mtime_ns))
    return found


def outcome(folder: Path) -> tuple[str, str, list[tuple[object, ...]]]:
    """What has to be equal: the digests of the last and the best weights and the losses of every epoch."""
    rows = run_folder.read_metrics(folder)
    last, best = (
        hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (run_folder.WEIGHTS, run_folder.BEST)
    )
    return last, best, [tuple(row[name] for name in LOSSES) for row in rows]


def kill_somewhere(child: int, folder: Path, seconds: float, rng: random.Random) -> int | None:
    """Kill the child at a random moment; its exit code where it ended before, else None."""
    if rng.random() < 0.5:
        ended = wait(child, time.monotonic() + rng.uniform(0, 0.9 * seconds))
    else:
        changes, before = rng.randrange(1, 9), look(folder)
        ended = None
        while ended is None and changes:
            ended = wait(child, time.monotonic() + 0.001)
            now = look(folder)
            changes -= now != before
            before = now
        if ended is None:
            ended = wait(child, time.monotonic() + rng.expovariate(1 / 0.005))
    if ended is None:
        os.kill(child, signal.SIGKILL)
        code = finish(child)
        return None if code == -signal.SIGKILL else code
    return ended


def main() -> int:
    """Run the test; 0 where every run ended as the unbroken one, 1 where not."""
    parser = argparse.ArgumentParser(description="Kill runs at random moments and compare their ends.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--recipe", default="dropout_mlp")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--limit-train", type=int, default=12800)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    parser.add_argument("--out", type=Path, help="write the summary as JSON")
    args = parser.parse_args()
    if not (hasattr(os, "fork") and hasattr(signal, "SIGKILL")):
        parser.error("this system forks no process and has no SIGKILL; run it on Linux or macOS")
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as temporary:
        work = args.folder or Path(temporary)
        size = ["--limit-train", str(args.limit_train), "--limit-test", "500", "--batch-size", str(args.batch_size)]
        train = [
            "train",
            args.recipe,
            "--epochs",
            str(args.epochs),
            *size,
            "--no-report",
            "--checkpoint-every",
            "0",
            "--resume",
        ]
        seconds = math.inf
        for attempt in ("warm", "unbroken"):  # the first one reads cold files
            began = time.monotonic()
            code = finish(start([*train, "--out", str(work / attempt)], work / f"{attempt}.log"))
            seconds = min(seconds, time.monotonic() - began)
        if code:
            print((work / "unbroken.log").read_text(encoding="utf-8"))
            return 1
        expected = outcome(work / "unbroken")
        kills, runs, failures, per_run, from_checkpoint = 0, 0, [], [], 0
        while kills < args.kills:
            runs += 1
            folder, log, here, code = work / f"run{runs}", work / f"run{runs}.log", 0, None
            while code is None:
                child = start([*train, "--out", str(folder)], log)
                code = kill_somewhere(child, folder, seconds, rng) if kills < args.kills else finish(child)
                if code is None:
                    kills, here = kills + 1, here + 1
                    if (folder / run_folder.CONFIG).exists() and finish(start(["check", str(folder)], log)):
                        failures.append(f"run {runs}, kill {here}: check found something wrong")
                        code = 65
            per_run.append(here)
            from_checkpoint += log.read_text(encoding="utf-8").count("going on at epoch")
            if code == 0 and outcome(folder) != expected:
                failures.append(f"run {runs}: ended differently after {here} kills")
            elif code:
                failures.append(f"run {runs}: exit code {code}: {log.read_text(encoding='utf-8')[-2000:]}")
            print(f"run {runs}: {here} kills, exit code {code}; {kills} of {args.kills}", flush=True)
        summary = {
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "command": f"python scripts/kill_test.py --kills {args.kills} --seed {args.seed}",
            "run": " ".join(train),
            "kills": kills,
            "runs": runs,
            "kills_per_run": {"mean": statistics.fmean(per_run), "most": max(per_run)},
            "resumed_from_a_checkpoint": from_checkpoint,
            "ended_bit_identical": runs - len(failures),
            "failures": failures,
            "seconds_unbroken": round(seconds, 2),
            "weights_sha256": expected[0],
            "best_sha256": expected[1],
            "environment": json.loads((work / "unbroken" / run_folder.ENVIRONMENT).read_bytes()),
        }
    print(json.dumps({k: v for k, v in summary.items() if k != "environment"}, indent=2))
    if args.out:
        run_folder.write_json(args.out, summary)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
