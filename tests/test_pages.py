"""The pages, read and not built: every claim is shown on one, and what they name is there."""

import ast
import dataclasses
import importlib
import re
from pathlib import Path

import pytest

import jaxd2l
from jaxd2l.claims import ROWS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
MADE = {"_build", "jupyter_execute", ".jupyter_cache", "locale"}  # by a build, which may be going on
PAGES = sorted(p for room in DOCS.iterdir() if room.is_dir() and room.name not in MADE for p in room.rglob("*.md"))
PAGES += sorted(DOCS.glob("*.md"))
LEARN = [path for path in PAGES if path.parent.name == "learn" and path.stem != "index"]
CELL = re.compile(r"^```\{code-cell\} ipython3\n((?::[^\n]*\n)*)(.*?)^```$", re.DOTALL | re.MULTILINE)


def _cells(page):
    return [code for _, code in CELL.findall(page.read_text(encoding="utf-8"))]


def _shown(page):
    """The rows whose claims a page runs: the arguments of `claims.beside`."""
    rows = []
    for code in _cells(page):
        if "beside" in code:
            calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
            rows += [a.value for c in calls if ast.unparse(c.func) == "claims.beside" for a in c.args]
    return rows


def test_every_claim_of_the_notes_is_shown_on_one_page_of_learn():
    shown = [row for page in LEARN for row in _shown(page)]
    assert not set(ROWS) - set(shown), "rows without a page"
    assert not set(shown) - set(ROWS), "rows that there are not"
    assert len(shown) == len(set(shown)), "a row has one page"


def test_the_pages_of_learn_are_in_its_contents_in_an_order_and_can_be_downloaded():
    contents = (DOCS / "learn" / "index.md").read_text(encoding="utf-8")
    parts = re.findall(r"```\{toctree\}\n(?::[^\n]*\n)*\n(.*?)```", contents, re.DOTALL)
    assert sorted(" ".join(parts).split()) == [page.stem for page in LEARN]
    wrong = [
        page.name for page in LEARN if f"{{nb-download}}`{page.stem}.ipynb`" not in page.read_text(encoding="utf-8")
    ]
    assert not wrong


def test_a_page_that_is_named_is_there():
    """By the pages among themselves (`{doc}`), and by everything else as a path below docs/."""
    wrong = []
    for page in PAGES:
        for name in re.findall(r"\{doc\}`(?:[^`<]*<)?([^`>]+)>?`", page.read_text(encoding="utf-8")):
            target = DOCS / name.lstrip("/") if name.startswith("/") else page.parent / name
            if target != DOCS / "reference" / "api" / "index" and not target.with_name(f"{target.name}.md").exists():
                wrong.append(f"{page.relative_to(ROOT)}: {name}")
    others = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "pyproject.toml")]
    others += [path for part in ("jaxd2l", "scripts", "benchmarks", "tests") for path in (ROOT / part).rglob("*.py")]
    for path in others:
        named = re.findall(r"\bdocs/[\w/]+\.(?:md|png)", path.read_text(encoding="utf-8"))
        wrong += [f"{path.relative_to(ROOT)}: {name}" for name in named if not (ROOT / name).exists()]
    assert not wrong


def test_what_pytorchs_names_are_called_here_is_there():
    text = (DOCS / "reference" / "pytorch_names.md").read_text(encoding="utf-8")
    rows = [line.split(" | ", 1)[1] for line in text.splitlines() if line.startswith("| `")]
    missing = []
    for name in re.findall(r"`((?:jaxd2l|jax|numpy|flax)\.[\w.]+)`", " ".join(rows)):
        module, *rest = name.split(".")
        found = importlib.import_module(module)
        for i, part in enumerate(rest):
            if not hasattr(found, part):
                try:
                    importlib.import_module(".".join([module, *rest[: i + 1]]))
                except ImportError:
                    missing.append(name)
                    break
            found = getattr(found, part)
    assert len(rows) > 40
    assert not missing


def test_the_cells_of_every_page_are_python():
    wrong = []
    for page in PAGES:
        for code in _cells(page):
            try:
                ast.parse("" if code.startswith("%%") else code)
            except SyntaxError as error:
                wrong.append(f"{page.relative_to(ROOT)}: {error}")
    assert not wrong


@pytest.mark.slow
def test_the_python_of_the_readme_runs_and_its_ten_lines_are_those_of_the_front_page(tmp_path, monkeypatch):
    shown = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.M)
    assert len(shown) == 2
    assert shown[0] == _cells(DOCS / "index.md")[0]
    small = dataclasses.replace(jaxd2l.find("softmax"), epochs=1)
    monkeypatch.setattr(jaxd2l, "find", {"lenet_relu": small}.get)
    monkeypatch.chdir(tmp_path)
    for code in shown:
        exec(compile(code, "README.md", "exec"), {})
