"""Send SIGTERM and SIGINT at random moments of a command's life and count how it ends.

    python scripts/signal_test.py --tries 100

The moment is drawn uniformly from the whole process, from the first instruction of Python to the last. A command may
end with 0, because it was done, or with the signal's own code, 75 or 130, and one line on stderr. Only in the first
moments, while the interpreter itself starts, the signals are not ours yet (`--start` seconds, from which no moment is
drawn). On Windows, where SIGTERM ends a process unheard and Ctrl-C cannot be sent to one alone, it is Ctrl-Break.
"""

import argparse
import collections
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

if sys.platform == "win32":
    CODES, GROUP = {signal.CTRL_BREAK_EVENT: 75}, subprocess.CREATE_NEW_PROCESS_GROUP
else:
    CODES, GROUP = {signal.SIGTERM: 75, signal.SIGINT: 130}, 0
COMMANDS = {
    "train": [
        "train",
        "linear",
        "--epochs",
        "50",
        "--no-report",
        "--checkpoint-every",
        "0",
        "--resume",
        "--out",
        "{folder}/run",
    ],
    "sweep": ["sweep", "linear", "--seeds", "2", "--epochs", "2", "--out", "{folder}/sweep"],
    "reproduce": ["reproduce", "linear", "--seeds", "2", "--epochs", "2", "--out", "{folder}/reproduce"],
    "cost": ["cost", "linear"],
    "list": ["list"],
}


def once(command: list[str], number: signal.Signals | None, after: float) -> tuple[int, float, str]:
    """Run a command and signal it after some seconds: exit code, seconds it lived, stderr."""
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "jaxd2l", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        creationflags=GROUP,
    ) as process:
        if number is not None:
            try:
                process.wait(after)
            except subprocess.TimeoutExpired:
                process.send_signal(number)
        _, said = process.communicate(timeout=300)
        return process.returncode, time.monotonic() - began, said


def main() -> int:
    """Run the test; 0 where every command ended as promised, 1 where not."""
    parser = argparse.ArgumentParser(description="Signal commands at random moments and count their exit codes.")
    parser.add_argument("--tries", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--start", type=float, default=0.5, help="seconds within which Python may still be starting")
    parser.add_argument("--commands", nargs="+", choices=COMMANDS, default=list(COMMANDS))
    args = parser.parse_args()
    os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "0"
    rng, counts, failures = random.Random(args.seed), collections.Counter(), []
    with tempfile.TemporaryDirectory() as temporary:
        lives = {}
        for i in range(args.tries):
            name = args.commands[i % len(args.commands)]
            command = [part.format(folder=Path(temporary) / str(i)) for part in COMMANDS[name]]
            if name not in lives:
                lives[name] = once([p.format(folder=Path(temporary) / name) for p in COMMANDS[name]], None, 0)[1]
            number = rng.choice(list(CODES))
            after = rng.uniform(args.start, 1.05 * lives[name])
            code, _, said = once(command, number, after)
            counts[name, number.name, code] += 1
            print(f"{name} {number.name} after {after:.2f} s of {lives[name]:.2f}: exit code {code}", flush=True)
            told = len(said.splitlines()) == (1 if code else 0)
            if code not in (0, CODES[number]) or not told:
                failures.append(f"{name} {number.name} after {after:.3f} s: exit code {code}: {said[-1500:]}")
    for (name, signal_name, code), count in sorted(counts.items()):
        print(f"{name:<10} {signal_name:<8} exit code {code:>4}: {count}")
    print(*failures, sep="\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
