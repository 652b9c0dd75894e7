"""Pages are dealt out to the processes that read them: each gets as many cells to run as the others.

Sphinx hands out slices of the sorted names, and most cells are in the pages of one folder.
"""

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.parallel import make_chunks


def _deal(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    if app.parallel > 1:
        text = {name: env.doc2path(name).read_text(encoding="utf-8") for name in docnames}
        docnames.sort(key=lambda name: (-text[name].count("```{code-cell}"), name))
        slices = len(make_chunks(docnames, app.parallel))
        docnames[:] = [name for i in range(slices) for name in docnames[i::slices]]


def setup(app: Sphinx) -> dict[str, bool]:
    """Before the pages are read."""
    app.connect("env-before-read-docs", _deal)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
