"""The tree of pages beside a module's source is made once a folder, not once a page: it names no page as the open one.

Sphinx copies every entry of every page for each tree, and there are as many modules as takes half of the build.
"""

from functools import cache
from posixpath import dirname
from typing import Any

from sphinx.application import Sphinx


def _once_a_folder(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    if pagename.startswith("_modules/"):
        toctree = context["toctree"]
        context["toctree"] = _TREES.setdefault(dirname(pagename), cache(lambda **options: toctree(**options)))


_TREES: dict[str, Any] = {}


def setup(app: Sphinx) -> dict[str, bool]:
    """Before the theme asks for the tree."""
    app.connect("html-page-context", _once_a_folder, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
