"""The devices of a run, and whether its batches can be divided over them."""

from collections.abc import Iterable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxd2l.machine.device import default_device, default_platform
from jaxd2l.train.mesh.processes import require_whole_processes
from jaxd2l.wording import counted

AXIS, SHARDED = "data", "fsdp"  # fully sharded data parallel: parameters are divided too


def all_devices() -> list[Any]:
    """The devices of the kind that is the default, of all processes where there are several, else `local_devices`."""
    return list(jax.devices(default_platform())) if jax.process_count() > 1 else local_devices()


def local_devices() -> list[Any]:
    """The devices of this process of the kind that is the default, the default one first."""
    first = default_device()
    return [first, *(device for device in jax.local_devices(backend=default_platform()) if device != first)]


def data_mesh(devices: Mesh | Iterable[Any] | None) -> Mesh | None:
    """The one axis over which the rows of a batch are divided, in the form that programs are compiled for.

    Args:
        devices: some devices of one kind, or a mesh of them with one axis, whatever it is called; where they belong to
            several processes (`jax.distributed`), all that there are.

    Returns:
        A mesh with the axis "data", or "fsdp" where it is called so: then each device holds only a part of the large
        kernels and of what the optimizer keeps of them. None for the default device alone, of which nothing has to be
        said.

    Raises:
        ValueError: no device, devices of several kinds, a mesh of several axes, or some of several processes' devices.
    """
    if devices is None:
        return None
    axis = AXIS
    if isinstance(devices, Mesh):
        if len(devices.axis_names) != 1:
            raise ValueError(
                f"a mesh with one axis is needed, over which batches are divided, got the axes "
                f"{', '.join(map(str, devices.axis_names))}; give jax.make_mesh(({devices.size},), ('data',))"
            )
        axis, devices = SHARDED if devices.axis_names == (SHARDED,) else AXIS, devices.devices.flat
    found = list(devices)
    kinds = sorted({device.platform for device in found})
    if len(kinds) != 1 or len(set(found)) < len(found):
        raise ValueError(f"a run takes different devices of one kind, got {', '.join(map(str, found)) or 'none'}")
    if found == [default_device()]:
        return None
    require_whole_processes(found)
    return Mesh(np.array(found), (axis,))


def most_devices(available: int, batch_size: int, accumulate: int = 1) -> int:
    """The largest number of devices, at most `available`, over which each piece of a batch can be divided."""
    return next((n for n in range(available, 1, -1) if batch_size % (n * accumulate) == 0), 1)


def nearest_batches(devices: int, batch_size: int, accumulate: int = 1) -> list[int]:
    """The sizes at and around `batch_size` whose pieces can be divided over the devices: itself, or one or two."""
    unit = devices * accumulate
    below = batch_size // unit * unit
    return [below] if below == batch_size else [size for size in (below, below + unit) if size > 0]


def require_divisible(devices: int, examples: int, batch_size: int, accumulate: int = 1) -> None:
    """Refuse a batch whose pieces cannot be divided over the devices.

    Args:
        devices: how many there are.
        examples: of the training part.
        batch_size: rows of a batch.
        accumulate: pieces that it is cut into.

    Raises:
        ValueError: with the nearest batch sizes that can.
    """
    if batch_size % (devices * accumulate) == 0:
        return
    near = [str(size) for size in nearest_batches(devices, batch_size, accumulate) if size <= examples]
    pieces = "" if accumulate == 1 else f" in {accumulate} pieces"
    sizes = {0: "there are too few examples", 1: "the nearest batch size that can is "}
    said = sizes.get(len(near), "the nearest batch sizes that can are ") + " and ".join(near)
    fewer = most_devices(devices, batch_size, accumulate)
    raise ValueError(
        f"a batch of {batch_size}{pieces} cannot be divided over {devices} devices; {said}, and it can be over "
        f"{counted(fewer, 'device')}"
    )
