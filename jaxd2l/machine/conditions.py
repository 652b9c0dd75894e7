"""What decides the bits of a program beside the program itself: versions, device, processor, settings, variables.

It is recorded when a run begins and compared when it goes on: the same bits, or a word which conditions differ.
"""

import contextlib
import datetime
import importlib.metadata
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax

from jaxd2l.machine import processor
from jaxd2l.machine.device import default_device
from jaxd2l.wording import counted

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")
_COMPARED = (*_PACKAGES, "device", "devices", "devices_used", "processor", "instructions")
_SECTIONS = ("settings", "variables")

# JAX's settings that change no number: what is logged, checked, cached, dumped or shared, how it is spelled, and what
# stands elsewhere (the device) or is fixed by us (the generator). All others are recorded, those of later versions too.
_NEUTRAL = re.compile(
    r"jax2tf|serializ|export|debug|check|leak|log_|logging|explain|cache|captured|trace|dump|location|source|mosaic|pallas|mtls|"
    r"distributed|cross_host|visible|mock|share_binary|guard|pprint|sort_devices|timeout|errors|custom_prng|prng_key|"
    r"default_prng_impl|rank_promotion|disable_jit|jax_platform|default_device|mesh_context|recoverab|preemption|"
    r"no_tracing|no_execution|collectives|async_dispatch|transfers|pgle"
)
_VARIABLES = re.compile(
    r"(LIBTPU_INIT_ARGS|(?:PJRT_)?NPROC|ONEDNN_\w+|DNNL_\w+|NVIDIA_TF32_OVERRIDE|CUBLAS_\w+|CUDNN_\w+|TF_CUDNN_\w+|MIOPEN_\w+|"
    r"JAX_PJRT_CLIENT_CREATE_OPTIONS)\Z"
)


def device_name() -> str:
    """The default device in words, such as `cpu (2 cores)` or `gpu (NVIDIA H100 80GB HBM3)`; its number if not 0."""
    device = default_device()
    kind = counted(processor.visible_cores(), "core") if device.platform == "cpu" else str(device.device_kind)
    number = f", device {device.id}" if device.id != jax.local_devices(backend=device.platform)[0].id else ""
    return f"{device.platform} ({kind}{number})"


def environment(
    dataset: str, sha256: Mapping[str, str] | Iterable[tuple[str, str]], devices_used: int = 1
) -> dict[str, Any]:
    """The content of `environment.json`: what a number needs to be compared.

    Args:
        dataset: name of the data.
        sha256: digest of each file that they were read from.
        devices_used: see `conditions`.
    """
    return {
        **_versions(["jaxd2l"]),
        "commit": _commit(),
        "python": platform.python_version(),
        **conditions(devices_used),
        "platform": platform.platform(),
        "dataset": dataset,
        "sha256": dict(sha256),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def conditions(devices_used: int = 1) -> dict[str, Any]:
    """What decides the bits of a run beside its configuration, data and this library.

    Args:
        devices_used: how many share its batches, of the `devices` that JAX sees.
    """
    return {
        **_versions(_PACKAGES),
        "device": device_name(),
        "devices": jax.device_count(),
        "devices_used": devices_used,
        "processor": processor.model_name(),
        "instructions": processor.vector_instructions(),
        "settings": {n: _plain(v) for n, v in sorted(jax.config.values.items()) if not _NEUTRAL.search(n)},
        "variables": _variables(default_device().platform),
    }


def devices_used(record: Mapping[str, Any]) -> int:
    """How many devices shared the batches, by a run's record; 1 where it is of an earlier version or damaged."""
    used = record.get("devices_used")
    return used if isinstance(used, int) and used > 0 else 1


def in_words(record: Mapping[str, Any]) -> str:
    """The device of a record, and how many there were of it: `8 devices, gpu (NVIDIA H100 80GB HBM3)`.

    Raises:
        KeyError: there is none.
    """
    used = devices_used(record)
    return f"{used} devices, {record['device']}" if used > 1 else str(record["device"])


def differences(began: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Conditions that differ, each as `name: then, now`; what an older record does not hold is not compared."""
    pairs = [(name, began[name], now.get(name)) for name in _COMPARED if name in began]
    for section in _SECTIONS:
        old, new = began.get(section), now.get(section)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            # a setting that one version of JAX does not have has no value there; an unset variable has: none
            names = sorted({*old, *new} if section == "variables" else {*old} & {*new})
            pairs += [(name, old.get(name), new.get(name)) for name in names]
    return [_differing(name, then, here) for name, then, here in pairs if then != here]


def _differing(name: str, then: Any, here: Any) -> str:
    if name == "instructions":
        old, new = set(str(then).split()), set(str(here).split())
        changed = [*(f"-{word}" for word in sorted(old - new)), *(f"+{word}" for word in sorted(new - old))]
        return f"{name}: {' '.join(changed)}"
    return f"{name}: {'unset' if then is None else then}, now {'unset' if here is None else here}"


def _variables(device: str) -> dict[str, str]:
    """Environment variables that change what XLA or its libraries compute on this kind of device."""
    found = {name: value for name, value in os.environ.items() if _VARIABLES.match(name)}
    silent = ("--xla_dump", *(("--xla_gpu",) if device == "cpu" else ()))
    flags = [flag for flag in os.environ.get("XLA_FLAGS", "").split() if not flag.startswith(silent)]
    return dict(sorted({**found, **({"XLA_FLAGS": " ".join(sorted(flags))} if flags else {})}.items()))


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else getattr(value, "name", str(value))


def _versions(packages: Iterable[str]) -> dict[str, str]:
    """Of those that are installed: a frozen run is thawed without Flax and optax."""
    found = {}
    for name in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _commit() -> str | None:
    """The checkout's commit, with `-dirty` where files differ from it; None for an installed wheel."""
    here = Path(__file__).resolve().parent.parent.parent
    if not (here / ".git").exists():
        return None
    try:
        described = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            encoding="utf-8",
            timeout=10,
            check=True,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None
