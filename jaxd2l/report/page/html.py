"""HTML that is escaped by construction: text becomes markup in one place, so no name of a class can become a tag."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from jaxd2l.report.page.style import STYLE

_VOID = frozenset(("meta", "link", "img", "br", "path", "line", "rect", "circle", "polyline"))
_WORDS = '<td class="words"'  # a cell of text: it and the head of its column stand to the left
_RULES = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"  # a browser fetches and runs nothing


class Markup(str):
    """Finished markup; every other string is text and is escaped where it becomes part of one."""

    __slots__ = ()


def element(tag: str, *children: Any, **attributes: Any) -> Markup:
    """One element.

    Args:
        tag: its name.
        children: `Markup` stays as it is, everything else is escaped; None is left out, lists are flattened.
        attributes: escaped; `_` stands for `-` and a last `_` is dropped (`class_`); None and False are left out,
            True is a bare attribute.

    Returns:
        Its markup.
    """
    written = "".join(
        f" {name.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{_text(value)}"')
        for name, value in attributes.items()
        if value is not None and value is not False
    )
    if tag in _VOID and not children:
        return Markup(f"<{tag}{written}/>")
    return Markup(f"<{tag}{written}>{join(children)}</{tag}>")


def join(parts: Iterable[Any]) -> Markup:
    """Parts one after another, escaped where they are no markup."""
    return Markup("".join(_child(part) for part in parts))


def _child(part: Any) -> str:
    if part is None:
        return ""
    if isinstance(part, Markup):
        return str.__str__(part)
    if isinstance(part, list | tuple):
        return join(part)
    return _text(part)


def _text(value: Any) -> str:
    """Escaped, and without what XML forbids: control characters and lone surrogates (names of files may hold them)."""
    text = "".join(c if c in "\t\n" or (c >= " " and not "\ud800" <= c <= "\udfff") else "\ufffd" for c in str(value))
    return escape(text, quote=True)


def paragraph(*children: Any) -> Markup:
    """A paragraph of text."""
    return element("p", *children)


def note(*children: Any) -> Markup:
    """A paragraph that says what is missing, or what to know before reading on."""
    return element("p", *children, class_="note")


def section(name: str, title: Any, *children: Any) -> Markup:
    """A part of the page under a heading of the second order; `name` is its anchor, unique in the page."""
    return element("section", element("h2", title, id=name), *children, aria_labelledby=name)


def table(caption: str, header: Sequence[Any], rows: Iterable[Sequence[Any]], *, class_: str | None = None) -> Markup:
    """A table whose first column heads its rows; it scrolls by itself where it is wider than the page.

    Args:
        caption: what it shows, above it and for screen readers.
        header: of each column.
        rows: cells; a cell may be an `element("td", ...)` of its own.
        class_: of the table, for its looks.

    Returns:
        The table in a region that the keyboard can scroll.
    """
    rows = list(rows)
    words = {i for row in rows[:1] for i, cell in enumerate(row) if str(cell).startswith(_WORDS) and _is_cell(cell)}
    columns = [
        element("th", cell, scope="col", class_="words" if i in words else None) for i, cell in enumerate(header)
    ]
    head = element("thead", element("tr", columns))
    body = [
        element("tr", element("th", row[0], scope="row"), [_cell(cell) for cell in row[1:]]) for row in rows if len(row)
    ]
    whole = element("table", element("caption", element("span", caption)), head, element("tbody", body), class_=class_)
    return element("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)


def _cell(cell: Any) -> Markup:
    return cell if _is_cell(cell) else element("td", cell)


def _is_cell(cell: Any) -> bool:
    return isinstance(cell, Markup) and cell.startswith("<td")


def figure(content: Markup, caption: Any, **attributes: Any) -> Markup:
    """A picture or chart and what it shows."""
    return element("figure", content, element("figcaption", caption), **attributes)


def document(title: str, lead: Any, sections: Sequence[tuple[str, str, Sequence[Any]]]) -> str:
    """A whole page: heading, lead, contents, sections.

    Args:
        title: of the page and its first heading.
        lead: what to know first.
        sections: `(anchor, heading, content)`; those without content are left out.

    Returns:
        HTML that needs nothing but itself.
    """
    shown = [(name, heading, content) for name, heading, content in sections if content]
    links = [element("li", element("a", heading, href=f"#{name}")) for name, heading, _ in shown]
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_RULES),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("link", rel="icon", href="data:,"),
        element("title", title),
        element("style", Markup(STYLE)),
    )
    body = element(
        "body",
        element("a", "Skip to the content", href="#content", class_="skip"),
        element("header", element("h1", title), lead),
        element("nav", element("ul", links), aria_label="Contents") if len(shown) > 1 else None,
        element("main", [section(*part[:2], *part[2]) for part in shown], id="content", tabindex="-1"),
        element("footer", paragraph("Written by jaxd2l. This file needs no other and no network.")),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"
