"""Strict JAX for every test, and one cache of compiled programs for all processes and runs of the suite.

The same small programs are compiled by many tests and by the commands that tests start. They are kept under pytest's
own cache, where `--cache-clear` deletes them: the key of a program is its text, its options and the versions, so an
edit of the sources compiles what it changes. The test processes write an entry whole or not at all, since JAX itself
writes in place and a reader may find half of it; the commands that tests start, and may kill, only read. What a test
says about compiling itself asks for `compiled_anew`.
"""

import functools
import gc
import itertools
import os
import shutil
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

PROGRAMS = Path(__file__).parent.parent / ".pytest_cache" / "d" / "jax"
PROGRAMS_BYTES = 2**30  # more than a few dozen states of the sources leave behind
# Where a machine forbids it, every process compiles all of JAX's Python again, which takes it most of its start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# before jax is imported, and also for commands run as processes
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(PROGRAMS)
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "1e9"

import chromium  # noqa: E402
import hypothesis  # noqa: E402
import jax  # noqa: E402
import pytest  # noqa: E402
from jax._src import lru_cache  # noqa: E402
from jax.experimental.compilation_cache import compilation_cache  # noqa: E402

from jaxd2l import kept  # noqa: E402
from jaxd2l.data import datasets  # noqa: E402

# at any load: neither an example nor the drawing of one is late
hypothesis.settings.register_profile("any load", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("any load")
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)
# What is imported lives as long as the process: the collector need not walk over it while programs are traced.
gc.freeze()
gc.set_threshold(50_000, 20, 100)


def _put(self, key, value):
    """`LRUCache.put`, whole or not at all."""
    path = Path(self.path) / f"{key}-cache"
    if not path.exists():
        temporary = path.with_name(f"{os.getpid()}-{threading.get_ident()}")
        temporary.write_bytes(value)
        os.replace(temporary, path)


lru_cache.LRUCache.put = _put


def pytest_configure(config):
    if not hasattr(config, "workerinput") and sum(p.stat().st_size for p in PROGRAMS.glob("*")) > PROGRAMS_BYTES:
        shutil.rmtree(PROGRAMS)


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


@pytest.fixture(autouse=True)
def settings_as_they_were():
    """What a command sets for its process, which ends with it, is unset for the next test: it would compile anew."""
    variables, settings = _settings()
    yield
    after, now = _settings()
    for name in after.keys() - variables.keys():
        del os.environ[name]
    os.environ.update(variables)
    for name, value in settings.items():
        if now[name] != value:
            jax.config.update(name, value)


def _settings():
    """Environment variables of JAX and XLA, and JAX's settings."""
    return {name: value for name, value in os.environ.items() if name.startswith(("JAX", "XLA"))}, {**jax.config.values}


@pytest.fixture
def ticking(monkeypatch):
    """Call it with a module: whenever that looks at the clock, a second has passed."""

    def replace_clock(module):
        seconds = itertools.count()
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: float(next(seconds))))

    return replace_clock


@pytest.fixture
def compiled_anew():
    """Nothing is taken from what was compiled before: for what must hold of two compilations of one program."""
    kept.forget()
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()
    yield
    jax.config.update("jax_enable_compilation_cache", True)
    compilation_cache.reset_cache()


@pytest.fixture(scope="module")
def unoptimised():
    """Programs are compiled in half the time: for what asks neither how a program computes nor for its bits."""
    kept.forget()
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
    kept.forget()
    jax.clear_caches()


@pytest.fixture
def browser():
    """Headless Chromium, see `scripts/chromium.py`."""
    program = chromium.installed()
    if program is None:
        pytest.skip(f"none of {', '.join(chromium.NAMES)} is installed: no page is opened in a browser")
    browser = chromium.Browser(program)
    try:
        yield browser
    finally:
        browser.close()


@pytest.fixture
def tab(browser):
    """A tab of it."""
    return chromium.Tab(browser)
