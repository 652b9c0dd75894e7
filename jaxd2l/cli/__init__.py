"""The command line `jaxd2l`: what can be typed is in `arguments`, what is then done in `jaxd2l.commands`.

Exit codes: 0 done; 1 a claim does not hold (verify) or other bits came out (thaw); 2 wrong use; 3 the loss became
non-finite; 65 data or a run folder is not what it claims; 70 a fault of jaxd2l or of a library; 74 cannot read or
write; 75 stopped by SIGTERM after saving, run the same command again (train with --resume); 130 interrupted, saved
likewise. Every failure is one line on stderr. Set JAXD2L_TRACEBACK=1 to see where it arose.

Output that cannot be shown stops nothing: the command goes on, its files are complete, and the exit code is 74
where it would have been 0. A stdout that is closed from the start asks for no output, which is no failure.
"""

import argparse
import atexit
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from jaxd2l.cli.exit_code import ExitCode
from jaxd2l.cli.output import PatientStream, open_descriptors, patient_streams
from jaxd2l.cli.signals import STOPPING, StopSignals, Terminated


def process(*command: str) -> NoReturn:
    """Be this process's program: `main` with the process's own arguments, and its exit code.

    SIGTERM and Ctrl-C are ours from here to the end of the interpreter, so they end in their exit codes at any
    moment after Python itself has started.

    Args:
        command: put before the arguments, such as "train".
    """
    open_descriptors()
    atexit.register(_ignore_signals)  # registered first, so called last: Python would give them back to the kernel
    signals = StopSignals("before it began", at_once=True)
    code: int | str | None = ExitCode.FAULT
    try:
        signals.__enter__()
        code = main([*command, *sys.argv[1:]])
    except SystemExit as stop:
        code = stop.code
    except (Terminated, KeyboardInterrupt):  # between two lines of `main` that look after it
        signals.say_last_words()
        code = signals.code()
    signals.finish(code if isinstance(code, int) else 0)
    sys.exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: arguments without the program's name; `sys.argv[1:]` by default.

    Returns:
        The exit code; see the module's docstring.

    Raises:
        SystemExit: the arguments do not parse, or only help was asked for.
    """
    with StopSignals("before it began") as signals, patient_streams() as (shown, _):
        try:
            try:
                code = _run(argv, signals)
            finally:
                signals.deferred = True  # from here a signal is only recorded: there is nothing left to stop
            if signals.told_to_stop:  # and somebody swallowed it
                code = _tell(None, "", signals)
        except SystemExit as stop:
            code = _unless_lost(stop.code if isinstance(stop.code, int) else 0, shown)
            raise SystemExit(code) from None
        except BaseException as error:
            code = _tell(error, "", signals)
        return _unless_lost(code, shown)


def _run(argv: Sequence[str] | None, signals: StopSignals) -> int:
    from jaxd2l.cli.parser import build_parser

    parser = build_parser()
    args = parser.parse_args(argv)
    if args.version:
        from jaxd2l import __version__

        print(f"jaxd2l {__version__}")
        return ExitCode.DONE
    if args.command is None:
        names = next(a.choices for a in parser._actions if a.dest == "command")
        parser.error(f"no command; expected one of {', '.join(names or ())}")
    signals.where = args.when_stopped
    try:
        _require_recipes(args)
        return int(importlib.import_module(f"jaxd2l.commands.{args.module}").run(args))
    except SystemExit:
        raise
    except BaseException as error:
        signals.deferred = True
        return _tell(error, args.command, signals)


def _require_recipes(args: argparse.Namespace) -> None:
    """Refuse a misspelt recipe, or none at all, before JAX is imported.

    Raises:
        ValueError: with the nearest names.
        SystemExit: none is named.
    """
    from jaxd2l.catalogue import require

    asked = getattr(args, "recipes", None) or [getattr(args, "recipe", None)]
    if "config" in args and args.config is None and asked == [None] and not getattr(args, "has_recipes", False):
        own = "a name from `jaxd2l list`, or a network of your own such as mynet.py:Net"
        args.parser.error(f"the following arguments are required: RECIPE ({own}), or --config FILE")
    for name in asked:
        if name is not None and ":" not in name and not name.endswith(".py"):  # a network of one's own
            require(name)


def _tell(error: BaseException | None, command: str, signals: StopSignals) -> int:
    """Say in one line on stderr why the command ends; its exit code."""
    from jaxd2l.cli.explain import explain

    stop = signals.ending()
    if stop is not None and signals.told_to_stop and not isinstance(error, stop):
        error = stop(signals.where)  # whatever came instead is what became of it on its way
    assert error is not None
    if os.environ.get("JAXD2L_TRACEBACK"):
        import traceback

        traceback.print_exception(error)
    code, message = explain(error)
    if not signals.told_to_stop or signals.claim_last_words():
        print(f"{' '.join(('jaxd2l', command)).strip()}: error: {' '.join(message.split())}", file=sys.stderr)
    return code


def _unless_lost(code: int, shown: PatientStream) -> int:
    """The exit code, or 74 in place of 0 where the output could not be shown."""
    shown.flush()
    if code or shown.failure is None:
        return code
    if not isinstance(shown.failure, BrokenPipeError):  # a reader that left knows
        print(f"jaxd2l: error: cannot write the output: {shown.failure.strerror}", file=sys.stderr)
    return ExitCode.IO


def _ignore_signals() -> None:
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    process()
