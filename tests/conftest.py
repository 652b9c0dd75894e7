"""Strict JAX for every test, and one compilation cache for each process that runs tests.

The same small programs are compiled by many tests and by the commands that tests start: a folder of its own keeps
them for as long as the process lives, and nothing is written outside the test folders. Two workers share no folder,
because JAX writes an entry in place and a reader may find half of it. What a test says about compiling itself asks
for `compiled_anew`.
"""

import functools
import itertools
import os
import tempfile
from types import SimpleNamespace

_CACHE = tempfile.TemporaryDirectory(prefix="jaxd2l-tests-")
# before jax is imported, and also for commands run as processes
os.environ["JAX_COMPILATION_CACHE_DIR"] = _CACHE.name
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

import hypothesis  # noqa: E402
import jax  # noqa: E402
import pytest  # noqa: E402
from jax.experimental.compilation_cache import compilation_cache  # noqa: E402

from jaxd2l.data import datasets  # noqa: E402

# at any load: neither an example nor the drawing of one is late
hypothesis.settings.register_profile("any load", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("any load")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)


def pytest_unconfigure():
    _CACHE.cleanup()


@pytest.fixture(scope="session", autouse=True)
def unpacked_once():
    """The embedded files are unpacked and verified once a process, those of `JAXD2L_DATA_DIR` at each reading."""
    verified = datasets._verified
    kept = functools.cache(verified)

    def verified_once(name, source, file):
        return (verified if "JAXD2L_DATA_DIR" in os.environ else kept)(name, source, file)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "_verified", verified_once)
        yield


@pytest.fixture
def ticking(monkeypatch):
    """Call it with a module: whenever that looks at the clock, a second has passed."""

    def replace_clock(module):
        seconds = itertools.count()
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: float(next(seconds))))

    return replace_clock


@pytest.fixture
def compiled_anew():
    """Nothing is taken from the compilation cache: for what must hold of two compilations of one program."""
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()
    yield
    jax.config.update("jax_enable_compilation_cache", True)
    compilation_cache.reset_cache()
