"""What is made once for all of a process that need the same, the latest of it."""

import dataclasses
import functools
import sys
from collections.abc import Callable
from typing import Any

_LATEST = 64
_INSTALLED = {"jaxd2l", "jax", "flax", "optax", "numpy", "functools", "builtins"}


@dataclasses.dataclass(frozen=True)
class _Wanted:
    key: Any
    make: Callable[[], Any] = dataclasses.field(compare=False)


@functools.lru_cache(maxsize=_LATEST)
def _made(wanted: _Wanted) -> Any:
    return wanted.make()


def made_once(key: Any, make: Callable[[], Any], *, installed: bool = False) -> Any:
    """What `make` gave when it was called first for this key.

    Args:
        key: of plain values, functions, networks and tuples of them; with one that cannot be hashed nothing is kept.
        make: called where nothing is there; it decides by the key alone.
        installed: keep nothing where a class or function in the key is of no installed package: one of a notebook or a
            script may call what is defined anew meanwhile, and nothing in the key would tell.
    """
    key = plain(key)
    if installed and not is_installed(key):
        return make()
    try:
        hash(key)
    except TypeError:
        return make()
    return _made(_Wanted(key, make))


def forget() -> None:
    """Make everything anew from here on."""
    _made.cache_clear()


def plain(value: Any) -> Any:
    """A value by what it is made of: a copy of a `functools.partial`, such as a clone holds, is not equal to it."""
    if isinstance(value, functools.partial):
        return (functools.partial, value.func, plain(value.args), plain(value.keywords))
    if _is_network(value):
        fields = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
        return (type(value), plain({name: given for name, given in fields.items() if name != "parent"}))
    if isinstance(value, list | tuple):
        return (type(value), *map(plain, value))
    if isinstance(value, dict):
        return (dict, *((name, plain(given)) for name, given in sorted(value.items())))
    return value


def _is_network(value: Any) -> bool:
    linen = sys.modules.get("flax.linen")  # what runs without Flax has no network
    return linen is not None and isinstance(value, linen.Module)


def is_installed(plain: Any) -> bool:
    """Whether all classes and functions of a plain value are of installed packages, which do not change meanwhile."""
    if isinstance(plain, tuple):
        return all(map(is_installed, plain))
    return not callable(plain) or str(getattr(plain, "__module__", "")).partition(".")[0] in _INSTALLED
