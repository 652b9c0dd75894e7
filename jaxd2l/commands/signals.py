"""SIGTERM and Ctrl-C: the first one asks a run to save and stop, a second one ends the process at once.

Python runs signal handlers only between two of its own instructions, and XLA may compile for a minute or
compute a long step in one call. So the C-level wakeup descriptor feeds a thread, which does what cannot wait.
"""

import contextlib
import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_GRACE_SECONDS = 1.0


class Terminated(BaseException):
    """SIGTERM stopped the run; like KeyboardInterrupt, no `except Exception` swallows it."""


class StopSignals:
    """While entered, in the main thread, replaces the handlers of SIGTERM and SIGINT.

    Until `deferred` is set there is nothing to save, so the first signal raises where it finds the program, or
    ends the process after a second inside compiled code. Afterwards it is only recorded in `received`, and
    `ending` tells the training loop.

    Attributes:
        received: the first signal; None so far.
        deferred: whether somebody looks at `received`.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self.deferred = False
        self._before: dict[signal.Signals, Any] = {}
        self._read = self._write = -1
        self._wakeup_before = -1
        self._left = threading.Event()

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self  # handlers are the main thread's
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._before = {s: signal.signal(s, self._handle) for s in _SIGNALS}
        self._wakeup_before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        threading.Thread(target=self._watch, name="stop-signals", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if not self._before:
            return
        self._left.set()
        signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._write)  # ends the thread, which closes the other end

    def ending(self) -> type[BaseException] | None:
        """The exception that the signal received asks for, None before any: `Terminated` or `KeyboardInterrupt`."""
        if self.received is None:
            return None
        return Terminated if self.received == signal.SIGTERM else KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        first = self.received is None
        self.received = self.received or signal.Signals(number)
        if first and not self.deferred:
            raise (self.ending() or KeyboardInterrupt)("before the first update")

    def _watch(self) -> None:
        seen = 0
        with open(self._read, "rb", buffering=0) as wakeups:
            while data := wakeups.read(64):
                for number in (n for n in data if n in _SIGNALS):
                    seen += 1
                    if seen > 1:
                        _exit_now(128 + number)
                    self._stop_unless_handled(signal.Signals(number))

    def _stop_unless_handled(self, number: signal.Signals) -> None:
        """A first signal before there is anything to save need not wait for the compiler."""
        if not self.deferred and not self._left.wait(_GRACE_SECONDS) and self.received is None and not self.deferred:
            with contextlib.suppress(OSError):
                print(f"stopped by {number.name} before the first update", file=sys.stderr, flush=True)
            _exit_now(75 if number == signal.SIGTERM else 130)


def _exit_now(code: int) -> NoReturn:
    if sys.stdout.isatty():
        os.write(sys.stdout.fileno(), b"\x1b[?25h")  # a progress bar may have hidden the cursor
    os._exit(code)
