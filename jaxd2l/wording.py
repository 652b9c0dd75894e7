"""How a message counts and lists: one word for one, another for many."""

from collections.abc import Iterable
from numbers import Integral

__all__ = ["counted", "some"]


def counted(n: object, noun: str) -> str:
    """`1 picture`, `2,000 pictures`, `0 classes`; what stands for a number in a damaged file is said as it is."""
    number = f"{n:,}" if isinstance(n, Integral) else n
    return f"{number} {noun}{'' if n == 1 else 'es' if noun.endswith(('s', 'x')) else 's'}"


def some(items: Iterable[str], most: int = 5) -> str:
    """The first `most` items and how many more there are."""
    found = list(items)
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")
