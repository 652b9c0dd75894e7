"""Two sites from one set of pages: in English, and in Chinese by the catalogues in `locale`, each linked to the other.

Nothing is run twice: the English build runs every cell and keeps what came out in `.jupyter_cache`, from where the
Chinese build takes it. Code, figures and printed numbers are therefore the same; only the words differ, also in the
notebooks that are offered for download. The API and the sources behind it have no words of ours outside docstrings:
there is one of each, and the Chinese site links to it.
"""

import gettext
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import api_pages
import nbformat
from docutils import nodes
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from markdown_it import MarkdownIt
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.search.en import SearchEnglish
from sphinx.util import logging
from sphinx.util.nodes import extract_messages

CHINESE = "zh_CN"
FOLDER = "zh"  # of the Chinese site, inside the English one
_KEPT = ".jupyter_cache"
_API = "API 由源代码中的文档字符串生成。它只有英文。要按名称查找时请用英文页面的搜索。"
_PARTS = re.compile(r"[\u4e00-\u9fff]+|[a-zA-Z0-9_]+")
_LOGGER = logging.getLogger(__name__)


class SearchPairs(SearchEnglish):
    """Chinese is searched by pairs of characters, since it has no spaces; what is Latin in it as English."""

    lang = "zh"
    language_name = "Chinese"
    js_splitter_code = r"""
function splitQuery(query) {
  const pairs = (part) => Array.from({ length: part.length - 1 }, (_, i) => part.slice(i, i + 2));
  const parts = query.match(/[\u4e00-\u9fff]+|[a-zA-Z0-9_]+/g) || [];
  return parts.flatMap((part) => (part.length == 1 || part.match(/^\w/) ? [part] : pairs(part)));
}
"""

    def split(self, text: str) -> list[str]:
        """The words and pairs of a text."""
        words = []
        for part in _PARTS.findall(text):
            latin = part.isascii() or len(part) == 1
            words += [part] if latin else [part[i : i + 2] for i in range(len(part) - 1)]
        return words


def _configure(app: Sphinx, config: Config) -> None:
    config.nb_execution_cache_path = str(Path(app.srcdir) / _KEPT)
    if config.language == CHINESE:
        config.nb_execution_mode = "cache"
        config.exclude_patterns += [f"{api_pages.FOLDER}/{room}.rst" for room in api_pages.rooms()]
        config.nb_code_prompt_show, config.nb_code_prompt_hide = "显示代码", "隐藏代码"


def _api(app: Sphinx, page: str, source: list[str]) -> None:
    """The front page of the API in Chinese: where each room stands in English."""
    if app.config.language == CHINESE and page == f"{api_pages.FOLDER}/index":
        up = "../" * (page.count("/") + 1)
        names = [("jaxd2l", "index"), *((f"jaxd2l.{room}", room) for room in api_pages.rooms())]
        links = [f"- `{name} <{up}{app.builder.get_target_uri(f'{api_pages.FOLDER}/{to}')}>`__" for name, to in names]
        source[0] = "\n".join(["API", "===", "", _API, "", *links, ""])


def _untranslated(app: Sphinx, tree: nodes.document) -> None:
    """Warn of every passage of a page with a catalogue that the catalogue does not have."""
    if app.config.language != CHINESE or not _translated(app, app.env.current_document.docname):
        return
    for node, passage in extract_messages(tree):
        if isinstance(node, nodes.TextElement) and not node.get("translated") and not _of_a_cell(node):
            _LOGGER.warning("no translation of %r", passage, location=node)


def in_other_words(text: str, words: Callable[[str], str]) -> str:
    """A cell of Markdown with its passages as `words` gives them."""
    lines = text.splitlines()
    for token in reversed(MarkdownIt("commonmark").enable("table").parse(text)):
        if token.type == "inline":
            start, end = token.map
            first, *more = token.content.split("\n")
            passage = words(" ".join([first, *more]).strip())
            lines[start:end] = [lines[start].replace(first, passage, 1)]
    return "\n".join(lines)


def _notebooks(app: Sphinx, env: BuildEnvironment) -> Iterable[str]:
    """Finish the notebooks that pages offer: in English keep what was run, in Chinese take it and put the words in."""
    kept = get_cache(app.config.nb_execution_cache_path)
    for page in env.found_docs:
        path = Path(env.mystnb_config.output_folder) / f"{page}.ipynb"
        if not path.exists():
            continue
        notebook = nbformat.read(path, nbformat.NO_CONVERT)
        if app.config.language == CHINESE:
            with suppress(KeyError):  # of an earlier build, and whole
                _, notebook = kept.merge_match_into_notebook(notebook)
            _translate(app, page, notebook)
        else:
            for cell in notebook.cells:
                _once(cell)
            bundle = CacheBundleIn(notebook, str(env.doc2path(page)))
            kept.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
        nbformat.write(notebook, path)
    return []


def _once(cell: nbformat.NotebookNode) -> None:
    """Leave out what is there twice: MyST-NB appends all text of a stream to its first output and keeps the others."""
    seen: set[str] = set()
    for output in list(cell.get("outputs", [])):
        if output.output_type == "stream":
            if output.name in seen:
                cell.outputs.remove(output)
            seen.add(output.name)


def _translate(app: Sphinx, page: str, notebook: nbformat.NotebookNode) -> None:
    if _translated(app, page):
        words = gettext.translation(page, Path(app.srcdir) / "locale", [CHINESE]).gettext
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = in_other_words(cell.source, words)


def _of_a_cell(node: nodes.Element | None) -> bool:
    while node is not None and "cell" not in node.get("classes", ()):
        node = node.parent
    return node is not None


def _translated(app: Sphinx, page: str) -> bool:
    return (Path(app.srcdir) / "locale" / CHINESE / "LC_MESSAGES" / f"{page}.po").exists()


def _link(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: nodes.document | None) -> None:
    """Give a page the address of its other language."""
    if app.config.language == CHINESE:
        up = "../" * (page.count("/") + 1)
        context["other_language"] = "en", "English", up + app.builder.get_target_uri(page)
    elif _translated(app, page):
        context["other_language"] = "zh-CN", "中文", app.builder.get_relative_uri(page, f"{FOLDER}/{page}")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the two."""
    app.add_search_language(SearchPairs)
    app.connect("config-inited", _configure)
    app.connect("source-read", _api)
    app.connect("doctree-read", _untranslated)
    app.connect("env-updated", _notebooks)
    app.connect("html-page-context", _link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
