"""How pages are read: dealt out to processes, each of which gets as many cells to run as the others.

Sphinx hands out slices of the sorted names, and most cells are in the pages of one folder. What the tests have compiled
(`tests/conftest.py`) the cells need not compile again; they read it and add nothing.
"""

import os
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.parallel import make_chunks

_PROGRAMS = Path(__file__).parents[2] / ".pytest_cache" / "d" / "jax"


def _deal(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    if app.parallel > 1:
        text = {name: env.doc2path(name).read_text(encoding="utf-8") for name in docnames}
        docnames.sort(key=lambda name: (-text[name].count("```{code-cell}"), name))
        slices = len(make_chunks(docnames, app.parallel))
        docnames[:] = [name for i in range(slices) for name in docnames[i::slices]]


def setup(app: Sphinx) -> dict[str, bool]:
    """Before the pages are read."""
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_PROGRAMS))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "1e9")
    app.connect("env-before-read-docs", _deal)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
