"""One module a command, each with `add_parser(subparsers)` and `run(args) -> exit code`."""

from types import ModuleType

from jaxd2l.commands import evaluate, houses, list, reproduce, train
from jaxd2l.commands.exit_code import ExitCode

COMMANDS: tuple[ModuleType, ...] = (train, evaluate, list, reproduce, houses)

__all__ = ["COMMANDS", "ExitCode"]
