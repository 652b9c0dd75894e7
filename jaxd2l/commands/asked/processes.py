"""`--dist`, `--coordinator` and their variables: several processes become one run, by JAX's own `jax.distributed`."""

import argparse
import os
import re
import signal
import socket
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import jax
from jax.sharding import Mesh

from jaxd2l.cli.signals import StopSignals
from jaxd2l.commands.asked import compilation_cache
from jaxd2l.commands.asked.chosen_device import make_deterministic
from jaxd2l.commands.asked.peers import HEARTBEAT_SECONDS, Peers
from jaxd2l.run_folder import begun, read_config
from jaxd2l.train.mesh import of_each

# by Kubeflow's runtime and others; then by its older operator
_VARIABLES = (
    ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"),
    ("COORDINATOR_ADDRESS", "NUM_PROCESSES", "PROCESS_ID"),
)


class Place(NamedTuple):
    """Where a process stands among the others.

    Attributes:
        coordinator: HOST:PORT of process 0; None where the engine knows.
        processes: how many there are; None likewise.
        process: which one this is; None likewise.
    """

    coordinator: str | None = None
    processes: int | None = None
    process: int | None = None


def joined(args: argparse.Namespace) -> AbstractContextManager[Peers | None]:
    """Meet the other processes; entered before anything else of JAX is used. Without the options nothing happens.

    Raises:
        ValueError: something is missing or contradicts, or the processes do not find each other.
    """
    given = Place(args.coordinator, args.num_processes, args.process_id)
    if given == Place() and args.dist == "none":
        return nullcontext()
    method = None if args.dist in ("none", "auto") else args.dist
    place = given if method else place_of(given, os.environ)
    if place == Place() and args.dist == "none":
        raise ValueError(_MISSING)
    compilation_cache.use()  # JAX looks once, when it first compiles, whether programs are kept
    if args.deterministic or (args.resume and begun(args.out) and read_config(args.out).get("deterministic")):
        make_deterministic()
    if args.device != "auto":
        jax.config.update("jax_platforms", {"gpu": "cuda"}.get(args.device, args.device))
    return Peers(args.command, lambda: _initialize(place, method))


_MISSING = "name all of --coordinator HOST:PORT, --num-processes and --process-id, or set the variables for them"


def place_of(given: Place, variables: Mapping[str, str]) -> Place:
    """What the options say, and what environment variables say of the rest; empty where neither says anything.

    Raises:
        ValueError: only a part is known, or it is no address, no number or out of range.
    """
    found = given
    for names in _VARIABLES:
        address, processes, process = (variables.get(name) or None for name in names)
        port = variables.get("COORDINATOR_PORT")
        if address is not None and port and ":" not in address:
            address = f"{address}:{port}"
        if given == Place() and None in (processes, process):  # an address alone is for an engine that JAX detects
            continue
        found = Place(
            given.coordinator or address,
            _number(names[1], processes) if given.processes is None else given.processes,
            _number(names[2], process) if given.process is None else given.process,
        )
        break
    if found == Place():
        return found
    if None in found:
        raise ValueError(_MISSING)
    assert found.coordinator is not None
    assert found.processes is not None
    assert found.process is not None
    written = re.fullmatch(r"(\[[0-9a-fA-F:.%\w]+\]|[^:\s]+):([0-9]{1,5})", found.coordinator)
    if written is None or not 0 < int(written[2]) < 2**16:
        raise ValueError(f"--coordinator takes HOST:PORT, such as node1:12355, got {found.coordinator!r}")
    if found.processes < 1 or not 0 <= found.process < found.processes:
        raise ValueError(
            f"--process-id must be from 0 to one less than --num-processes, got {found.process} of {found.processes}"
        )
    return found


def _number(name: str, text: str | None) -> int | None:
    if text is not None and not re.fullmatch(r"[0-9]+", text):
        raise ValueError(f"{name} must be a number of processes, got {text!r}")
    return None if text is None else int(text)


def local_devices_of(variables: Mapping[str, str]) -> list[int] | None:
    """Which of the devices that it sees a process takes: [] for all; None leaves the choice to JAX.

    JAX gives each process that Slurm or Open MPI starts the one device of its rank on the machine, also where it is
    the only process there, or where the engine shows each process only its own devices.
    """
    size, rank = _on_this_machine(variables)
    seen = [name for name in variables.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    if "JAX_LOCAL_DEVICE_IDS" in variables or (size > 1 and not seen):
        return None
    if size <= 1 or len(seen) < size or {"SLURM_GPUS_PER_TASK", "SLURM_GPU_BIND"} & set(variables):
        return []
    share = len(seen) // size
    return list(range(rank * share, (rank + 1) * share))


def _require_bindable(address: str) -> None:
    """Refuse an address that process 0 cannot listen on; JAX's service may crash there.

    Raises:
        ValueError: with the reason.
    """
    host, _, port = address.rpartition(":")
    try:
        family, kind, _, _, where = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except (OSError, OverflowError) as error:
        raise ValueError(
            f"process 0 cannot listen on {address} ({error}); name a free port and an address of its machine, or set "
            "JAX_COORDINATOR_BIND_ADDRESS to where it is to listen"
        ) from error


def _on_this_machine(variables: Mapping[str, str]) -> tuple[int, int]:
    """How many processes the engine started here, 0 where it does not say, and which of them this is."""
    if "OMPI_COMM_WORLD_LOCAL_SIZE" in variables:
        return int(variables["OMPI_COMM_WORLD_LOCAL_SIZE"]), int(variables["OMPI_COMM_WORLD_LOCAL_RANK"])
    sizes = [
        int(size)
        for size, times in re.findall(r"(\d+)(?:\(x(\d+)\))?", variables.get("SLURM_STEP_TASKS_PER_NODE", ""))
        for _ in range(int(times or 1))
    ]
    node = int(variables.get("SLURM_NODEID", 0))
    return sizes[node] if node < len(sizes) else 0, int(variables.get("SLURM_LOCALID", 0))


def agreed_ending(signals: StopSignals, mesh: Mesh | None) -> type[BaseException] | None:
    """`signals.ending()` of whichever process a signal has reached, in all of them."""
    reached = max(of_each(signals.received or 0, mesh))
    signals.received = signals.received or (signal.Signals(reached) if reached else None)
    return signals.ending()


def _initialize(place: Place, method: str | None) -> None:
    """Start JAX's service and client, bound to the address that is named, and look whether all are there."""
    from jax._src import distributed

    jax.config.update("jax_enable_preemption_service", False)  # it would take SIGTERM from us
    bind = None if place.coordinator is None else os.environ.get("JAX_COORDINATOR_BIND_ADDRESS", place.coordinator)
    if bind is not None and place.process == 0:
        _require_bindable(bind)
    try:
        jax.distributed.initialize(
            *place,
            local_device_ids=local_devices_of(os.environ),
            cluster_detection_method=method if place == Place() else "deactivate",
            coordinator_bind_address=bind,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
        )
    except ValueError as error:
        raise ValueError(
            f"--dist finds no engine that started this process ({error}); start it by Slurm, mpirun or Kubernetes, or "
            f"{_MISSING}"
        ) from error
    expected, found = distributed.global_state.num_processes, jax.process_count()
    if found != expected:
        raise ValueError(
            f"{expected} processes were started as one run, but JAX sees {found}: each would train alone; use a device "
            "and a JAX that know of each other (JAX_PLATFORMS)"
        )
