"""What is made once for all of a process that need the same, the latest of it."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn

_LATEST = 64
_INSTALLED = {"jaxd2l", "jax", "flax", "optax", "numpy", "functools", "builtins"}


@dataclasses.dataclass(frozen=True)
class _Wanted:
    key: Any
    make: Callable[[], Any] = dataclasses.field(compare=False)


@functools.lru_cache(maxsize=_LATEST)
def _made(wanted: _Wanted) -> Any:
    return wanted.make()


def made_once(key: Any, make: Callable[[], Any]) -> Any:
    """What `make` gave when it was called first for this key.

    Args:
        key: of plain values, functions, networks and tuples of them; with one that cannot be hashed nothing is kept.
        make: called where nothing is there; it decides by the key alone.
    """
    key = _plain(key)
    try:
        hash(key)
    except TypeError:
        return make()
    return _made(_Wanted(key, make))


def is_installed(key: Any) -> bool:
    """Whether every class and function in a key is of an installed package.

    One of a notebook or a script may call what is defined anew meanwhile, and nothing in the key would tell.
    """
    plain = _plain(key)
    if isinstance(plain, tuple):
        return all(map(is_installed, plain))
    if callable(plain):
        return str(getattr(plain, "__module__", "")).partition(".")[0] in _INSTALLED
    return True


def forget() -> None:
    """Make everything anew from here on."""
    _made.cache_clear()


def _plain(value: Any) -> Any:
    """A value by what it is made of: a copy of a `functools.partial`, such as a clone holds, is not equal to it."""
    if isinstance(value, functools.partial):
        return (functools.partial, value.func, _plain(value.args), _plain(value.keywords))
    if isinstance(value, nn.Module):
        fields = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
        return (type(value), _plain({name: given for name, given in fields.items() if name != "parent"}))
    if isinstance(value, list | tuple):
        return (type(value), *map(_plain, value))
    if isinstance(value, dict):
        return (dict, *((name, _plain(given)) for name, given in sorted(value.items())))
    return value
