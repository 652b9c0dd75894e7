"""Kernels forked from one process that has imported what most pages import: else every page with cells begins with it.

Of JAX only the modules are there before the fork, no backend and so none of its threads. Elsewhere than on Linux a
kernel starts as Jupyter starts it.
"""

import contextlib
import importlib
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
import warnings
from multiprocessing.connection import Client, Connection, wait
from pathlib import Path
from typing import Any

_IMPORTED = ("ipykernel.kernelapp", "matplotlib.pyplot", "flax.linen", "optax", "pandas", "jaxd2l.claims", "jaxd2l.cli")
_IMPORTED += ("jaxd2l.data", "jaxd2l.nn.models", "jaxd2l.recipes", "jaxd2l.report.chart.plot", "jaxd2l.selection")


class Kernel:
    """A forked kernel by what `jupyter_client` asks of a `Popen`: its end of the connection closes when it ends."""

    stdin = stdout = stderr = None

    def __init__(self, address: str, command: list[str], cwd: str | None, env: dict[str, str]) -> None:
        self.connection = Client(address, "AF_UNIX")
        self.connection.send((command, cwd or os.getcwd(), env))
        self.pid: int = self.connection.recv()

    def poll(self) -> int | None:
        """None while it runs."""
        return 0 if self.connection.poll() else None

    def wait(self) -> int:
        """Until it has ended."""
        wait([self.connection])
        return 0

    def send_signal(self, number: int) -> None:
        """To the kernel, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def _start(app: Any, env: Any, docnames: list[str]) -> None:
    if app.config.nb_execution_mode != "force":
        return
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_client.provisioning import local_provisioner

    folder = tempfile.TemporaryDirectory()
    address = str(Path(folder.name) / "kernels")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        command = [sys.executable, __file__, str(listener.fileno())]
        server = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[listener.fileno()])

    def launch(command: list[str], *, cwd: str | None = None, env: dict[str, str] | None = None, **_: Any) -> Kernel:
        return Kernel(address, command, cwd, dict(os.environ if env is None else env))

    # sockets in the folder: of ports, which are chosen before they are taken, two kernels may choose one
    AsyncKernelManager._transport_default = lambda manager: "ipc"
    AsyncKernelManager._ip_default = lambda manager: str(Path(folder.name) / uuid.uuid4().hex[:8])

    def stop(*_: Any) -> None:
        del AsyncKernelManager._transport_default, AsyncKernelManager._ip_default
        local_provisioner.launch_kernel = usual
        server.communicate()  # it ends with what it reads
        folder.cleanup()

    usual, local_provisioner.launch_kernel = local_provisioner.launch_kernel, launch
    app.connect("build-finished", stop)


def setup(app: Any) -> dict[str, bool]:
    """Start the process before pages are read, and end it with the build."""
    if sys.platform == "linux":
        app.connect("env-before-read-docs", _start)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _serve(listener: socket.socket) -> None:
    del sys.path[0]  # of this file, which a kernel has not
    # as a kernel sets the one, and what the other says: it ends when this process does
    os.environ.update(MPLBACKEND="module://matplotlib_inline.backend_inline", JPY_PARENT_PID=str(os.getpid()))
    for name in _IMPORTED:
        importlib.import_module(name)
    from jax._src import xla_bridge

    assert not xla_bridge.backends_are_initialized(), "an import computes: a kernel would not have its threads"
    signal.signal(signal.SIGCHLD, _reap)
    while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
        accepted, _ = listener.accept()
        with warnings.catch_warnings(action="ignore"):  # OpenBLAS has threads, and ends them before a fork
            kernel = os.fork() == 0
        if kernel:
            listener.close()
            _become(Connection(accepted.detach()))
            return
        accepted.close()


def _reap(*_: Any) -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _become(connection: Connection) -> None:
    """The kernel that is asked for, to its end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
    os.setsid()
    command, cwd, env = connection.recv()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env, JPY_PARENT_PID=str(os.getppid()))
    sys.argv = command[command.index("-m") + 1 :]
    connection.send(os.getpid())
    importlib.import_module("ipykernel.kernelapp").launch_new_instance()


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
