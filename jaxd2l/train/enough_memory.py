"""Whether a compiled run fits into memory, before it runs: XLA says what it will take."""

from jaxd2l.data import Dataset
from jaxd2l.train.free_memory import free_bytes
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
