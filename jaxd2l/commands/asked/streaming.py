"""`--stream` and `--workers`: whether data go to the device a window of batches at a time, decided before a run."""

import argparse
import importlib.util
from typing import Any

import jax
from jax.sharding import Mesh

from jaxd2l.cost import cost
from jaxd2l.cost.budget import gib, share_of, windows_alone
from jaxd2l.data import Dataset
from jaxd2l.data.streaming import OnDisk, default_workers, require_grain
from jaxd2l.train import Recipe, Run
from jaxd2l.train.mesh import of_each, spans_processes
from jaxd2l.train.program import streams

LONG = 30  # seconds: less may be what it takes to start the workers
_DECODED = ", decoded by"


def streaming_of_own(args: argparse.Namespace) -> bool | None:
    """How a user's own pictures are read: `open_data`'s `stream`.

    Raises:
        ValueError: streaming is asked for where it cannot be, or workers are no number of processes.
    """
    if args.workers is not None and args.workers < 0:
        raise ValueError(f"--workers takes 0 or more processes, got {args.workers}")
    if args.stream:
        require_grain()
        return True
    several = jax.process_count() > 1  # each has memory of its own, and all must read in one way
    return None if not several and importlib.util.find_spec("grain") else False


def told_streaming(
    args: argparse.Namespace, recipe: Recipe, data: Dataset, free: int | None, mesh: Mesh | None
) -> str | None:
    """What to say of data that are streamed; None where they lie on the device.

    Args:
        args: of train.
        recipe: what is trained.
        data: what on.
        free: bytes that each device of this process can still give, None where nobody tells.
        mesh: the devices that share a batch. What is told, and so done, is one answer for all processes.
    """
    devices = 1 if mesh is None else mesh.size
    parts = [part for part in (data.train, data.validation, data.test) if part is not None]
    size = sum(a.nbytes for part in parts for a in part)
    inputs: Any = data.train.x
    if streams(data, args.stream):
        workers = default_workers() if args.workers is None else args.workers
        each = " each" if spans_processes(mesh) else ""
        by = f"{workers} process{'es' if workers > 1 else ''}{each}" if workers else "threads of this one"
        return f"streaming {gib(size)}" + (f"{_DECODED} {by}" if isinstance(inputs, OnDisk) else "")
    if free is None:
        return None
    if spans_processes(mesh):
        free = min(of_each(free >> 20, mesh)) << 20
    if size <= free // 4:
        return None
    share = share_of(recipe, devices)
    if cost(share, data).train.total <= free or not importlib.util.find_spec("grain"):
        return None
    if cost(share, windows_alone(recipe, data, devices)).train.total > free:
        return None  # where neither fits, what is said is which batch does
    return f"the data take {gib(size)} and the device has {gib(free)} free: they are streamed"


def told_waiting(streaming: str | None, run: Run) -> list[str]:
    """What to say of the time in which streamed data were waited for."""
    if streaming is None or run.train_seconds <= 0:
        return []
    share = run.waited_seconds / run.train_seconds
    limit = ""
    if share > 0.5 and run.waited_seconds > LONG:
        limit = "; the reader is the limit" + (": more --workers or smaller pictures" if _DECODED in streaming else "")
    return [f"waited {run.waited_seconds:.1f} s for data, {share:.0%} of the training{limit}"]
