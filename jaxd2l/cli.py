"""The command line: `jaxd2l train | evaluate | list | ...`, one module of `jaxd2l.commands` each.

Exit codes: 0 done; 2 wrong use; 3 the loss became non-finite; 65 data or a run folder is not what it
claims; 74 cannot read or write; 75 stopped by SIGTERM after saving, run the same command again
with --resume; 130 interrupted, saved likewise. Every failure is one line on stderr. Set JAXD2L_TRACEBACK=1
to see where it arose.
"""

import argparse
import difflib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

from jaxd2l.commands import COMMANDS, ExitCode
from jaxd2l.commands.signals import Terminated

_DESCRIPTION = """\
Train and measure the networks of Dive into Deep Learning on JAX.

exit codes:
  0    done
  2    wrong use: an unknown name, a setting out of range, a folder in use
  3    the loss became non-finite; the last good weights are kept
  65   data or a run folder is not what it claims
  74   cannot read or write
  75   stopped by SIGTERM after saving: run the same command again, with --resume
  130  interrupted; what was finished is kept
"""


class _Parser(argparse.ArgumentParser):
    """Argument errors as one line with the nearest names, without the usage block."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_abbrev=False, **kwargs)

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: error: {message} (see {self.prog} --help)", file=sys.stderr)
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
    for command in COMMANDS:
        sub = command.add_parser(subparsers)
        sub.set_defaults(run=command.run, parser=sub)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: arguments without the program's name; `sys.argv[1:]` by default.

    Returns:
        The exit code; see the module's docstring.
    """
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.version:
        from jaxd2l import __version__

        print(f"jaxd2l {__version__}")
        return ExitCode.DONE
    if args.command is None:
        parser.error(
            "no command; expected one of "
            + ", ".join(c.__name__.rsplit(".", 1)[-1].replace("_", "-") for c in COMMANDS)
        )
    try:
        return int(args.run(args))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; nothing more to tell it
        return ExitCode.IO
    except (ValueError, ArithmeticError, OSError, KeyboardInterrupt, Terminated) as error:
        if os.environ.get("JAXD2L_TRACEBACK"):
            traceback.print_exc()
        code, message = _explain(error)
        print(f"jaxd2l {args.command}: error: {' '.join(message.split())}", file=sys.stderr)
        return code


def _explain(error: BaseException) -> tuple[ExitCode, str]:
    from jaxd2l.data import DataError
    from jaxd2l.train import DivergenceError

    if isinstance(error, DivergenceError):
        return ExitCode.DIVERGED, str(error)
    if isinstance(error, DataError):
        return ExitCode.DATA, str(error)
    if isinstance(error, ValueError):
        return ExitCode.USAGE, str(error)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return ExitCode.IO, f"{where}{error.strerror or error}"
    if isinstance(error, Terminated):
        return ExitCode.RETRY, "terminated" + (f"; {error}" if str(error) else "")
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED, "interrupted" + (f"; {error}" if str(error) else "")
    raise error


if __name__ == "__main__":
    sys.exit(main())
