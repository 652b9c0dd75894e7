"""The other processes of a run: one that dies, or leaves with an error, ends all in time, and each says which it was.

JAX's coordination service finds a process that stopped answering, and its client in every other process writes a page
of C++ to descriptor 2 and aborts. So descriptor 2 is a file while the processes are together, Python's own stderr goes
where it went, and the signal of the abort is answered by one line that says who it was. A process that leaves for a
reason of its own leaves a note in the service's store, which the others look at.
"""

import contextlib
import ctypes
import os
import re
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self, TextIO, cast

import jax
from jax.experimental import multihost_utils

from jaxd2l.cli.exit_code import ExitCode
from jaxd2l.cli.explain import explain, raised_here
from jaxd2l.cli.output import PatientStream
from jaxd2l.cli.signals import StopSignals, exit_at_once

HEARTBEAT_SECONDS = 12  # without a sign of life, after which a process counts as dead
_LOOK_SECONDS = 0.5
_GRACE_SECONDS = 2.0  # for processes that leave for the same reason at about the same time
_HOSTS, _NOTES = "jaxd2l/host/", "jaxd2l/left/"


class Peers:
    """While entered, this process is one of several.

    Leaving it without an error waits for the first process, which has the report to write. With one it ends the
    process: what JAX does at the end of the interpreter would wait for all others.
    """

    def __init__(self, command: str, initialize: Callable[[], None]) -> None:
        """Prepare for a command's processes, which `initialize` makes known to each other."""
        self._command, self._initialize = command, initialize
        self._client: Any = None
        self._hosts: dict[int, str] = {}
        self._leaving = threading.Event()
        self._me = self._all = 0
        self._code: int = ExitCode.DONE

    def __enter__(self) -> Self:
        from jax._src import distributed

        self._take_descriptors()
        try:
            self._initialize()
        except BaseException:
            self._give_descriptors_back()
            raise
        self._client = distributed.global_state.client
        self._me, self._all = jax.process_index(), jax.process_count()
        with self._aside(1):  # gloo says there that it is connected
            multihost_utils.sync_global_devices("all are here")
        self._client.key_value_set(f"{_HOSTS}{self._me}", socket.gethostname())
        threading.Thread(target=self._watch, name="peers", daemon=True).start()
        return self

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self._me == 0

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            if not self.first:
                while "0" not in self._read(_NOTES):
                    time.sleep(_LOOK_SECONDS)
            self._leaving.set()
            self._note(ExitCode.DONE, "")
            jax.distributed.shutdown()
            self._give_descriptors_back()
            return
        if _may_be_of_another(error):  # soon one of the threads knows whose it is, and ends the process
            time.sleep(2 * HEARTBEAT_SECONDS)
        self._code, message = explain(error)
        self._leaving.set()
        self._note(self._code, message)
        notes, until = self._read(_NOTES), time.monotonic() + 3 * _GRACE_SECONDS
        while (len(notes) < self._all if self.first else "0" not in notes) and time.monotonic() < until:
            time.sleep(_LOOK_SECONDS / 5)
            notes = self._read(_NOTES) or notes
        if os.environ.get("JAXD2L_TRACEBACK"):
            traceback.print_exception(error)
        if self.first or notes.get("0") != f"{int(self._code)} {message}":
            self._say(message if self.first else f"process {self._me}: {message}")
        if self.first:
            time.sleep(_LOOK_SECONDS)  # the service, in which the others look, ends with this process
        self._forget_file()
        sys.stdout.flush()
        exit_at_once(self._code)

    def _watch(self) -> None:
        """Look for notes; one of another process ends this one, unless it is leaving by itself."""
        while not self._leaving.wait(_LOOK_SECONDS):
            if len(self._hosts) < self._all:
                self._hosts |= {int(process): host for process, host in self._read(_HOSTS).items()}
            notes = {int(i): note for i, note in self._read(_NOTES).items()}
            gone = next((i for i, note in sorted(notes.items()) if i != self._me and not note.startswith("0 ")), None)
            if gone is None or self._leaving.wait(_GRACE_SECONDS):
                continue
            code, _, message = notes[gone].partition(" ")
            self._note(int(code), message)
            self._say(f"{self._name(gone)} ended with exit code {code}, and so does this one: {message}")
            self._forget_file()
            exit_at_once(int(code))

    def _aborted(self, number: int) -> None:
        """Called in the C++ thread that aborts."""
        if self._leaving.is_set():
            exit_at_once(self._code)
        with contextlib.suppress(OSError):
            os.lseek(self._log, 0, os.SEEK_SET)
            said = os.read(self._log, 2**20).decode(errors="replace")
        if self._client is None:
            what = "the processes did not all arrive"
        elif "distributed service" in said or "oordination" in said:
            gone = re.search(r"stopped sending heartbeats\):\s*([\d\s,]+)", said)
            named = [int(i) for i in re.findall(r"\d+", gone[1])] if gone else [0]
            who = " and ".join(self._name(i) for i in sorted(set(named) - {self._me}) or [0])
            what = f"{who} stopped answering ({HEARTBEAT_SECONDS} s without a sign of life, or its connection ended)"
        else:
            self._say(f"a library aborted this process; what it said is in {self._file}")
            exit_at_once(ExitCode.FAULT)
        self._say(
            f"{what}, so this process ends too; run the same command again in all of them, with --resume to go on"
        )
        self._forget_file()
        exit_at_once(ExitCode.RETRY)

    def _take_descriptors(self) -> None:
        sys.stderr.flush()
        self._log, self._file = tempfile.mkstemp(prefix="jaxd2l-process-", suffix=".txt")
        self._stderr, self._python = os.dup(2), sys.stderr
        os.dup2(self._log, 2)
        stream = open(self._stderr, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
        sys.stderr = cast(TextIO, PatientStream(stream))
        StopSignals.descriptor = self._stderr
        if os.name == "posix":
            self._answer = ctypes.CFUNCTYPE(None, ctypes.c_int)(self._aborted)
            ctypes.CDLL(None).signal(int(signal.SIGABRT), self._answer)

    def _give_descriptors_back(self) -> None:
        sys.stderr.flush()
        os.dup2(self._stderr, 2)
        sys.stderr, StopSignals.descriptor = self._python, 2
        if os.name == "posix":
            signal.signal(signal.SIGABRT, signal.SIG_DFL)
        self._forget_file()

    def _forget_file(self) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self._file)

    @contextlib.contextmanager
    def _aside(self, descriptor: int) -> Iterator[None]:
        """What libraries write to a descriptor goes to the file while entered."""
        sys.stdout.flush()
        before = os.dup(descriptor)
        os.dup2(self._log, descriptor)
        try:
            yield
        finally:
            os.dup2(before, descriptor)
            os.close(before)

    def _name(self, process: int) -> str:
        return f"process {process}" + (f" on {self._hosts[process]}" if process in self._hosts else "")

    def _say(self, message: str) -> None:
        text = f"jaxd2l {self._command}: error: {' '.join(message.split())}\n"
        with contextlib.suppress(OSError):
            os.write(self._stderr, text.encode(errors="backslashreplace"))

    def _note(self, code: int, message: str) -> None:
        with contextlib.suppress(Exception):  # the service may be gone
            self._client.key_value_set(f"{_NOTES}{self._me}", f"{int(code)} {message}")

    def _read(self, folder: str) -> dict[str, str]:
        """What the processes have written there, by their numbers."""
        try:
            return {key.rpartition("/")[2]: value for key, value in self._client.key_value_dir_get(folder)}
        except Exception:  # nothing is there, or the service is gone: of several kinds
            return {}


def _may_be_of_another(error: BaseException) -> bool:
    """Whether an error is what an exchange between processes ends with when the other side is gone."""
    if re.search(r"gloo|nccl|UNAVAILABLE|coordination", str(error), re.IGNORECASE):
        return True
    return isinstance(error, Exception) and not isinstance(error, OSError) and not raised_here(error)
