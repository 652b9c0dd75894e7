"""The API out of the docstrings: a page for every room of the library, written when a build begins.

A page has what the room itself offers, under the name that one imports, and then every module with what only it has:
nothing public is left out. Docstrings are plain text in Google's style, so what reStructuredText would take for markup
is escaped.
"""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from sphinx.application import Sphinx

import jaxd2l

FOLDER = "reference/api"
_CODE = re.compile(r"(`+[^`]*`+)")
_MARKUP = re.compile(r"[*|\\]|(?<=\w)_(?=\W|$)")
_FLAX = re.compile(r"(?:, )?parent: .*?(?=\)$)", re.DOTALL)  # what every Flax module takes besides its fields
_SEVERAL = re.compile(r" {4}(\w+(?:, \w+)+): (.*)")
_BROKEN = re.compile(r"^( {4}\w+(?:, \w+)+,)\n {8}", re.MULTILINE)  # such names over two lines
_NAME = re.compile(r" {4}\w+: ")
_FUNCTION = re.compile(r"<(?:function|class) '?([\w.<>]+?)'?(?: at 0x[0-9a-f]+)?>")


def public(module: ModuleType) -> dict[str, Any]:
    """What a module offers: the names in its `__all__`, else the functions and classes that it defines."""
    names = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__ == module.__name__
    ]
    return {name: getattr(module, name) for name in names}


def rooms() -> list[str]:
    """Every part of the library; what can be typed has a page of its own."""
    typed = {"cli", "commands", "__main__"}
    return sorted({found.name for found in pkgutil.iter_modules(jaxd2l.__path__)} - typed)


def modules(room: str) -> Iterator[ModuleType]:
    """The modules of a room, at any depth, but for the room itself."""
    package = importlib.import_module(f"jaxd2l.{room}")
    for found in pkgutil.walk_packages(getattr(package, "__path__", ()), f"{package.__name__}."):
        yield importlib.import_module(found.name)


def page(room: str) -> str:
    """The page of a room, as reStructuredText."""
    package = importlib.import_module(f"jaxd2l.{room}")
    lines = [f".. _api-{room}:", "", *_title(f"jaxd2l.{room}", "="), f".. automodule:: jaxd2l.{room}", ""]
    offered = public(package) if hasattr(package, "__all__") or not hasattr(package, "__path__") else {}
    shown: list[Any] = []
    for name, value in offered.items():
        shown.append(value)
        if not inspect.ismodule(value):
            lines += _entry(f"jaxd2l.{room}.{name}", value)
    for module in modules(room):
        rest = {name: value for name, value in public(module).items() if not any(value is one for one in shown)}
        shown += rest.values()
        lines += [*_title(module.__name__, "-"), f".. automodule:: {module.__name__}", ""]
        for name, value in rest.items():
            lines += _entry(f"{module.__name__}.{name}", value)
    return "\n".join(lines) + "\n"


def index() -> str:
    """The front page: what `import jaxd2l` gives, and the rooms."""
    front = [
        f"- `jaxd2l.{name} <{place}.{name}>`, of :ref:`{room} <api-{room}>`"
        for name, place in sorted(jaxd2l._PLACE.items())
        for room in [place.split(".")[1]]
    ]
    pages = [f"   {room}" for room in rooms()]
    text = [*_title("API", "="), ".. automodule:: jaxd2l", "   :no-members:", "", *_title("Names", "-"), *front, ""]
    return "\n".join([*text, ".. toctree::", "   :hidden:", "", *pages, ""])


def _title(text: str, line: str) -> list[str]:
    return [text, line * len(text), ""]


def _entry(name: str, value: Any) -> list[str]:
    if inspect.isclass(value):
        elsewhere = value.__module__.startswith("jaxd2l.") and value.__module__.split(".")[1] != name.split(".")[1]
        # a class has one place in the index, that of the room that defines it
        return [f".. autoclass:: {name}", "   :members:", *["   :no-index:"] * elsewhere, ""]
    return [f".. {'autofunction' if inspect.isfunction(value) else 'autodata'}:: {name}", ""]


def escaped(lines: list[str]) -> list[str]:
    """A docstring whose stars, bars and underscores are text, and whose indented blocks are kept as they are."""
    kept: list[str] = []
    inside = False  # an indented block that stands free, such as a table of shapes
    for i, line in enumerate(lines):
        indented = line.startswith("    ")
        if not inside and indented and (i == 0 or not lines[i - 1].strip()) and not _in_section(lines, i):
            kept += ["::", ""]
            inside = True
        inside = inside and (indented or not line.strip())
        several = None if inside else _SEVERAL.match(line)
        if several:  # a description that is shared stands with the last of its names
            *first, _ = names = several[1].split(", ")
            kept += [_as_text(f"    {name}: see {names[-1]}") for name in first]
            line = f"    {names[-1]}: {several[2]}"
        kept.append(line if inside else _as_text(line))
    return kept


def _as_text(line: str) -> str:
    name = _NAME.match(line)  # of an argument, which Google's sections escape by themselves
    start = name.end() if name else 0
    parts = _CODE.split(line[start:])
    return line[:start] + "".join(p if i % 2 else _MARKUP.sub(r"\\\g<0>", p) for i, p in enumerate(parts))


def _in_section(lines: list[str], i: int) -> bool:
    """Whether a line belongs to `Args:` or the like."""
    above = next((line for line in reversed(lines[:i]) if line.strip() and not line.startswith(" ")), "")
    return above.rstrip() in ("Args:", "Returns:", "Raises:", "Attributes:", "Yields:")


def _docstring(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    if isinstance(value, dict):  # whose docstring is that of all dictionaries
        lines.clear()
    lines[:] = escaped(_BROKEN.sub(r"\1 ", "\n".join(lines)).split("\n"))


def _signature(app: Sphinx, what: str, name: str, value: Any, options: Any, signature: str, returned: str) -> Any:
    if signature:
        return _FUNCTION.sub(r"\1", _FLAX.sub("", signature)), returned
    return None


def _skip(app: Sphinx, what: str, name: str, value: Any, skip: bool, options: Any) -> bool | None:
    """Leave out what other libraries made, and fields, which the class's docstring describes."""
    default = what == "class" and inspect.isfunction(value) and "." not in value.__qualname__
    foreign = inspect.isroutine(value) and not str(getattr(value, "__module__", "jaxd2l")).startswith("jaxd2l")
    return True if default or foreign or type(value).__name__ == "_tuplegetter" else None


def _write(app: Sphinx) -> None:
    folder = Path(app.srcdir) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    english = app.config.language == "en"  # no other language has the rooms (`languages.py`)
    pages = {"index": index(), **{room: page(room) for room in rooms() if english}}
    for name, text in pages.items():
        path = folder / f"{name}.rst"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before any is read, and read docstrings as the text that they are."""
    app.connect("builder-inited", _write)
    app.connect("autodoc-process-docstring", _docstring, priority=400)  # before Google's sections are understood
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
