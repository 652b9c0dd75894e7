"""`--device` and `--deterministic`: where programs run and how, settled before JAX is first used."""

import os
import sys

import jax

from jaxd2l.commands.asked import compilation_cache
from jaxd2l.machine.device import default_device


def choose_device(name: str) -> None:
    """Make `name` the default device and keep compiled programs; call it before anything runs.

    `JAX_DISABLE_JIT` is switched off, with a word: what runs here is compiled ahead, and would not be the same run.

    Raises:
        ValueError: no such device is there; JAX itself would fall back to the CPU, or fail with an assertion.
    """
    compilation_cache.use()
    if jax.config.jax_disable_jit:
        jax.config.update("jax_disable_jit", False)
        print("warning: JAX_DISABLE_JIT has no effect here: programs are compiled ahead", file=sys.stderr, flush=True)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        default_device()
        devices = None if name == "auto" else jax.local_devices(backend=name)
    except (RuntimeError, AssertionError) as error:
        if asked := os.environ.get("JAX_PLATFORMS"):
            raise ValueError(
                f"--device {name}: JAX_PLATFORMS={asked} leaves no such device here; unset it, or set JAX_PLATFORMS=cpu"
            ) from error
        raise ValueError(f"--device {name}: there is none here; leave it out or use --device cpu") from error
    if devices:
        jax.config.update("jax_default_device", devices[0])


def make_deterministic() -> None:
    """Ask XLA for GPU kernels with a fixed order of summation; only counts before the first use of a device."""
    flag = "--xla_gpu_deterministic_ops=true"
    flags = os.environ.get("XLA_FLAGS", "")
    if flag not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {flag}".strip()
