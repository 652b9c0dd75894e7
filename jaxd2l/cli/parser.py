"""The parser of all commands: one line for each error, with the nearest names."""

import argparse
import difflib
import importlib
import sys
from typing import Any, NoReturn

from jaxd2l.cli.arguments import NAMES
from jaxd2l.cli.exit_code import ExitCode

_DESCRIPTION = """\
Train and measure the networks of Dive into Deep Learning on JAX.

exit codes:
  0    done
  1    verify: a claim does not hold; thaw: other bits than the recorded ones
  2    wrong use: an unknown name, a setting out of range, a folder or file with something in it
  3    the loss became non-finite; the last good weights are kept
  65   data or a run folder is not what it claims
  70   a fault of jaxd2l or of a library; the message names a file with the details
  74   cannot read or write, or another process does; also where only the output could not be shown
  75   stopped by SIGTERM after saving: run the same command again, train with --resume
  130  interrupted; what was finished is kept
"""


class _Parser(argparse.ArgumentParser):
    """Argument errors as one line with the nearest names, without the usage block."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_abbrev=False, **kwargs)

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: error: {' '.join(message.split())} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(ExitCode.USAGE)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        parsed, unknown = self.parse_known_args(args, namespace)
        if unknown:
            parser = getattr(parsed, "parser", self)
            near = difflib.get_close_matches(unknown[0].split("=")[0], parser._option_string_actions, n=2)
            parser.error(f"unknown argument {unknown[0]!r}" + (f", did you mean {' or '.join(near)}?" if near else ""))
        return parsed

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        choices = [str(choice) for choice in action.choices]
        near = difflib.get_close_matches(str(value), choices, n=1)
        hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(choices)}"
        what = "command" if action.dest == "command" else argparse._get_action_name(action)
        self.error(f"unknown {what} {value!r}; {hint}")


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = _Parser(prog="jaxd2l", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name in NAMES:
        arguments = importlib.import_module(f"jaxd2l.cli.arguments.{name}")
        sub = arguments.add_parser(subparsers)
        sub.add_argument("--json", action="store_true", help="print one JSON object as the last line")
        sub.set_defaults(module=name, parser=sub, when_stopped=getattr(arguments, "WHEN_STOPPED", ""))
    return parser
