"""How a message counts and lists: one word for one, another for many."""

from collections.abc import Iterable

__all__ = ["counted", "some"]


def counted(n: int, noun: str) -> str:
    """`1 picture`, `2,000 pictures`, `0 classes`."""
    return f"{n:,} {noun}{'' if n == 1 else 'es' if noun.endswith(('s', 'x')) else 's'}"


def some(items: Iterable[str], most: int = 5) -> str:
    """The first `most` items and how many more there are."""
    found = list(items)
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")
