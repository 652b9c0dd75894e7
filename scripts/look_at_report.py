"""Open pages in headless Chromium as a reader would, and fail on what only a browser sees.

    uv run scripts/look_at_report.py runs/lenet/RUN/report.html --out looks
    uv run scripts/look_at_report.py runs/lenet/RUN/report.html --out looks --top 930  # the README's picture

Each page is opened at 400 and 1,400 pixels, light and dark, and printed. Messages of the console, requests beyond the
page itself and content wider than the window are printed and end with exit code 1; the pictures are for your eyes.
"""

import argparse
import base64
import functools
import sys
from pathlib import Path

from chromium import WIDTHS, Browser, Tab, in_every_look, look_at


def look(browser: Browser, page: Path, out: Path, top: int = 0) -> list[str]:
    """Open one page in every way and keep pictures, top.png of its first pixels; what is wrong, a line each."""
    tab, problems = Tab(browser), []
    for width, scheme in in_every_look(tab, page, out, problems, lambda: browser.wait(1.0)):
        if top and (width, scheme) == (max(WIDTHS), "light"):
            (out / "top.png").write_bytes(tab.picture(width, top))
    tab.call("Emulation.setEmulatedMedia", features=[])
    printed = tab.call("Page.printToPDF", printBackground=True)
    (out / f"{page.parent.name}-{page.stem}.pdf").write_bytes(base64.b64decode(printed["data"]))
    problems += [f"{page}: {text}" for text in tab.said()]
    tab.close()
    return problems


def main() -> int:
    """Look at every page; 1 where something is wrong, 2 where there is no browser."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", type=Path, nargs="+", metavar="HTML")
    parser.add_argument("--out", type=Path, default=Path("looks"), metavar="DIR", help="where the pictures go")
    parser.add_argument("--top", type=int, default=0, metavar="PIXELS", help="keep top.png, so much of the last page")
    args = parser.parse_args()
    return look_at(args.pages, args.out, functools.partial(look, top=args.top))


if __name__ == "__main__":
    sys.exit(main())
