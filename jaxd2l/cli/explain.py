"""An exception as an exit code and one line: wrong use, bad data, or a fault that is not the user's.

A `ValueError` is wrong use only where a `raise` of this package made it. One that a library raised, or that Python
raised on a line of ours (`int("x")`, an index), is somebody's fault and is called so, with the traceback in a file.
"""

import dis
import os
import sys
import tempfile
import traceback
from pathlib import Path
from types import TracebackType

from jaxd2l.cli.exit_code import ExitCode
from jaxd2l.cli.signals import Terminated

_PACKAGE = Path(__file__).resolve().parent.parent
_LONGEST = 300  # characters of a library's message; the rest is in the file


def explain(error: BaseException) -> tuple[ExitCode, str]:
    """What an error that ends a command means.

    Returns:
        The exit code, and what to say in one line.
    """
    if isinstance(error, Terminated):
        return ExitCode.RETRY, "terminated" + (f"; {error}" if str(error) else "")
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED, "interrupted" + (f"; {error}" if str(error) else "")
    if isinstance(error, ValueError) and _raised_in(error, "jax._src.config"):  # a variable such as JAX_ENABLE_X64
        return ExitCode.USAGE, f"{error}; correct or unset it"
    try:
        known = _known(error)
    except Exception:  # the package itself cannot be imported
        known = None
    return known or (ExitCode.FAULT, _fault(error))


def _raised_in(error: BaseException, module: str) -> bool:
    last = _innermost(error.__traceback__)
    return last is not None and last.tb_frame.f_globals.get("__name__") == module


def _known(error: BaseException) -> tuple[ExitCode, str] | None:
    if _is_a(error, "jaxd2l.train.results", "DivergenceError"):
        return ExitCode.DIVERGED, str(error)
    if _is_a(error, "jaxd2l.data.error", "DataError") or _is_a(error, "jaxd2l.diagnosis.lines", "CurveError"):
        return ExitCode.DATA, str(error)
    if isinstance(error, ValueError | TypeError | NotImplementedError) and raised_here(error):
        return ExitCode.USAGE, str(error)
    if isinstance(error, FloatingPointError) or (isinstance(error, ArithmeticError) and raised_here(error)):
        return ExitCode.DIVERGED, str(error)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return ExitCode.IO, f"{where}{error.strerror or error}"
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
        return ExitCode.USAGE, f"memory ran out ({_shortened(error)}); use smaller batches, images or sweeps"
    if (missing := missing_backend(error)) is not None:
        return ExitCode.USAGE, missing
    return None


def _is_a(error: BaseException, module: str, name: str) -> bool:
    """Whether the error is of this class of ours; importing the module to ask would take seconds."""
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(error, kind)


def raised_here(error: BaseException) -> bool:
    """Whether a `raise` statement of this package raised the error."""
    last = _innermost(error.__traceback__)
    if last is None:
        return False
    code = last.tb_frame.f_code
    if not Path(code.co_filename).resolve().is_relative_to(_PACKAGE):
        return False
    return code.co_code[last.tb_lasti] == dis.opmap["RAISE_VARARGS"]


def missing_backend(error: BaseException) -> str | None:
    """One line where JAX could not start the kind of device that `JAX_PLATFORMS` asks for, else None.

    JAX says so by a `RuntimeError`, or by an assertion without words; asked again, it fails again.
    """
    if not isinstance(error, RuntimeError | AssertionError):
        return None
    import jax

    try:
        jax.devices()
    except (RuntimeError, AssertionError):
        asked = os.environ.get("JAX_PLATFORMS") or os.environ.get("JAX_PLATFORM_NAME")
        if not asked:
            return f"JAX finds no device to run on ({_shortened(error)})"
        return f"JAX_PLATFORMS={asked} asks for a device that is not here; unset it, or set JAX_PLATFORMS=cpu"
    return None


def _fault(error: BaseException) -> str:
    last = _innermost(error.__traceback__)
    at = f" ({last.tb_frame.f_globals.get('__name__')}:{last.tb_lineno})" if last is not None else ""
    file = _write_details(error)
    details = "set JAXD2L_TRACEBACK=1 to see the details" if file is None else f"details are in {file}"
    return (
        f"unexpected {type(error).__name__}: {_shortened(error)}{at}; a fault of jaxd2l or of a library, "
        f"not of the command; {details}"
    )


def _write_details(error: BaseException) -> str | None:
    """Traceback, command and settings in a new temporary file; its name, None where none can be written."""
    settings = [f"{n}={v}" for n, v in sorted(os.environ.items()) if n.startswith(("JAX", "XLA_FLAGS", "NPROC"))]
    text = "\n".join([" ".join(map(repr, sys.argv)), sys.version, *settings, "", *traceback.format_exception(error)])
    try:
        descriptor, name = tempfile.mkstemp(prefix="jaxd2l-", suffix=".txt", text=True)
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:
        return None
    return name


def _innermost(last: TracebackType | None) -> TracebackType | None:
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last


def _shortened(error: BaseException) -> str:
    text = " ".join(str(error).split()) or "no message"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
