"""How pages are read: one at a time by the processes that run their cells, those that take longest first.

Sphinx would hand out slices of the sorted names, and most cells are in the pages of one folder. What the tests have
compiled (`tests/conftest.py`) the cells need not compile again; they read it and add nothing.
"""

import os
from pathlib import Path

import sphinx.builders
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.parallel import make_chunks

_PROGRAMS = Path(__file__).parents[2] / ".pytest_cache" / "d" / "jax"
_LONGEST = ("understand/cost", "use/cross_validation")  # of few cells; elsewhere their number tells
_cells: dict[str, int] = {}


def _order(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    for name in docnames:
        _cells[name] = env.doc2path(name).read_text(encoding="utf-8").count("```{code-cell}")
    docnames.sort(key=lambda name: (name not in _LONGEST, -_cells[name], name))


def _chunks(docnames: list[str], processes: int) -> list[list[str]]:
    """A page with cells by itself, for whichever process is free; the others as Sphinx cuts them."""
    quick = [name for name in docnames if not _cells.get(name)]
    return [[name] for name in docnames if _cells.get(name)] + make_chunks(quick, processes)


def setup(app: Sphinx) -> dict[str, bool]:
    """Before the pages are read."""
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_PROGRAMS))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "1e9")
    sphinx.builders.make_chunks = _chunks
    app.connect("env-before-read-docs", _order)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
