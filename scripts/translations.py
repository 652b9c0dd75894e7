"""The catalogues of the Chinese pages, brought up to date: `uv run python scripts/translations.py`.

Every passage of a page (heading, paragraph, item, cell of a table, caption of a list of contents) is a message of its
catalogue, in the order of the page. What is new stands in it without a translation; what has changed keeps the old one,
marked `fuzzy`, with the passage that it was made for, until a translator has looked at it; what is gone is left out.
"""

import argparse
import re
import sys
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po, write_po
from markdown_it import MarkdownIt

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
LOCALE = DOCS / "locale" / "zh_CN"
PAGES = ("index", *sorted(f"learn/{path.stem}" for path in (DOCS / "learn").glob("*.md")))
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_CONTAINER = re.compile(r"^:{3,}.*$", re.MULTILINE)  # what is inside of it are passages like all others
_CAPTION = re.compile(r"^:caption: (.*)$", re.MULTILINE)
_HEADER = """\
# The page of this name in Chinese; CONTRIBUTING.md says how it is kept.
msgid ""
msgstr ""
"Language: zh_CN\\n"
"Content-Type: text/plain; charset=utf-8\\n"

"""


def passages(text: str) -> list[str]:
    """What is to be translated of a page of Markdown, in its order, as Sphinx names it in a catalogue."""
    found = []
    for token in MarkdownIt("commonmark").enable("table").parse(_CONTAINER.sub("", _FRONT_MATTER.sub("", text))):
        if token.type == "inline":
            found.append(token.content.replace("\n", " ").strip())
        elif token.type == "fence" and token.info.strip() == "{toctree}":
            found += _CAPTION.findall(token.content)
    return [passage for passage in found if passage]


def catalogue_path(page: str) -> Path:
    """Where the catalogue of a page lies."""
    return LOCALE / "LC_MESSAGES" / f"{page}.po"


def page_passages(page: str) -> list[str]:
    """The passages of a page as it is now, each once."""
    return list(dict.fromkeys(passages((DOCS / f"{page}.md").read_text(encoding="utf-8"))))


def read(page: str) -> Catalog:
    """The catalogue of a page; an empty one if there is none yet."""
    path = catalogue_path(page)
    if not path.exists():
        return Catalog(locale="zh_CN", fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale="zh_CN")


def messages(catalogue: Catalog) -> list[Message]:
    """The messages of a catalogue, in its order, without its header."""
    return [message for message in catalogue if message.id]


def write(page: str, catalogue: Catalog) -> None:
    """Write the catalogue of a page, with nothing in it that changes from one time to the next."""
    for message in messages(catalogue):
        message.flags &= {"fuzzy"}  # what looks like a format of Python is none
    path = catalogue_path(page)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(_HEADER.encode())
        write_po(file, catalogue, width=120, omit_header=True, ignore_obsolete=True, include_previous=True)


def update(page: str) -> Catalog:
    """The catalogue of a page with the passages that the page has now."""
    catalogue, template = read(page), Catalog(fuzzy=False)
    for passage in page_passages(page):
        template.add(passage)
    catalogue.update(template, update_creation_date=False)
    return catalogue


def main() -> int:
    """Update every catalogue and say what a translator has to do."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    for page in PAGES:
        catalogue = update(page)
        write(page, catalogue)
        left = [message for message in messages(catalogue) if not message.string or message.fuzzy]
        print(f"{page}: {len(left) or 'nothing'} to translate")
        for message in left:
            print(f"  {'changed' if message.fuzzy else 'new'}: {message.id[:100]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
