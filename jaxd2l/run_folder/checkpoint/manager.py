"""Orbax's manager as it is opened here, and the one way past it: a checkpoint that several processes save together.

Over several processes each writes what its own devices hold, and Orbax's barriers between them make one checkpoint of
it, in the form that one process writes too. Managers belong to one process each and wait for no other, so any number
of processes can read: every one of them whole, since every array is compared with its digest.
"""

import logging
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.machine.disk import patiently

TRASH = ".forgotten-"  # begins the name of a checkpoint that is being deleted


def open_manager(folder: Path, *, read_only: bool) -> Any:
    """The manager of the checkpoints in a folder, which it makes unless it only reads; for this process alone."""
    import orbax.checkpoint as ocp

    for trash in () if read_only else folder.glob(f"{TRASH}*"):
        patiently(shutil.rmtree, trash)
    logging.getLogger("absl").setLevel(logging.CRITICAL)  # Orbax reports options, and errors it also raises
    logging.getLogger("asyncio").addFilter(_not_an_orphan)
    alone: dict[str, Any] = {"create": not read_only}
    if jax.process_count() > 1:
        if not read_only:
            folder.mkdir(parents=True, exist_ok=True)  # Orbax does not make it for some of several processes
        me = jax.process_index()
        alone["create"] = False
        alone["multiprocessing_options"] = ocp.options.MultiprocessingOptions(
            primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"process{me}"
        )
    options = ocp.CheckpointManagerOptions(
        read_only=read_only,
        cleanup_tmp_directories=not read_only,  # off by default: what a kill left behind would stay
        enable_async_checkpointing=False,  # the thread is ours, so that it hashes and imports too
        **alone,
    )
    return ocp.CheckpointManager(folder, options=options)


def restored(manager: Any, folder: Path, number: int) -> Any:
    """The two items of a checkpoint in `folder`, its arrays on the host; not compared with anything."""
    import orbax.checkpoint as ocp

    facts, like = ocp.args.JsonRestore(), None
    if (folder / str(number) / "arrays" / "_sharding").is_file():  # else Orbax asks for the devices that saved it
        described = manager.restore(number, args=ocp.args.Composite(facts=facts)).facts["arrays"]
        like = {name: np.empty(a["shape"], jnp.dtype(a["dtype"])) for name, a in described.items()}
    return manager.restore(number, args=ocp.args.Composite(arrays=ocp.args.StandardRestore(like), facts=facts))


def save_together(path: Path, items: Any) -> None:
    """Save one checkpoint; every process calls it, and it is committed when it returns."""
    import orbax.checkpoint as ocp

    with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as together:
        together.save(path, args=items, force=True)


def _not_an_orphan(record: logging.LogRecord) -> bool:
    """Where one write fails Orbax does not wait for the others, and asyncio would log their tracebacks."""
    return "never retrieved" not in record.getMessage()
