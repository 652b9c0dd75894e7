"""Compiled programs kept between runs, so that the second start of a recipe takes a second instead of ten."""

import hashlib
import os
from pathlib import Path

import jax

from jaxd2l.data.download import user_cache
from jaxd2l.earlier import keep_in
from jaxd2l.machine import processor

_LEAST_SECONDS = 0.3  # below that a program compiles about as fast as it loads


def use() -> Path | None:
    """Let JAX and `jaxd2l.earlier` keep what they compile in the user's cache folder.

    Code compiled for one CPU may not run, or may round otherwise, on another: the folder is named by the
    processor and the visible cores, besides what JAX's own key holds (versions, flags, the program). A cached
    program gives the same bits as a fresh one. JAX's own settings win: `JAX_COMPILATION_CACHE_DIR` names another
    folder, `JAX_ENABLE_COMPILATION_CACHE=0` keeps nothing, `JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS` says what is
    worth keeping (0.3 s where it is not set). A cache is a convenience: where there is no home, or it cannot be
    written, every program is compiled.

    Returns:
        The folder, or None where the user has set JAX's own or nothing can be kept.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ or os.environ.get("JAX_ENABLE_COMPILATION_CACHE") in ("0", "false"):
        return None
    root = user_cache()
    if root is None:
        return None
    folder = root / f"compiled-{hashlib.sha256(processor.fingerprint().encode()).hexdigest()[:12]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    keep_in(folder)
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", _LEAST_SECONDS)
    return folder
