"""How `compare.py` talks to a peer: one process each, one JSON line a message; only the one that was asked works.

The folder given as the first argument holds the whole task, so that all peers do the same work:
`task.json` (recipe, batch size, image size, learning rate), `data.npz` (x uint8 (n, 28, 28, 1), y), `rows.npz` (rows
(rounds, steps, batch)) and `weights.npz` (the initial parameters by PyTorch's names). Needs NumPy alone.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Task:
    """The task in the folder: its settings as attributes, and the arrays x, y, rows and weights."""

    def __init__(self, folder):
        folder = Path(folder)
        self.__dict__.update(json.loads((folder / "task.json").read_text(encoding="utf-8")))
        data = np.load(folder / "data.npz")
        self.x, self.y = data["x"], data["y"]
        self.rows = np.load(folder / "rows.npz")["rows"]
        self.weights = dict(np.load(folder / "weights.npz"))


class Trainer(NamedTuple):
    """One way in which a peer trains.

    Attributes:
        first_loss: mean loss of the first batch in prediction mode, before any update.
        train: `f(round) -> mean loss`, finished when it returns.
        compile_seconds: tracing and compiling, as far as the peer can tell them apart.
    """

    first_loss: float
    train: Callable[[int], float]
    compile_seconds: float


def serve(began, parameters, trainers, versions):
    """Announce that compilation is over, then train a round for each line `round mode`, until a line that is none.

    Every round but the first is trained twice, and the second time counts: while the others had their turn the system
    took memory back, and getting it again is no part of training, where one step follows another.

    Args:
        began: `time.perf_counter()` at the start of the process's own work.
        parameters: how many the network has.
        trainers: a `Trainer` by the name of its mode; the first is meant where a line names none.
        versions: of what matters.
    """
    modes = {
        name: {"first_loss": float(one.first_loss), "compile_seconds": one.compile_seconds}
        for name, one in trainers.items()
    }
    ready = {"parameters": int(parameters), "versions": versions, "start_seconds": time.perf_counter() - began}
    say({**ready, **next(iter(modes.values())), "modes": modes})
    for line in sys.stdin:
        number, *mode = line.split() or [""]
        if not number.isdigit():
            break
        i, train = int(number), trainers[" ".join(mode) or next(iter(trainers))].train
        if i > 0:
            train(i)
        began, used = time.perf_counter(), time.process_time()
        loss = float(train(i))
        say(
            {
                "seconds": time.perf_counter() - began,
                "processor_seconds": time.process_time() - used,
                "loss": loss,
                "peak_mb": peak_mb(),
            }
        )


def peak_mb():
    """Most memory resident so far, in MB.

    `ru_maxrss`, which macOS counts in bytes, would count on Linux what the parent held when it forked.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return psutil.Process().memory_info().peak_wset / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def say(message):
    """One line to the driver."""
    print(json.dumps(message), flush=True)
