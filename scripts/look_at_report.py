"""Open pages in headless Chromium as a reader would, and fail on what only a browser sees.

    uv run scripts/look_at_report.py runs/lenet/RUN/report.html --out looks

Each page is opened at 400 and 1,400 pixels, light and dark, and printed. Messages of the console, requests beyond the
page itself and content wider than the window are printed and end with exit code 1; the pictures are for your eyes.
Chromium is spoken to through its debugging pipe (`--remote-debugging-pipe`), which needs no package.
"""

import argparse
import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTHS, SCHEMES = (400, 1400), ("light", "dark")


class Browser:
    """Headless Chromium at the other end of two pipes; messages are JSON, ended by a zero byte."""

    def __init__(self, program: str) -> None:
        self._profile = tempfile.mkdtemp()
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--hide-scrollbars")
        shell = f'exec "$@" 3<&{to_browser} 4>&{from_browser}'
        self._process = subprocess.Popen(
            ["bash", "-c", shell, "bash", program, *flags, f"--user-data-dir={self._profile}", "about:blank"],
            pass_fds=(to_browser, from_browser),
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._numbers, self._buffer = itertools.count(1), b""
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Send one command and wait for its answer; events on the way are kept in `events`.

        Raises:
            RuntimeError: the browser answers with an error, or not within a minute.
        """
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        os.write(self._write, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + 60
        while time.monotonic() < end:
            for answer in self._messages(end):
                if answer.get("id") == number:
                    if "error" in answer:
                        raise RuntimeError(f"{method}: {answer['error']}")
                    result: dict[str, Any] = answer["result"]
                    return result
        raise RuntimeError(f"{method}: no answer within a minute")

    def wait(self, seconds: float) -> None:
        """Collect events for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._messages(end)

    def _messages(self, end: float) -> list[dict[str, Any]]:
        ready, _, _ = select.select([self._read], [], [], max(0.0, end - time.monotonic()))
        if ready:
            self._buffer += os.read(self._read, 1 << 20)
        *whole, self._buffer = self._buffer.split(b"\0")
        messages = [json.loads(text) for text in whole]
        self.events += [message for message in messages if "method" in message]
        return messages

    def close(self) -> None:
        """End the browser and remove its profile."""
        self._process.terminate()
        self._process.wait(20)
        shutil.rmtree(self._profile, ignore_errors=True)


def look(browser: Browser, page: Path, out: Path) -> list[str]:
    """Open one page in every way and keep a picture of each; what is wrong, a line each."""
    address, problems = page.resolve().as_uri(), []
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Runtime", "Log", "Network"):
        browser.call(f"{domain}.enable", session)
    for width, scheme in itertools.product(WIDTHS, SCHEMES):
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.call("Emulation.setEmulatedMedia", session, features=media)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.call("Emulation.setDeviceMetricsOverride", session, **size)
        browser.call("Page.navigate", session, url=address)
        browser.wait(1.0)
        wide = "document.documentElement.scrollWidth"
        found = browser.call("Runtime.evaluate", session, expression=wide)["result"].get("value")
        if found is None or found > width:
            problems.append(f"{page}: {found} pixels wide in a window of {width}")
        shot = browser.call("Page.captureScreenshot", session, format="png", captureBeyondViewport=True)
        (out / f"{page.parent.name}-{page.stem}-{width}-{scheme}.png").write_bytes(base64.b64decode(shot["data"]))
    browser.call("Emulation.setEmulatedMedia", session, features=[])
    printed = browser.call("Page.printToPDF", session, printBackground=True)
    (out / f"{page.parent.name}-{page.stem}.pdf").write_bytes(base64.b64decode(printed["data"]))
    problems += [f"{page}: {text}" for text in _said(browser.events, address)]
    browser.events.clear()
    browser.call("Target.closeTarget", targetId=target)
    return problems


def _said(events: list[dict[str, Any]], address: str) -> list[str]:
    said = []
    for event in events:
        method, parameters = event["method"], event["params"]
        if method == "Network.requestWillBeSent":
            url = parameters["request"]["url"]
            if url.split("#")[0] != address and not url.startswith("data:"):
                said.append(f"asks for {url}")
        elif method == "Log.entryAdded":
            said.append(f"console: {parameters['entry']['text']}")
        elif method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
            said.append(f"console: {json.dumps(parameters)[:300]}")
    return said


def main() -> int:
    """Look at every page; 1 where something is wrong, 2 where there is no browser."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", type=Path, nargs="+", metavar="HTML")
    parser.add_argument("--out", type=Path, default=Path("looks"), metavar="DIR", help="where the pictures go")
    args = parser.parse_args()
    program = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if program is None:
        print(f"none of {', '.join(BROWSERS)} is installed (Debian: apt install chromium)", file=sys.stderr)
        return 2
    args.out.mkdir(parents=True, exist_ok=True)
    browser = Browser(program)
    try:
        problems = [problem for page in args.pages for problem in look(browser, page, args.out)]
    finally:
        browser.close()
    print(
        "\n".join(problems) or f"{len(args.pages)} pages: nothing fetched, nothing said, nothing wider than the window"
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
