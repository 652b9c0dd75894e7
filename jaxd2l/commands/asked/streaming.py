"""`--stream` and `--workers`: whether data go to the device a window of batches at a time, decided before a run."""

import argparse
import importlib.util
from typing import Any

import jax

from jaxd2l.commands.asked.processes import ONE_STREAMS
from jaxd2l.cost import cost
from jaxd2l.cost.budget import gib, share_of, windows_alone
from jaxd2l.data import Dataset
from jaxd2l.data.streaming import OnDisk, default_workers, require_grain
from jaxd2l.train import Recipe, Run
from jaxd2l.train.program import streams

LONG = 30  # seconds: less may be what it takes to start the workers
_DECODED = ", decoded by"


def streaming_of_own(args: argparse.Namespace) -> bool | None:
    """How a user's own pictures are read: `open_data`'s `stream`.

    Raises:
        ValueError: streaming is asked for where it cannot be, or workers are no number of processes.
    """
    several = jax.process_count() > 1
    if args.workers is not None and args.workers < 0:
        raise ValueError(f"--workers takes 0 or more processes, got {args.workers}")
    if args.stream:
        if several:
            raise ValueError(ONE_STREAMS.format(jax.process_count()))
        require_grain()
        return True
    return None if not several and importlib.util.find_spec("grain") else False


def told_streaming(
    args: argparse.Namespace, recipe: Recipe, data: Dataset, free: int | None, devices: int
) -> str | None:
    """What to say of data that are streamed; None where they lie on the device.

    Args:
        args: of train.
        recipe: what is trained.
        data: what on.
        free: bytes that each device can still give, None where nobody tells.
        devices: how many share a batch.
    """
    parts = [part for part in (data.train, data.validation, data.test) if part is not None]
    size = sum(a.nbytes for part in parts for a in part)
    inputs: Any = data.train.x
    if streams(data, args.stream):
        workers = default_workers() if args.workers is None else args.workers
        by = f"{workers} process{'es' if workers > 1 else ''}" if workers else "threads of this one"
        return f"streaming {gib(size)}" + (f"{_DECODED} {by}" if isinstance(inputs, OnDisk) else "")
    if free is None or size <= free // 4 or jax.process_count() > 1:
        return None
    share = share_of(recipe, devices)
    if cost(share, data).train.total <= free or not importlib.util.find_spec("grain"):
        return None
    if cost(share, windows_alone(recipe, data)).train.total > free:
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
