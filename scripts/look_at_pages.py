"""Open the built pages in headless Chromium as a reader would, and fail on what only a browser sees.

    uv run --group docs sphinx-build -q docs docs/_build
    uv run scripts/look_at_pages.py docs/_build/index.html docs/_build/learn/*.html --out looks

Each page is opened at 400 and 1,400 pixels, light and dark. Messages of the console, requests that leave the site and
content wider than the window are printed and end with exit code 1; the pictures are for your eyes.
"""

import argparse
import sys
from pathlib import Path

from chromium import Browser, Tab, in_every_look, look_at


def look(browser: Browser, page: Path, out: Path) -> list[str]:
    """Open one page in every way and keep a picture of each; what is wrong, a line each."""
    tab, problems = Tab(browser), []
    list(in_every_look(tab, page, out, problems, lambda: browser.wait(1.0)))
    problems += [f"{page}: {text}" for text in tab.said() if not text.startswith("asks for file://")]
    tab.close()
    return problems


def main() -> int:
    """Look at every page; 1 where something is wrong, 2 where there is no browser."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", type=Path, nargs="+", metavar="HTML")
    parser.add_argument("--out", type=Path, default=Path("looks"), metavar="DIR", help="where the pictures go")
    args = parser.parse_args()
    return look_at(args.pages, args.out, look)


if __name__ == "__main__":
    sys.exit(main())
