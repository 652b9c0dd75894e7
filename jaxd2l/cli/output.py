"""Standard output and error that never stop a command: what cannot be shown is lost, the work is not.

A reader may leave early (`| head -1`), the disk behind a redirection may be full, the descriptor may be closed, the
encoding may lack a letter. None of these is a reason to abandon a run of hours whose results go into files.
"""

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO, cast

_IN_ASCII = str.maketrans({"±": "+/-", "…": "...", "—": "-"})  # others are escaped


class PatientStream:
    """A text stream whose `write` and `flush` do not raise.

    Attributes:
        failure: the first error of writing; None so far. A stream that was closed from the start asks for nothing
            and has none.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.failure: OSError | None = None

    def write(self, text: str) -> int:
        """Write what can be written; the number of characters given."""
        if self._stream is not None and self.failure is None:
            try:
                self._stream.write(_in_encoding(text, getattr(self._stream, "encoding", None) or "utf-8"))
            except (OSError, ValueError) as error:
                self._give_up(error)
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write each."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Pass on what is buffered."""
        if self._stream is not None and self.failure is None:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._give_up(error)

    def isatty(self) -> bool:
        """Whether a person may be watching."""
        try:
            return self._stream is not None and self._stream.isatty()
        except (OSError, ValueError):
            return False

    def fileno(self) -> int:
        """The descriptor.

        Raises:
            OSError: there is none.
        """
        if self._stream is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._stream.fileno()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _give_up(self, error: OSError | ValueError) -> None:
        closed = OSError(errno.EBADF, os.strerror(errno.EBADF))  # Python says ValueError of a closed file
        self.failure = error if isinstance(error, OSError) else closed
        if os.name == "nt" and self.failure.errno == errno.EINVAL:  # what Windows says of a pipe without a reader
            self.failure = BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        with contextlib.suppress(OSError, ValueError):
            if self.fileno() in (1, 2):  # what is still buffered would complain again when the interpreter ends
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self.fileno())
                os.close(nowhere)


@contextlib.contextmanager
def patient_streams() -> Iterator[tuple[PatientStream, PatientStream]]:
    """`sys.stdout` and `sys.stderr` as patient streams while entered."""
    before = sys.stdout, sys.stderr
    patient = PatientStream(before[0]), PatientStream(before[1])
    sys.stdout, sys.stderr = cast(TextIO, patient[0]), cast(TextIO, patient[1])
    try:
        yield patient
    finally:
        for stream in patient:
            stream.flush()
        sys.stdout, sys.stderr = before


def open_descriptors() -> None:
    """Give each closed one of descriptors 0, 1 and 2 to nobody, before a file of a run gets its number.

    What XLA writes to descriptor 2 would end up inside that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number is this one


def _in_encoding(text: str, encoding: str) -> str:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_IN_ASCII).encode(encoding, "backslashreplace").decode(encoding)
    except LookupError:
        return text
    return text


@contextlib.contextmanager
def bar_on_stderr(what: str, total: int | None = None, *, quiet: bool = False) -> Iterator[Callable[..., None]]:
    """A bar for work of one kind, where stderr is a terminal; what goes to a file goes there.

    Yields:
        What moves it: called with `done`, and with `total` where that was not known.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda done, total=None: None
        return
    from rich.console import Console
    from rich.progress import Progress

    console = Console(file=sys.stderr)
    with Progress(console=console, transient=True, redirect_stdout=sys.stdout.isatty()) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done, total=None: bar.update(task, completed=done, total=total)
