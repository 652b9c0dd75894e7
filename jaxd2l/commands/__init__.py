"""One module a command, each with `add_parser(subparsers)` and `run(args) -> exit code`."""

from types import ModuleType

from jaxd2l.commands import check, cost, evaluate, export_torch, houses, import_torch, list, reproduce, sweep, train
from jaxd2l.commands.exit_code import ExitCode

COMMANDS: tuple[ModuleType, ...] = (
    train,
    evaluate,
    list,
    cost,
    reproduce,
    houses,
    sweep,
    check,
    import_torch,
    export_torch,
)

__all__ = ["COMMANDS", "ExitCode"]
