"""`--devices`: over which devices a run's batches are divided, chosen and told before it begins."""

import json
import socket
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxd2l.cost.free_memory import free_bytes
from jaxd2l.machine.device import default_platform
from jaxd2l.run_folder import ENVIRONMENT, device_name, devices_used
from jaxd2l.train import Recipe
from jaxd2l.train.mesh import (
    AXIS,
    SHARDED,
    all_devices,
    data_mesh,
    local_devices,
    most_devices,
    nearest_batches,
    require_divisible,
    spans_processes,
    text_of_each,
)
from jaxd2l.wording import counted


def first_devices(asked: int | str) -> list[Any]:
    """The first `asked` devices of the kind that is used, or all of them.

    Raises:
        ValueError: there are fewer.
    """
    found = local_devices()
    if isinstance(asked, int) and asked > len(found):
        kind = found[0].platform
        simulated = f"; JAX_NUM_CPU_DEVICES={asked} simulates as many" if kind == "cpu" else ""
        there = f"is 1 {kind} device" if len(found) == 1 else f"are {len(found)} {kind} devices"
        raise ValueError(f"--devices {asked}: there {there} here{simulated}")
    return found[:asked] if isinstance(asked, int) else found


def chosen_devices(
    asked: int | str | None, recipe: Recipe, examples: int, began: Path | None = None, shard_parameters: bool = False
) -> Mesh | None:
    """The devices of a run: those asked for; or as many as its batches can be divided over, and where it goes on, as
    many as it began with. Over several processes all of all.

    Args:
        asked: by --devices; None where it is left out.
        recipe: what is trained.
        examples: of the training part.
        began: the folder of the run that goes on.
        shard_parameters: divide the parameters too.

    Raises:
        ValueError: there are fewer devices than asked for, the batch cannot be divided over them, or there is only one
            to divide parameters over.
    """
    several = jax.process_count() > 1
    devices = all_devices() if several else first_devices("all" if asked is None else asked)
    if several and asked not in (None, "all", len(devices)):
        raise ValueError(
            f"--devices {asked}: {jax.process_count()} processes take all of their {len(devices)} devices; leave it out"
        )
    if asked is None and not several:
        before = len(devices) if began is None else min(_devices_before(began), len(devices))
        devices = devices[: most_devices(before, recipe.batch_size, recipe.accumulate)]
    if shard_parameters and len(devices) == 1:
        raise ValueError("--shard-parameters divides them over several devices, and this run has one; leave it out")
    require_divisible(len(devices), examples, recipe.batch_size, recipe.accumulate)
    return data_mesh(Mesh(np.array(devices), (SHARDED if shard_parameters else AXIS,)))


def _devices_before(folder: Path) -> int:
    """How many devices a run began with; 1 where its record cannot be read."""
    try:
        record = json.loads((folder / ENVIRONMENT).read_bytes())
    except (OSError, ValueError):
        return 1
    return devices_used(record) if isinstance(record, dict) else 1


def told_devices(mesh: Mesh | None, recipe: Recipe) -> list[str]:
    """What to say of the devices: nothing where there is only one."""
    used, there, batch = 1 if mesh is None else mesh.size, len(all_devices()), recipe.batch_size
    if there == 1:
        return []
    sharded = ", parameters in parts" if mesh is not None and mesh.axis_names == (SHARDED,) else ""
    each = f"{counted(batch // used, 'row')} on each{sharded}"
    if used == there:
        rows = f"batch {batch} on {counted(there, 'device')}, {each}"
        return [rows, *_each_process(mesh)]
    rows = f"batch {batch} on {used} of the {counted(there, 'device')} here, {each}"
    near = nearest_batches(there, batch, recipe.accumulate)
    return [rows if batch in near else f"{rows}; one of {' or '.join(map(str, near))} can be divided over all"]


def _each_process(mesh: Mesh | None) -> list[str]:
    """A line for each of several processes: where it runs, and which devices are its own."""
    if not spans_processes(mesh):
        return []
    own = ", ".join(str(device.id) for device in jax.local_devices(backend=default_platform()))
    mine = f"on {socket.gethostname()}: {device_name()}, devices {own}"
    return [f"process {i} {line}" for i, line in enumerate(text_of_each(mine, mesh))]


def told_members(mesh: Mesh | None) -> list[str]:
    """What to say of the devices that independent trainings are spread over: nothing where there is only one."""
    return [] if mesh is None else [f"on up to {counted(mesh.size, 'device')}, each with some of the trainings"]


def free_on_each(mesh: Mesh | None) -> int | None:
    """Bytes that each device can still give; simulated ones share those of the machine."""
    free = free_bytes()
    shared = mesh is not None and mesh.devices.flat[0].platform == "cpu"
    return free // len(mesh.local_devices) if free is not None and mesh is not None and shared else free
