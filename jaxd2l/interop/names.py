"""Names of a state_dict against those a network expects: wrappers' prefixes taken off, what differs told once.

`nn.DataParallel` puts `module.` before every name, `torch.compile` `_orig_mod.`, a network kept inside another one the
name of its attribute.
"""

import difflib
from collections.abc import Collection, Iterable, Mapping

from jaxd2l.interop.safetensors_file import printable

Shape = tuple[int, ...]

_WRAPPERS = ("module", "_orig_mod")
_DEEPEST = 16  # wrappers in each other
_LISTED = 1000  # differences; a network of this library has fewer arrays


def unwrapped(names: Collection[str], expected: Collection[str]) -> dict[str, str]:
    """Each name without what wrappers put into all of them.

    Taken off are `module` and `_orig_mod` wherever they stand in every name, and the beginning that all names share;
    but only where more of the expected names are found after it.

    Returns:
        The shorter name by the given one; the names themselves where nothing is taken off.
    """
    parts = {name: name.split(".") for name in names}
    candidates = [parts]
    for _ in range(_DEEPEST):
        word = next((w for w in _WRAPPERS if parts and all(w in p[:-1] for p in parts.values())), None)
        if word is None:
            break
        parts = {name: p[: p.index(word)] + p[p.index(word) + 1 :] for name, p in parts.items()}
        candidates.append(parts)
    shared = min((_DEEPEST, *(len(p) - 1 for p in parts.values())))
    first = next(iter(parts.values()), [])
    for depth in range(1, shared + 1):
        if any(p[:depth] != first[:depth] for p in parts.values()):
            break
        candidates.append({name: p[depth:] for name, p in parts.items()})
    renamed = [{name: ".".join(p) for name, p in candidate.items()} for candidate in candidates]
    sound = [candidate for candidate in renamed if len(set(candidate.values())) == len(candidate)]
    return max(sound, key=lambda candidate: sum(name in expected for name in candidate.values()))  # the first of equals


def different_names(expected: Mapping[str, Shape], given: Mapping[str, Shape]) -> list[str]:
    """What is missing and what is too much, each name once; a missing one stands beside the nearest that is too much.

    Nearest is the most alike of those with the expected shape, else of all that are much alike.
    """
    missing = {name: shape for name, shape in expected.items() if name not in given}
    surplus = {name: shape for name, shape in given.items() if name not in expected}
    unexpected = {name: f"{printable(name)}: unexpected, shape {shape}" for name, shape in surplus.items()}
    told = []
    free = dict(surplus) if len(surplus) <= _LISTED else {}
    for name, shape in missing.items():
        near = difflib.get_close_matches(name, [n for n in free if free[n] == shape], n=1, cutoff=0.0)
        near = near or difflib.get_close_matches(name, free, n=1, cutoff=0.6)
        beside = "".join(f"; nearest is {unexpected.pop(n)}" for n in near)
        told.append(f"{name}: missing, expected shape {shape}{beside}")
        for n in near:
            del free[n]
    return shortened([*told, *unexpected.values()])


def shortened(differences: Iterable[str]) -> list[str]:
    """The first thousand, and how many more there are."""
    listed = list(differences)
    return listed if len(listed) <= _LISTED else [*listed[:_LISTED], f"and {len(listed) - _LISTED} more"]


def transposed(given: Shape, expected: Shape) -> str:
    """A hint where the given shape is the expected one in the order of axes that JAX and TensorFlow use; else ''."""
    rank = len(expected)
    orders = ((1, 0),) if rank == 2 else ((rank - 1, rank - 2, *range(rank - 2)),) if rank > 2 else ()
    for order in orders:
        if len(given) == rank and tuple(given[axis] for axis in order) == expected:
            return f", so it is transposed: .transpose{order} gives it PyTorch's order of axes"
    return ""
