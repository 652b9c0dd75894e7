"""One module a command, each with `add_parser(subparsers)` and `run(args) -> exit code`.

`COMMANDS` lists them. It is imported when it is first asked for, because that imports JAX: the signals are to be
ours before those seconds begin.
"""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

from jaxd2l.commands.exit_code import ExitCode

_NAMES = (
    "train",
    "evaluate",
    "list",
    "cost",
    "reproduce",
    "houses",
    "sweep",
    "check",
    "import_torch",
    "export_torch",
)

if TYPE_CHECKING:
    COMMANDS: tuple[ModuleType, ...]

__all__ = ["COMMANDS", "ExitCode"]


def __getattr__(name: str) -> tuple[ModuleType, ...]:
    if name != "COMMANDS":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return tuple(importlib.import_module(f"{__name__}.{command}") for command in _NAMES)
