"""How a message counts, lists, shortens and names a command: one word for one, another for many."""

import os
import shlex
import subprocess
from collections.abc import Iterable
from numbers import Integral

__all__ = ["command_line", "counted", "in_short", "in_short_both", "some"]


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


def in_short(value: object) -> str:
    """A value in one line of at most 60 characters."""
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def in_short_both(then: object, now: object) -> tuple[str, str]:
    """Two values in a line each, cut where they differ."""
    texts = tuple(" ".join(str(value).split()) for value in (then, now))
    same = next((i for i, (a, b) in enumerate(zip(*texts, strict=False)) if a != b), min(map(len, texts)))
    first = max(0, same - 30) if same > 50 else 0
    a, b = (in_short(f"...{text[first:]}" if first else text) for text in texts)
    return a, b
