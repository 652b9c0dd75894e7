"""Where a run ran: versions, device, commit and data, which a number needs to be compared."""

import datetime
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax

from jaxd2l.data import Dataset

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")


def device_name() -> str:
    """The default device in words, such as `cpu (2 cores)` or `gpu (NVIDIA H100 80GB HBM3)`."""
    device = jax.devices()[0]
    if device.platform == "cpu":
        return f"cpu ({len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores)"
    return f"{device.platform} ({device.device_kind})"


def environment(data: Dataset) -> dict[str, Any]:
    """Versions, device, commit and data of this process: what a number needs to be compared."""
    return {
        "jaxd2l": importlib.metadata.version("jaxd2l"),
        "commit": _commit(),
        "python": platform.python_version(),
        **_versions(_PACKAGES),
        "platform": platform.platform(),
        "device": device_name(),
        "devices": jax.device_count(),
        "dataset": data.name,
        "sha256": dict(data.sha256),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _versions(packages: Iterable[str]) -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in packages}


def _commit() -> str | None:
    """The checkout's commit, with `-dirty` where files differ from it; None for an installed wheel."""
    here = Path(__file__).resolve().parent.parent.parent
    if not (here / ".git").exists():
        return None
    try:
        described = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None
