"""What the process's exit code tells a shell, a scheduler or a script."""

import enum


class ExitCode(enum.IntEnum):
    """The codes of every command; 65, 70, 74 and 75 are those of BSD's sysexits."""

    DONE = 0
    REFUTED = 1
    USAGE = 2
    DIVERGED = 3
    DATA = 65
    FAULT = 70
    IO = 74
    RETRY = 75
    INTERRUPTED = 130
