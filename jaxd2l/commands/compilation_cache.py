"""Compiled programs kept between runs, so that the second start of a recipe takes a second instead of ten."""

import hashlib
import os
import platform
from pathlib import Path

import jax

_LEAST_SECONDS = 0.3  # below that a program compiles about as fast as it loads


def use() -> Path | None:
    """Let JAX keep what it compiles in the user's cache folder.

    Code compiled for one CPU may not run, or may round otherwise, on another: the folder is named by the
    processor and the visible cores, besides what JAX's own key holds (versions, flags, the program). A cached
    program gives the same bits as a fresh one. JAX's own settings win: `JAX_COMPILATION_CACHE_DIR` names another
    folder, `JAX_ENABLE_COMPILATION_CACHE=0` keeps nothing, `JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS` says what is
    worth keeping (0.3 s where it is not set).

    Returns:
        The folder, or None where the user has set JAX's own.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ or os.environ.get("JAX_ENABLE_COMPILATION_CACHE") in ("0", "false"):
        return None
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = root / "jaxd2l" / f"compiled-{_processor()}"
    jax.config.update("jax_compilation_cache_dir", str(folder))
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", _LEAST_SECONDS)
    return folder


def _processor() -> str:
    """A short digest of what decides the code XLA makes for this machine's CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = [platform.machine(), platform.processor()]
    kept = {line for line in lines if line.split(":")[0].strip() in ("model name", "flags", "Features")} or set(lines)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return hashlib.sha256("\n".join([*sorted(kept), str(cores), os.environ.get("NPROC", "")]).encode()).hexdigest()[:12]
