"""What a function or an optimizer is, in words: its name and the numbers it holds, read and never executed.

Two runs that were asked the same describe theirs alike in every process, so no address of an object is among the words.
"""

import dataclasses
import dis
import functools
import hashlib
import inspect
import types
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

_LONGEST = 200  # characters that are kept as they are; of a longer description its digest says the rest
_DEEPEST = 12
_LOADS = ("LOAD_CONST", "RETURN_CONST", "LOAD_SMALL_INT")  # the last of Python 3.14, whose number is no constant
_KNOWN = ("jaxd2l", "optax", "jax", "flax", "numpy")  # their versions are in environment.json: a name says enough


def identity(value: Any) -> str:
    """A name with the numbers in it, the same for what was made in the same way.

    Args:
        value: a loss, a schedule, a factory or a transformation of optax.

    Returns:
        Such as `sgd`, `partial(sgd, momentum=0.9)` or `schedule(alpha=0.0, decay_steps=8, ...)`; of one that is
        long its beginning and a digest.
    """
    return _shortened(_described(value, 0, frozenset(), []))


def constants(value: Any) -> str:
    """The words in the text of a user's functions, such as `'adam'`, which `identity` leaves out.

    Args:
        value: likewise.

    Returns:
        Each as Python writes it, in the order of the text; without docstrings.
    """
    found: list[str] = []
    _described(value, 0, frozenset(), found)
    return _shortened(", ".join(found))


def _shortened(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    return f"{text[:40]}... {hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _described(value: Any, depth: int, within: frozenset[int], found: list[str]) -> str:
    """A description without the constants that are added to `found`."""
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return repr(value)
    if isinstance(value, np.ndarray | np.generic) or hasattr(value, "__jax_array__") or _is_array(value):
        return _array(value)
    if isinstance(value, type | types.ModuleType):
        return str(getattr(value, "__qualname__", value.__name__))
    if depth == _DEEPEST or id(value) in within:
        return type(value).__qualname__
    parts = functools.partial(_described, depth=depth + 1, within=within | {id(value)}, found=found)
    if isinstance(value, functools.partial):
        given = [parts(value.func), *map(parts, value.args), *_named(value.keywords, parts)]
        return f"partial({', '.join(given)})"
    if isinstance(value, types.MethodType):
        return f"{parts(value.__self__)}.{value.__func__.__name__}"
    if callable(value) and isinstance(inspect.unwrap(value), types.FunctionType):
        return _function(inspect.unwrap(value), parts, found)
    if isinstance(value, Mapping):
        return f"{{{', '.join(_named({str(k): v for k, v in value.items()}, parts))}}}"
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return f"{type(value).__qualname__}({', '.join(_named(value._asdict(), parts))})"
    if isinstance(value, tuple | list):
        return f"({', '.join(map(parts, value))})"
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(map(parts, value)))}}}"
    if hasattr(value, "__qualname__") and not hasattr(value, "__dict__"):
        return str(value.__qualname__)
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    else:
        fields = {name: part for name, part in getattr(value, "__dict__", {}).items() if not name.startswith("__")}
    return f"{type(value).__qualname__}({', '.join(_named(fields, parts))})"


def _named(values: Mapping[str, Any], parts: Any) -> list[str]:
    return [f"{name}={parts(value)}" for name, value in sorted(values.items())]


def _function(function: types.FunctionType, parts: Any, found: list[str]) -> str:
    """A function by its name, what it encloses and its defaults; a user's also by the names and constants in it."""
    name = function.__qualname__.rpartition("<locals>.")[2]
    held: dict[str, Any] = {}
    for cell, content in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            held[cell] = content.cell_contents
        except ValueError:  # not filled yet
            continue
    held = {name: _as_given(name, part) for name, part in held.items() if part is not function}
    known = (function.__module__ or "").partition(".")[0] in _KNOWN
    if not known:
        optional = [p for p in inspect.signature(function).parameters.values() if p.default is not p.empty]
        held |= {p.name: p.default for p in optional}
    inside = [] if known else [*_inside(function, function.__code__, parts, found)]
    said = ", ".join([*_named(held, parts), *inside])
    return f"{name}({said})" if said else name


def _as_given(name: str, part: Any) -> Any:
    """What a function holds; a count of updates as an integer: optax's cosine makes it a float when it is traced."""
    counted = name.endswith("steps") and isinstance(part, float) and part.is_integer()
    return int(part) if counted else part


def _inside(function: types.FunctionType, code: types.CodeType, parts: Any, found: list[str]) -> Iterator[str]:
    """The names and constants that a function's text uses, and the values of global names."""
    loaded = [one.argval for one in dis.get_instructions(code) if one.opname in _LOADS]  # so no docstring
    found += [repr(one) for one in loaded if isinstance(one, str) or (type(one) is int and one not in code.co_consts)]
    for name in code.co_names:
        value = function.__globals__.get(name)
        yield name if value is None or isinstance(value, types.ModuleType) else f"{name}={parts(value)}"
    for constant in code.co_consts[1:] if code.co_consts and code.co_consts[0] == function.__doc__ else code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _inside(function, constant, parts, found)
        elif constant is not None and not isinstance(constant, str):
            yield parts(constant)


def _is_array(value: Any) -> bool:
    return all(hasattr(value, name) for name in ("shape", "dtype", "__array__"))


def _array(value: Any) -> str:
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):  # a key of JAX, or one that is traced
        return str(getattr(value, "dtype", type(value).__qualname__))
    if array.size == 1:
        return repr(array.item())
    return f"{array.dtype}{list(array.shape)}:{hashlib.sha256(np.ascontiguousarray(array)).hexdigest()[:12]}"
