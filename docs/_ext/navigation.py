"""What Sphinx makes anew for every page though it is the same: the tree of pages beside it, and the search for a name.

For each tree it copies the headings and objects of all pages, though only their titles are shown; and it compares a
name in single backticks with the end of every other. What comes out is what it would be without this.
"""

from collections import defaultdict
from functools import cache
from posixpath import dirname
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.domains.python import ObjectEntry, PythonDomain
from sphinx.environment import BuildEnvironment

_find = PythonDomain.find_obj
_TREES: dict[str, Any] = {}


@cache
def _titles(env: BuildEnvironment) -> dict[str, nodes.Element]:
    """The contents of every page with nothing below its titles but the pages that it names."""
    contents = {name: whole.deepcopy() for name, whole in env.tocs.items()}
    for top in (top for whole in contents.values() for top in whole.children if len(top) > 1):
        if named := list(top.findall(addnodes.toctree)):
            top[1][:] = named
        else:
            top.pop(1)
    return contents


def _tree(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    whole = context["toctree"]

    def toctree(**options: Any) -> str:
        contents = app.env.tocs
        try:
            if options.get("titles_only"):
                app.env.tocs = _titles(app.env)
            return whole(**options)
        finally:
            app.env.tocs = contents

    context["toctree"] = toctree
    if pagename.startswith("_modules/"):  # once a folder: beside a module's source no page is the open one
        context["toctree"] = _TREES.setdefault(dirname(pagename), cache(toctree))


@cache
def _alike(objects: int, number: int, domain: PythonDomain) -> dict[str, dict[str, ObjectEntry]]:
    """The objects, in their order, by what stands behind the last dot of their names."""
    alike: dict[str, dict[str, ObjectEntry]] = defaultdict(dict)
    for name, entry in domain.objects.items():
        alike[name.rpartition(".")[2]][name] = entry
    return dict(alike)


def _find_among_alike(self: PythonDomain, env: BuildEnvironment, module: str, of: str, name: str, *more: Any) -> Any:
    objects = self.objects
    last = name.removesuffix("()").rpartition(".")[2]
    self.data["objects"] = _alike(id(objects), len(objects), self).get(last, {})
    try:
        return _find(self, env, module, of, name, *more)
    finally:
        self.data["objects"] = objects


def setup(app: Sphinx) -> dict[str, bool]:
    """Before the theme asks for the tree."""
    PythonDomain.find_obj = _find_among_alike
    app.connect("html-page-context", _tree, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
