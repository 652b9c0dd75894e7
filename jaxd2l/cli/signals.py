"""SIGTERM and Ctrl-C: the first one asks a run to save and stop, a second one ends the process at once.

On Windows, which sends no SIGTERM, Ctrl-Break stands for it.

Python runs signal handlers only between two of its own instructions, and XLA may compile for a minute or
compute a long step in one call. So the C-level wakeup descriptor feeds a thread, which does what cannot wait. It is a
socket, since Windows may take the number of a pipe's descriptor for that of a socket.

A handler's exception may also be lost on its way: it is raised wherever the program happens to be, and a weak
reference's callback (importing and tracing have many) or an `except` of a library may swallow it or turn it into
another error. So a process of ours ends in the handler itself, `at_once`: until `deferred` there is nothing to save,
and files are written whole or not at all. A program that called us, a notebook say, has to live on: there the exception
is raised, the thread ends a process that has not left by itself, and `told_to_stop` says what a later error was.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
from types import FrameType, TracebackType
from typing import Any, ClassVar, NoReturn

from jaxd2l.cli.exit_code import ExitCode

# SIGBREAK is Ctrl-Break on Windows, and what a console sends when it is closed or the user logs off
STOPPING = (signal.SIGTERM, signal.SIGINT, *(getattr(signal, name) for name in ("SIGBREAK",) if hasattr(signal, name)))
_GRACE_SECONDS = 1.0
_LAST_WORDS_SECONDS = 10.0  # for a main thread that is on its way out already, on a machine under load


class Terminated(BaseException):
    """SIGTERM or Ctrl-Break stopped the run; like KeyboardInterrupt, no `except Exception` swallows it."""


class StopSignals:
    """While entered, in the main thread, replaces the handlers of the signals in `STOPPING`.

    Until `deferred` is set there is nothing to save, so the first signal ends the process (`at_once`), or raises where
    it finds the program; inside compiled code it ends the process after a second. Afterwards it is only recorded in
    `received`, and `ending` tells the training loop. Entered a second time, the first one stays and is what `with`
    gives.

    Attributes:
        received: the first signal; None so far.
        deferred: whether somebody looks at `received`.
        where: said to the user when a signal ends the process; "" says nothing.
        told_to_stop: whether a handler raised; what comes out of the program then is due to it.
        descriptor: where that is said: stderr, unless somebody put it elsewhere.
    """

    descriptor: ClassVar[int] = 2
    _entered: ClassVar["StopSignals | None"] = None

    def __init__(self, where: str = "before the first update", *, at_once: bool = False) -> None:
        self._at_once = at_once
        self.received: signal.Signals | None = None
        self.deferred = False
        self.where = where
        self.told_to_stop = False
        self._before: dict[signal.Signals, Any] = {}
        self._read: socket.socket | None = None
        self._write: socket.socket | None = None
        self._wakeup_before = -1
        self._left = threading.Event()
        self._last_words = threading.Lock()
        self._code: int | None = None

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is not threading.main_thread():
            return self  # handlers are the main thread's
        if StopSignals._entered is not None:
            return StopSignals._entered
        self._read, self._write = socket.socketpair()
        self._write.setblocking(False)
        StopSignals._entered = self
        threading.Thread(target=self._watch, args=[self._read], name="stop-signals", daemon=True).start()
        self._wakeup_before = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        try:
            for number in STOPPING:
                self._before[number] = signal.signal(number, self._handle)
        except (Terminated, KeyboardInterrupt) as error:  # a signal between these lines
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Give the handlers back; a stop that nobody caught ends the process with its own code.

        Raises:
            SystemExit: with 75 or 130, in place of a `Terminated` or `KeyboardInterrupt` of ours.
        """
        if StopSignals._entered is not self:
            return
        self._left.set()
        signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        StopSignals._entered = None
        if self._write is not None:
            self._write.close()  # ends the thread, which closes the other end
        if self.told_to_stop and isinstance(error, Terminated | KeyboardInterrupt):
            self.say_last_words()
            raise SystemExit(self.code()) from None

    def ending(self) -> type[BaseException] | None:
        """The exception that the signal received asks for, None before any: `Terminated` or `KeyboardInterrupt`."""
        if self.received is None:
            return None
        return KeyboardInterrupt if self.received == signal.SIGINT else Terminated

    def code(self) -> int:
        """The exit code that the signal received asks for: 75 or 130."""
        return ExitCode.INTERRUPTED if self.received == signal.SIGINT else ExitCode.RETRY

    def claim_last_words(self) -> bool:
        """Whether the caller is the first to ask, and so the one to tell the user why the process ends."""
        return self._last_words.acquire(blocking=False)

    def finish(self, code: int) -> None:
        """The work is done: from now on a signal only makes the process end sooner, with this code."""
        self._code = code
        self._left.set()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._code is not None:
            exit_at_once(self._code)
        first = self.received is None
        self.received = self.received or signal.Signals(number)
        if first and not self.deferred:
            if self._at_once:
                self.say_last_words()
                exit_at_once(self.code())
            self.told_to_stop = True
            raise (self.ending() or KeyboardInterrupt)(self.where)

    def _watch(self, wakeups: socket.socket) -> None:
        seen = 0
        with wakeups:
            while data := wakeups.recv(64):
                for number in (n for n in data if n in STOPPING):
                    seen += 1
                    if self._code is not None:
                        exit_at_once(self._code)
                    if seen > 1:
                        exit_at_once(128 + number)
                    self._stop_unless_handled(signal.Signals(number))

    def _stop_unless_handled(self, number: signal.Signals) -> None:
        """A first signal before there is anything to save waits neither for the compiler nor for a lost exception."""
        if self.deferred or self._left.wait(_GRACE_SECONDS) or self.deferred:
            return
        self.received = self.received or number
        if not self.say_last_words():
            self._left.wait(_LAST_WORDS_SECONDS)  # the main thread is telling
        exit_at_once(self.code() if self._code is None else self._code)

    def say_last_words(self) -> bool:
        """Say on stderr that a signal ends the process, unless somebody has; whether it was said here."""
        if not self.claim_last_words():
            return False
        name = "a signal" if self.received is None else self.received.name
        said = f"jaxd2l: stopped by {name}{self.where and f'; {self.where}'}\n"
        with contextlib.suppress(OSError, ValueError, AttributeError):
            os.write(self.descriptor, said.encode(errors="backslashreplace"))
        return True


def exit_at_once(code: int) -> NoReturn:
    """End the process here and now, with the cursor shown that a progress bar may have hidden."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # there may be none
            if stream.isatty():
                os.write(stream.fileno(), b"\x1b[?25h")
    os._exit(code)


def _leave_to_the_parent() -> None:
    """A forked child shares the socket: its signals are not those of the process that reads it."""
    if StopSignals._entered is not None:
        signal.set_wakeup_fd(-1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_the_parent)
