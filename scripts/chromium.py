"""Headless Chromium as a reader of pages; it is spoken to through its debugging pipe, which needs no package."""

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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

WIDTHS, SCHEMES = (400, 1400), ("light", "dark")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def installed() -> str | None:
    """The program, None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def look_at(pages: Sequence[Path], out: Path, look: Callable[["Browser", Path, Path], list[str]]) -> int:
    """Look at pages, pictures go to `out`; 1 where `look` finds something wrong, 2 where there is no browser."""
    program = installed()
    if program is None:
        print(f"none of {', '.join(NAMES)} is installed (Debian: apt install chromium)", file=sys.stderr)
        return 2
    out.mkdir(parents=True, exist_ok=True)
    browser = Browser(program)
    try:
        problems = [problem for page in pages for problem in look(browser, page, out)]
    finally:
        browser.close()
    print("\n".join(problems) or f"{len(pages)} pages: nothing fetched, nothing said, nothing wider than the window")
    return 1 if problems else 0


def in_every_look(
    tab: "Tab", page: Path, out: Path, problems: list[str], ready: Callable[[], None]
) -> Iterator[tuple[int, str]]:
    """Open a page at each width in each light, wait until it is `ready` and keep a picture; then (width, scheme)."""
    for width, scheme in itertools.product(WIDTHS, SCHEMES):
        tab.looks(width, scheme)
        tab.open(page)
        ready()
        if wrong := tab.wider_than_its_window(width):
            problems.append(f"{page}: {wrong}")
        (out / f"{page.parent.name}-{page.stem}-{width}-{scheme}.png").write_bytes(tab.picture())
        yield width, scheme


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


class Tab:
    """One page, opened from a file."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command to this page."""
        return self.browser.call(method, self.session, **parameters)

    def looks(self, width: int, scheme: str) -> None:
        """As wide as that, "light" or "dark"."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def open(self, page: Path) -> None:
        """Go there; what it asks for and says is kept from here on."""
        self.address = page.resolve().as_uri()
        self.call("Page.navigate", url=self.address)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page, a promise's once it is kept.

        Raises:
            RuntimeError: it throws.
        """
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(f"{expression[:80]}: {json.dumps(found['exceptionDetails'])[:300]}")
        return found["result"].get("value")

    def wait_for(self, expression: str, seconds: float = 60) -> None:
        """Wait until an expression is true.

        Raises:
            RuntimeError: it is not, for so long.
        """
        end = time.monotonic() + seconds
        while not self.evaluate(expression):
            if time.monotonic() > end:
                raise RuntimeError(f"{expression} is not true after {seconds:g} seconds")
            self.browser.wait(0.02)

    def picture(self, width: int = 0, height: int = 0) -> bytes:
        """PNG of the whole page, or of so many pixels from its top left."""
        clip = {"clip": {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}} if height else {}
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, **clip)
        return base64.b64decode(shot["data"])

    def wider_than_its_window(self, width: int) -> str | None:
        """In words, None where all is well."""
        found = self.evaluate("document.documentElement.scrollWidth")
        return None if found is not None and found <= width else f"{found} pixels wide in a window of {width}"

    def said(self) -> list[str]:
        """Messages of the console and requests beyond the page itself, so far."""
        return _said(self.browser.events, self.address)

    def close(self) -> None:
        """Forget it."""
        self.browser.events.clear()
        self.browser.call("Target.closeTarget", targetId=self.target)


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
