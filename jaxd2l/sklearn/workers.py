"""Worker processes of a search beside each other: each takes the threads that it is given."""

import multiprocessing
import os


def share_cores() -> None:
    """Let XLA take as many threads as joblib gives this worker process; nothing changes in a main process.

    joblib tells its workers by `OMP_NUM_THREADS`, which XLA does not read: it would start a thread a core in each.
    It counts when JAX starts its CPU, so this comes before.
    """
    threads = os.environ.get("OMP_NUM_THREADS")
    if threads and multiprocessing.parent_process() is not None:
        os.environ.setdefault("PJRT_NPROC", threads)
