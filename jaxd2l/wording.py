"""How a message counts, lists and names a command: one word for one, another for many."""

import os
import shlex
import subprocess
from collections.abc import Iterable
from numbers import Integral

__all__ = ["command_line", "counted", "some"]


def counted(n: object, noun: str) -> str:
    """`1 picture`, `2,000 pictures`, `0 classes`; what stands for a number in a damaged file is said as it is."""
    number = f"{n:,}" if isinstance(n, Integral) else n
    return f"{number} {noun}{'' if n == 1 else 'es' if noun.endswith(('s', 'x')) else 's'}"


def some(items: Iterable[str], most: int = 5) -> str:
    """The first `most` items and how many more there are."""
    found = list(items)
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")


def command_line(*words: object) -> str:
    """A command to copy, quoted as the shell here takes it."""
    said = [str(word) for word in words]
    return subprocess.list2cmdline(said) if os.name == "nt" else shlex.join(said)
