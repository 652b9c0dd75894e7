"""What devices say to each other, read off a compiled program."""

import math
import re
from typing import NamedTuple

_KINDS = "all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter|collective-broadcast|ragged-all-to-all"
_CALL = re.compile(rf"= (\(.*?\)|\S+) ({_KINDS})(?:-start)?\(")
_ARRAY = re.compile(r"(pred|bf16|[a-z]+(\d+)\w*)\[([\d,]*)\]")


class Collective(NamedTuple):
    """One exchange between the devices of a program.

    Attributes:
        kind: XLA's name of it, such as "all-reduce".
        bytes: of its result on one device.
        largest: elements of the largest array in it.
        arrays: how many it holds. A GPU sends them together, processes on CPUs (Gloo) one after another.
    """

    kind: str
    bytes: int
    largest: int
    arrays: int


def collectives(text: str) -> list[Collective]:
    """Every exchange in the text of a compiled program, `compiled.as_text()`; one in a loop stands there once."""
    return [_collective(found[2], found[1]) for found in _CALL.finditer(text)]


def _collective(kind: str, result: str) -> Collective:
    sizes, total = [0], 0
    for name, bits, shape in _ARRAY.findall(result):
        sizes.append(math.prod(map(int, filter(None, shape.split(",")))))
        total += sizes[-1] * {"pred": 8, "bf16": 16}.get(name, int(bits or 8)) // 8
    return Collective(kind, total, max(sizes), len(sizes) - 1)
