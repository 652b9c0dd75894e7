"""Whether a compiled run fits into memory, before it runs: XLA says what it will take."""

import os
from pathlib import Path
from typing import Any

import jax

from jaxd2l.data import Dataset
from jaxd2l.train.program import Program


def needed_bytes(program: Program, data: Dataset) -> tuple[int, int]:
    """Memory of a run.

    Returns:
        `(fixed, per_batch)` bytes: data and state (kept twice, against divergence), and what the epoch or the
        evaluation takes beside them while it works, which grows with the batch.
    """
    epoch, evaluation = (e.memory_analysis() for e in (program.epoch, program.evaluation))
    if epoch is None or evaluation is None:  # a backend that does not tell
        return 0, 0
    resident = sum(a.nbytes for part in (data.train, data.test) for a in part)
    state = max(0, epoch.argument_size_in_bytes - sum(a.nbytes for a in data.train))
    return resident + 2 * state, max(epoch.temp_size_in_bytes, evaluation.temp_size_in_bytes)


def free_bytes(device: Any = None) -> int | None:
    """Memory that a run may still take on `device` (the default one), None where nobody tells.

    On a CPU the smaller of what the system can give and what the control group allows.
    """
    device = device or jax.config.jax_default_device or jax.devices()[0]
    if device.platform != "cpu":
        stats = device.memory_stats() or {}
        return stats["bytes_limit"] - stats.get("bytes_in_use", 0) if "bytes_limit" in stats else None
    found = [_meminfo(), _control_group()]
    known = [number for number in found if number is not None]
    return min(known) if known else None


def require_memory(program: Program, data: Dataset, free: int | None = None) -> None:
    """Refuse a run that would be killed or fail for lack of memory.

    Args:
        program: compiled.
        data: what it will run on.
        free: bytes; found out when None.

    Raises:
        ValueError: with what it needs, what there is, and the batch that fits.
    """
    free = free_bytes() if free is None else free
    fixed, per_batch = needed_bytes(program, data)
    if free is None or fixed + per_batch <= free:
        return
    batch = program.recipe.batch_size
    fitting = int(batch * max(0, free - fixed) / max(per_batch, 1) * 0.9)
    advice = f"about --batch-size {fitting} fits" if fitting else "no batch fits: use a smaller image size or network"
    raise ValueError(
        f"batch size {batch} needs about {(fixed + per_batch) / 2**30:.3g} GiB, the device has {free / 2**30:.3g} GiB "
        f"free; {advice}"
    )


def _meminfo() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        pages = os.sysconf("SC_AVPHYS_PAGES") if "SC_AVPHYS_PAGES" in os.sysconf_names else None
        return pages * os.sysconf("SC_PAGE_SIZE") if pages else None


def _control_group() -> int | None:
    """What a container may still take, its file cache, which the kernel gives back, not counted as taken."""
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text(encoding="ascii").strip()
        used = int((group / "memory.current").read_text(encoding="ascii"))
        stat = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
        return None if limit == "max" else max(0, int(limit) - used + int(stat.get("inactive_file", 0)))
    except (OSError, ValueError):
        return None
