"""How much memory a program may still take on a device."""

from typing import Any

from jaxd2l.machine.device import default_device
from jaxd2l.machine.memory import free_host_bytes

__all__ = ["free_bytes"]


def free_bytes(device: Any = None) -> int | None:
    """Memory that a run may still take on `device` (the default one), None where nobody tells.

    An accelerator knows its own; on a CPU it is `free_host_bytes`.
    """
    device = default_device() if device is None else device
    if device.platform != "cpu":
        stats = device.memory_stats() or {}
        return max(0, stats["bytes_limit"] - stats.get("bytes_in_use", 0)) if "bytes_limit" in stats else None
    return free_host_bytes()
