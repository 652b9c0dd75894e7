"""What every page of ours must be, read by a parser: complete in itself, in order, and without a name as markup."""

import itertools
import re
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br"}
FOREIGN = re.compile(r"(?:https?:)?//|@import|url\(", re.IGNORECASE)


class Page(HTMLParser):
    """The tags of a page in order, with what breaks the law in `wrong`."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.open, self.wrong, self.words = [], [], [], []
        self.feed(text)
        self.close()
        self.wrong += [f"<{tag}> is never closed" for tag in self.open]

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> closes nothing")

    def handle_data(self, data):
        if not (self.open and self.open[-1] == "style"):
            self.words.append(data)
        elif FOREIGN.search(data):
            self.wrong.append("a style that fetches")

    @property
    def text(self):
        return "".join(self.words)

    def named(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def broken(text):
    """Everything in which a page breaks the law, in words."""
    page = Page(text)
    wrong = list(page.wrong)
    ids = [a["id"] for _, a in page.tags if "id" in a]
    wrong += [f"id {name} stands {ids.count(name)} times" for name in set(ids) if ids.count(name) > 1]
    wrong += [f"<{tag}>" for tag, _ in page.tags if tag in {"script", "iframe", "object", "embed", "form", "base"}]
    for tag, attributes in page.tags:
        wrong += [f"<{tag} {name}>" for name in attributes if name.startswith("on")]
        for name in ("src", "href", "srcset", "xlink:href", "action"):
            value = attributes.get(name)
            if value is not None and not value.startswith(("#", "data:image/png;base64,")) and value != "data:,":
                wrong.append(f"<{tag} {name}={value[:40]}> leads out of the page")
        if FOREIGN.search(attributes.get("style", "")):
            wrong.append(f"<{tag}> has a style that fetches")
        if attributes.get("href", "").startswith("#") and attributes["href"][1:] not in ids:
            wrong.append(f"{attributes['href']} leads nowhere")
    wrong += [f"img without alt: {a}" for a in page.named("img") if not a.get("alt")]
    wrong += ["svg without a name" for a in page.named("svg") if a.get("role") != "img" or not a.get("aria-label")]
    wrong += ["th without scope" for a in page.named("th") if a.get("scope") not in {"row", "col"}]
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    if levels[:1] != [1] or levels.count(1) != 1:
        wrong.append(f"headings begin {levels[:3]}, expected one h1 first")
    wrong += [f"h{b} after h{a}" for a, b in itertools.pairwise(levels) if b > a + 1]
    if page.named("html")[0].get("lang") is None or not page.named("title"):
        wrong.append("no language or no title")
    wrong += [f"{word} is shown" for word in ("nan", "None", "Traceback") if re.search(rf"\b{word}\b", page.text)]
    return wrong
