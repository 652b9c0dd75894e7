"""A flat `nn.Sequential` taken over by the order of its layers, whatever their places are called."""

from collections.abc import Mapping, Sequence

from jaxd2l.data.error import DataError
from jaxd2l.interop.safetensors_file import printable
from jaxd2l.interop.torch_layout import Weight

Shape = tuple[int, ...]

_WITHIN_A_LAYER = ("weight", "bias", "running_mean", "running_var")


def in_order(given: Mapping[str, Shape], weights: Sequence[Weight]) -> dict[str, str]:
    """The expected name by the given one: the k-th array is the k-th of the network.

    A safetensors file keeps its arrays in another order than the network, so the numbers in the names say it.

    Args:
        given: shapes by name, such as `net.10.weight`.
        weights: of the network, in the order of its layers.

    Raises:
        DataError: a name is no place in a Sequential, or the shapes differ: the first difference.
    """
    places = {name: _place(name) for name in _without_shared(given)}
    ordered = [name for _, name in sorted(zip(places.values(), given, strict=True))]
    for k, (name, weight) in enumerate(zip(ordered, weights, strict=False), 1):
        leaf = name.rpartition(".")[2]
        if given[name] != weight.torch_shape or leaf != weight.name.rpartition(".")[2]:
            raise DataError(
                f"by their order these weights are not the network's: array {k} is {printable(name)} {given[name]}, "
                f"expected the {weight.name.rpartition('.')[2]} of {'/'.join(weight.path[:-1])}, {weight.torch_shape}"
            )
    if len(ordered) != len(weights):
        more, first = ("more", ordered[len(weights)]) if len(ordered) > len(weights) else ("fewer", "")
        missing = weights[len(ordered)] if not first else None
        which = printable(first) if missing is None else f"the {missing.path[-1]} of {'/'.join(missing.path[:-1])}"
        raise DataError(
            f"by their order these weights are not the network's: {len(ordered)} arrays are {more} than its "
            f"{len(weights)}, the first difference is {which}"
        )
    return {name: weight.name for name, weight in zip(ordered, weights, strict=True)}


def _without_shared(names: Mapping[str, Shape]) -> list[str]:
    """The names without the words that all of them begin with: a wrapper, the attribute of a network around it."""
    parts = [name.split(".") for name in names]
    while parts and all(len(p) > 2 and p[0] == parts[0][0] and not p[0].isdigit() for p in parts):
        parts = [p[1:] for p in parts]
    return [".".join(p) for p in parts]


def _place(name: str) -> tuple[tuple[int, ...], int]:
    """Where an array stands: the numbers of its layer, then its place within it."""
    *layer, leaf = name.split(".")
    if not layer or not all(part.isdigit() for part in layer) or leaf not in _WITHIN_A_LAYER:
        raise DataError(
            f"{printable(name)} is no array of a flat Sequential, named by numbers and {', '.join(_WITHIN_A_LAYER)}"
        )
    return tuple(map(int, layer)), _WITHIN_A_LAYER.index(leaf)
