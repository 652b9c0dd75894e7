"""The Chinese pages and README: whole, of today's English passages, with the same code, links, formulas and numbers."""

import csv
import re
from collections import Counter

import pytest
import translations
from babel.messages.pofile import read_po

README, CHINESE = (translations.ROOT / name for name in ("README.md", "README.zh.md"))
ROLE = re.compile(r"(\{[\w:-]+\})`(?:[^`<]*<)?([^`>]+)>?`")
TITLED = re.compile(r"\{[\w:-]+\}`([^`<]*) <[^`>]+>`")
CODE = re.compile(r"`[^`]+`")
FORMULA = re.compile(r"\$[^$]+\$")
TARGET = re.compile(r"\]\(([^)]+)\)")
NUMBER = re.compile(r"(?<![A-Za-z\d])\.?\d+(?:[.,]\d+)*(?:e-?\d+)?")
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
HAN = "[\u4e00-\u9fff]"
COMMA, STOPS, OPEN, CLOSE = "\uff0c", "\u3002\uff1a\uff1b\u3001", "\uff08", "\uff09"
BADLY_SET = re.compile(
    rf"{HAN}[,;:?!.](?:\s|$)|{HAN}[A-Za-z0-9`$]|[A-Za-z0-9`$]{HAN}|{HAN} {HAN}"
    rf"|[{COMMA}{STOPS}{CLOSE}] | [{COMMA}{STOPS}{OPEN}]"
)


@pytest.fixture(scope="module")
def readme():
    """The passages of the README beside those of the Chinese one, but for the line by which each names the other."""
    pairs = [translations.passages(path.read_text(encoding="utf-8")) for path in (README, CHINESE)]
    assert pairs[0][1] == "English | [中文](README.zh.md)"
    assert pairs[1][1] == "[English](README.md) | 中文"
    assert len(pairs[0]) == len(pairs[1])
    return [("README", *pair) for i, pair in enumerate(zip(*pairs, strict=True)) if i != 1]


@pytest.fixture(scope="module")
def translated(readme):
    """Everything that is translated: where it stands, the passage, and the passage in Chinese."""
    pages = [
        (page, m.id, m.string) for page in translations.PAGES for m in translations.messages(translations.read(page))
    ]
    return [*pages, *readme]


def unprosaic(passage):
    """What stands in a passage whatever its language: roles with their targets, code, formulas, links, numbers."""
    found = Counter(ROLE.findall(passage))
    passage = ROLE.sub(" ", passage)
    for kind in (CODE, FORMULA, TARGET, NUMBER):
        found.update(kind.findall(passage))
        passage = kind.sub(" ", passage)
    return found


def prose(passage):
    """A passage without its roles, code, formulas and targets of links."""
    for kind in (ROLE, CODE, FORMULA, TARGET):
        passage = kind.sub(" ", passage)
    return passage


def shown(passage):
    """A passage with the titles of its roles, and a letter for a role that has none."""
    return ROLE.sub("x", TITLED.sub(r"\1", passage))


def test_every_passage_of_today_has_a_translation_and_no_other_has():
    wrong = []
    for page in translations.PAGES:
        passages, known = translations.page_passages(page), translations.messages(translations.read(page))
        ids = [message.id for message in known]
        wrong += [f"{page}: not in the catalogue: {passage}" for passage in passages if passage not in ids]
        wrong += [f"{page}: no longer on the page: {passage}" for passage in ids if passage not in passages]
        wrong += [f"{page}: not translated: {message.id}" for message in known if not message.string.strip()]
        wrong += [f"{page}: has changed, look at it again: {message.id}" for message in known if message.fuzzy]
        assert len(known) > 8
    assert not wrong, "\n".join(["after `uv run python scripts/translations.py`, to translate:", *wrong])


def test_code_links_formulas_and_numbers_are_those_of_the_passage(translated):
    wrong = [
        f"{page}: {passage}\n  without {list((here - there).elements())}, with {list((there - here).elements())}"
        for page, passage, chinese in translated
        if (here := unprosaic(passage)) != (there := unprosaic(chinese))
    ]
    assert not wrong, "\n".join(wrong)


def test_a_term_is_translated_everywhere_by_the_word_of_the_list(translated):
    with (translations.LOCALE / "terms.csv").open(encoding="utf-8", newline="") as file:
        terms = {row["English"]: row["中文"] for row in csv.DictReader(file)}
    assert list(terms) == sorted(terms, key=str.lower)
    ways = [(term, re.compile(rf"(?<![\w-]){re.escape(term)}s?(?![\w-])", re.IGNORECASE)) for term in terms]
    wrong = [
        f"{page}: {term} is {terms[term]}: {passage}\n  {chinese}"
        for page, passage, chinese in translated
        for term, way in ways
        if way.search(prose(passage)) and terms[term].lower() not in chinese.lower()
    ]
    assert not wrong, "\n".join(wrong)


def test_chinese_is_set_with_its_own_signs_and_a_space_beside_latin(translated):
    wrong = []
    for page, _, chinese in translated:
        text = CODE.sub("`x`", FORMULA.sub("$x$", TARGET.sub("]", shown(chinese)))).replace("*", "")
        wrong += [f"{page}: {hit.group()!r} in {chinese}" for hit in BADLY_SET.finditer(text)]
    assert not wrong, "\n".join(wrong)


def test_blocks_of_the_readme_are_the_same_byte_for_byte():
    assert len(FENCE.findall(README.read_text(encoding="utf-8"))) > 4
    blocks, chinese = (FENCE.findall(path.read_bytes().decode()) for path in (README, CHINESE))
    assert blocks == chinese


def test_passages_are_headings_paragraphs_items_cells_and_captions_and_no_code():
    page = """---
file_format: mystnb
---
# Title

Two lines of
a *paragraph*, $x$.

```{code-cell} ipython3
code = 1
```
::::{container} ways
Inside {doc}`x <y>`
::::

- one
- two
  lines

| a | b |
|---|---|
| c | |

```{toctree}
:caption: List
page
```
"""
    expected = ["Title", "Two lines of a *paragraph*, $x$.", "Inside {doc}`x <y>`", "one", "two lines", "a", "b", "c"]
    assert translations.passages(page) == [*expected, "List"]


def test_a_changed_passage_keeps_its_translation_to_be_looked_at_and_a_lost_one_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(translations, "DOCS", tmp_path)
    monkeypatch.setattr(translations, "LOCALE", tmp_path / "locale")
    page = tmp_path / "page.md"

    def now(text):
        page.write_text(text, encoding="utf-8")
        catalogue = translations.update("page")
        translations.write("page", catalogue)
        return {m.id: (m.string, m.fuzzy) for m in translations.messages(translations.read("page"))}

    now("# Title\n\nA share of 6 % of {all}.\n\nGone.")
    catalogue = translations.read("page")
    for passage, chinese in (("Title", "标题"), ("A share of 6 % of {all}.", "占 6 %。"), ("Gone.", "没了。")):
        catalogue[passage].string = chinese
    translations.write("page", catalogue)
    assert now("# Title\n\nA share of 7 % of {all}.\n\nOf another kind entirely, and new") == {
        "Title": ("标题", False),
        "A share of 7 % of {all}.": ("占 6 %。", True),
        "Of another kind entirely, and new": ("", False),
    }
    text = translations.catalogue_path("page").read_text(encoding="utf-8")
    assert '#| msgid "A share of 6 % of {all}."' in text
    assert "没了" not in text
    assert "format" not in text
    assert read_po(text.encode().splitlines(keepends=True)).locale is not None
