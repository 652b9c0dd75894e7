"""Open pages that `jaxd2l web` wrote in headless Chromium, draw on them as a person would, and look.

    uv run scripts/look_at_web.py runs/lenet/RUN/draw.html --out looks --readme docs/draw.png

Each page is opened at 400 and 1,400 pixels, light and dark, and a shirt is drawn with the mouse. Messages of the
console, requests beyond the page itself, content wider than the window and a page that gives no answer are printed
and end with exit code 1; the pictures are for your eyes. The time of a forward pass is printed.
"""

import argparse
import sys
from pathlib import Path

from chromium import Browser, Tab, in_every_look, look_at

# a shirt, as shares of the canvas: strokes of a wide brush
STROKES = (
    *(((x, 0.25), (x, 0.9)) for x in (0.36, 0.42, 0.48, 0.54, 0.6, 0.64)),
    ((0.36, 0.2), (0.14, 0.42)),
    ((0.36, 0.26), (0.16, 0.5)),
    ((0.64, 0.2), (0.86, 0.42)),
    ((0.64, 0.26), (0.84, 0.5)),
    ((0.36, 0.2), (0.44, 0.22)),
    ((0.56, 0.22), (0.64, 0.2)),
)


def draw(tab: Tab) -> None:
    """With the mouse, as a person would, and wait for the answer."""
    tab.evaluate("document.getElementById('draw').scrollIntoView({block: 'center'})")
    box = tab.evaluate("document.getElementById('draw').getBoundingClientRect().toJSON()")
    for stroke in STROKES:
        for i, (x, y) in enumerate((stroke[0], *stroke)):
            kind = "mousePressed" if i == 0 else "mouseMoved"
            at = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
            tab.call("Input.dispatchMouseEvent", type=kind, button="left", buttons=1, clickCount=1, **at)
        tab.call("Input.dispatchMouseEvent", type="mouseReleased", button="left", clickCount=1, **at)
    tab.wait_for("!page.busy() && document.querySelectorAll('#answer li').length > 0")


def look(browser: Browser, page: Path, out: Path) -> list[str]:
    """Open one page in every way and keep a picture of each; what is wrong, a line each."""
    tab, problems = Tab(browser), []

    def ready() -> None:
        tab.wait_for("document.readyState === 'complete' && typeof page !== 'undefined' && page.ready()")
        draw(tab)
        tab.evaluate("window.scrollTo(0, 0)")
        browser.wait(0.5)

    for width, scheme in in_every_look(tab, page, out, problems, ready):
        if (width, scheme) == (1400, "light"):
            answers = "[...document.querySelectorAll('#answer li .name')].map((e) => e.innerText.replace('\\n', ' '))"
            print(f"{page}: {', '.join(tab.evaluate(answers))}")
            print(f"{page}: {milliseconds(tab):.1f} ms a forward pass, the median of 9")
    problems += [f"{page}: {text}" for text in tab.said()]
    tab.close()
    return problems


def milliseconds(tab: Tab) -> float:
    """Of a forward pass in this browser, the median of nine."""
    size = "about.form.height * about.form.width * about.form.channels"
    timed: float = tab.evaluate(
        "(() => { const about = JSON.parse(document.getElementById('network').textContent);"
        f"const bytes = new Uint8Array({size}).fill(100), times = [];"
        "for (let i = 0; i < 9; i++) { const began = performance.now(); page.run(bytes);"
        "times.push(performance.now() - began); } return times.sort((a, b) => a - b)[4]; })()"
    )
    return timed


def main() -> int:
    """Look at every page; 1 where something is wrong, 2 where there is no browser."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", type=Path, nargs="+", metavar="HTML")
    parser.add_argument("--out", type=Path, default=Path("looks"), metavar="DIR", help="where the pictures go")
    parser.add_argument("--readme", type=Path, metavar="PNG", help="the picture of the first page for the README")
    args = parser.parse_args()
    status = look_at(args.pages, args.out, look)
    if args.readme and status != 2:
        first = args.pages[0]
        args.readme.write_bytes((args.out / f"{first.parent.name}-{first.stem}-1400-light.png").read_bytes())
    return status


if __name__ == "__main__":
    sys.exit(main())
