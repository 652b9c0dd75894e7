import io
import sys

import pytest
from rich.console import Console as Terminal

from jaxd2l.cli import signals
from jaxd2l.commands.asked.data import decoding
from jaxd2l.commands.weights.thaw import _bar
from jaxd2l.report import console as module
from jaxd2l.report.console import Console


class Screen(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def shown(monkeypatch, ticking):
    """What stands on the screen of this width as the bar moves; a second passes whenever the clock is looked at."""

    def show(width, moves, **settings):
        ticking(module)
        monkeypatch.setattr(module.sys, "stdout", Screen())
        lines = []
        with Console(quiet=False, **settings) as console:
            console._bar.stop()
            for move in moves:
                move(console)
                terminal = console._bar.live.console = Terminal(width=width, file=io.StringIO(), force_terminal=False)
                console._width = console._bar.columns[1].bar_width = max(6, width // 5)
                terminal.print(console._bar.make_tasks_table(console._bar.tasks))
                lines.append(terminal.file.getvalue().rstrip("\n"))
        return lines

    return show


@pytest.mark.parametrize("width", [40, 100])
def test_one_bar_spans_all_epochs_of_all_runs_in_one_line(shown, width):
    def at(run, epoch, what, done):
        def move(console):
            console.next_run(run)
            console._epoch = epoch
            console.progress(what, done, 8)
            console._figures = ["loss 0.123 acc 0.456", "12,345 images/s"]

        return move

    moves = [at(r, e, what, n) for r in (0, 1) for e in (1, 2, 3) for what in ("train", "test") for n in (4, 8)]
    lines = shown(width, moves, epochs=3, runs=2)
    assert not [line for line in lines if "\n" in line or len(line) > width or "\u2026" in line]
    shares = [int(line.split("%")[0].split()[-1]) for line in lines]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (8, 100)
    assert not [line for line in lines[1:] if ":" not in line], "of the whole run, at each epoch"
    assert all(("acc 0.456" in line) == (width == 100) for line in lines)


def test_compiling_and_members_show_their_seconds(shown):
    compiling, none, some = shown(
        60,
        [
            lambda console: None,
            lambda console: console.phase("net: 4 members", 0, 4),
            lambda console: console.phase("net: 4 members", 1, 4),
        ],
        epochs=1,
    )
    assert compiling.startswith("compiling")
    assert compiling.endswith(" s")
    assert none.endswith(" s")
    assert " 25%" in some
    assert some.endswith(" left")


def test_without_a_terminal_there_are_lines_alone(capsys):
    with Console(quiet=False, epochs=1) as console:
        console.progress("train", 1, 2)
        console.phase("compiling")
        console.say("a line")
    assert capsys.readouterr().out == "a line\n"


@pytest.mark.parametrize("at_the_screen", ["stdout", "stderr"])
@pytest.mark.parametrize(
    "bar", [lambda: Console(quiet=False, epochs=1), decoding, lambda: _bar(False, {"epochs": 1, "train_steps": 1})]
)
def test_no_bar_takes_what_is_printed_into_a_file(monkeypatch, at_the_screen, bar):
    file = "stderr" if at_the_screen == "stdout" else "stdout"
    monkeypatch.setattr(sys, at_the_screen, Screen())
    monkeypatch.setattr(sys, file, io.StringIO())
    with bar():
        print("a line", file=getattr(sys, file))
    assert getattr(sys, file).getvalue() == "a line\n"


def test_what_is_printed_after_a_bar_is_not_wrapped(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Screen())
    monkeypatch.setenv("COLUMNS", "40")
    with Console(quiet=False, epochs=1) as console:
        console.end()
        print("word " * 30)
        console.say("said")
    assert sys.stdout.getvalue().endswith("word " * 30 + "\nsaid\n")


def test_last_words_are_said_whatever_a_folder_is_called(monkeypatch):
    written = []
    monkeypatch.setattr(signals.os, "write", lambda number, text: written.append(text))
    assert signals.StopSignals("kept in caf\udce9").say_last_words()
    assert written == [b"jaxd2l: stopped by a signal; kept in caf\\udce9\n"]


@pytest.mark.parametrize("screens", [("stdout",), ("stderr",), ("stdout", "stderr"), ()])
def test_an_end_at_once_shows_the_cursor_on_each_screen(monkeypatch, screens):
    class Stream:
        def __init__(self, number, screen):
            self.fileno, self.isatty = lambda: number, lambda: screen

    written = []
    monkeypatch.setattr(signals.os, "_exit", lambda code: None)
    monkeypatch.setattr(signals.os, "write", lambda number, text: written.append((number, text)))
    with monkeypatch.context() as patch:
        for number, name in enumerate(("stdout", "stderr")):
            patch.setattr(sys, name, Stream(number, name in screens))
        signals.exit_at_once(3)
    assert written == [(n, b"\x1b[?25h") for n, name in enumerate(("stdout", "stderr")) if name in screens]
