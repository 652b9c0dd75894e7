"""Where a run ran: versions, device, settings, commit and data, which a number needs to be compared.

What decides bits is either fixed by this library (the generator of random numbers, `jit`), or recorded here when a run
begins and compared when it goes on: the same bits, or a word which conditions differ.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from jaxd2l.data import Dataset
from jaxd2l.machine import conditions
from jaxd2l.machine.disk import write_json
from jaxd2l.run_folder.files import ENVIRONMENT


def environment(data: Dataset, mesh: Mesh | None = None) -> dict[str, Any]:
    """Versions, device, commit and data of this process: what a number needs to be compared.

    Args:
        data: of the run.
        mesh: the devices that share its batches; the default one alone when None.
    """
    found = conditions.environment(data.name, data.sha256, 1 if mesh is None else mesh.size)
    processes = 1 if mesh is None else len({device.process_index for device in mesh.devices.flat})
    return found if processes == 1 else {**found, "processes": processes}


def note_start(folder: Path, now: Mapping[str, Any], warn: Callable[[str], None]) -> None:
    """Write where the run began; where it goes on elsewhere, add that and say which bits are not promised."""
    path = folder / ENVIRONMENT
    try:
        began = json.loads(path.read_bytes())
    except (OSError, ValueError):
        began = None
    if not isinstance(began, dict):
        write_json(path, now)
        return
    differing = conditions.differences(began, now)
    if differing:
        warn(
            f"the run began under other conditions than it goes on ({'; '.join(differing)}): "
            "its last bits may differ from an unbroken run's"
        )
    before = began.get("resumed")
    resumed = before if isinstance(before, list) else []
    start = {**{n: now[n] for n in ("started", "commit", "device")}, **({"differing": differing} if differing else {})}
    write_json(path, {**began, "resumed": [*resumed, start]})
