"""Which device runs what names none: the one answer for what is compiled, measured, printed and recorded."""

from typing import Any

import jax

__all__ = ["default_device", "default_platform"]


def default_device() -> Any:
    """The device of this process that JAX places arrays and programs on.

    JAX's own setting `jax_default_device` decides, a device or a platform's name ("cpu"); else the first device.

    Raises:
        RuntimeError: JAX cannot start the platform that is asked for.
    """
    chosen: Any = jax.config.jax_default_device
    if chosen is None:
        return jax.local_devices()[0]
    return jax.local_devices(backend=chosen)[0] if isinstance(chosen, str) else chosen


def default_platform() -> str:
    """Its kind: "cpu", "gpu" or "tpu"."""
    if jax.config.jax_default_device is None:
        return jax.default_backend()
    platform: str = default_device().platform
    return platform
