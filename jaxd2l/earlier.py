"""What an earlier process found out, so that the next one need not trace or compile for it.

JAX's compilation cache is asked with a program, which has to be traced first, and for a deep network that takes longer
than all the rest of a start. What follows from installed code and plain values alone is kept by these instead: by the
text of this package's sources, the versions of the libraries, every setting of JAX and XLA, the device, and the values.

Nothing is kept before `keep_in` names a folder, as the command line does, nor of classes and functions of one's own,
which may call what nothing here would tell. What is kept holds compiled code, as JAX's own cache does. Of what the
folder holds, JAX's entries among it, the longest unused is deleted where it outgrows a gigabyte.
"""

import contextlib
import dataclasses
import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import pickle
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import serialize_executable
from jax.experimental.compilation_cache.compilation_cache import reset_cache

from jaxd2l.kept import is_installed, plain
from jaxd2l.machine.device import default_device
from jaxd2l.machine.disk import write_atomically

__all__ = ["EXECUTABLE", "keep_in", "place_of", "read_executable", "remembered", "remembered_executable"]

EXECUTABLE = "executable"

_LIBRARIES = ("jax", "jaxlib", "flax", "optax", "numpy")
_FLAGS = ("XLA_FLAGS", "LIBTPU_INIT_ARGS")
_MOST_BYTES = 2**30  # dozens of times what all recipes leave behind
_folder: Path | None = None


def keep_in(folder: Path | None) -> None:
    """Keep in this folder from here on, which is of one kind of processor; None keeps nothing."""
    global _folder
    _folder = folder


def place_of(kind: str, key: Any, *, any_sources: bool = False) -> Path | None:
    """The file for `remembered` to keep in what follows from a key, whether it is there or not.

    Args:
        kind: what is kept, a word for the name of its file.
        key: all that it follows from: plain values, arrays, types, functions, networks and tuples of them.
        any_sources: whether it is the same for every text of this package: the key says all.

    Returns:
        The file; None where nothing is kept: no folder is named, or the key holds anything else, or what is of no
        installed package.
    """
    if _folder is None:
        return None
    parts = plain(key)
    if not is_installed(parts):
        return None
    try:
        text = "\n".join(("" if any_sources else _sources(), _surroundings(), _text(parts)))
    except (TypeError, OSError, ImportError):  # of the last, a library that says no version
        return None
    return _folder / f"{kind}-{hashlib.sha256(text.encode()).hexdigest()}"


def remembered[T](
    place: Path | None,
    make: Callable[[], T],
    *,
    write: Callable[[T], bytes] = pickle.dumps,
    read: Callable[[bytes], T] = pickle.loads,
) -> T:
    """What `make` gave in this or an earlier process that asked for the same place.

    A memory is a convenience: one that is damaged or cannot be written is as good as none.

    Args:
        place: from `place_of`, with all that `make` decides by; None makes it.
        make: called where nothing is there; what it raises is not kept.
        write: to bytes; what it raises is no error, and nothing is kept. Without it, it is pickled.
        read: back; what it raises is no error, and it is made anew.
    """
    if place is None:
        return make()
    with contextlib.suppress(Exception):  # not there, or damaged in whatever way
        found = read(place.read_bytes())
        _mark_used(place)
        return found
    made = make()
    with contextlib.suppress(Exception):  # of a kind that cannot be written, or there is no disk to write to
        write_atomically(place, write(made))
        _make_room(place.parent)
    return made


def remembered_executable(place: Path | None, compiled: Callable[[], jax.stages.Compiled]) -> jax.stages.Compiled:
    """An executable for the default device, as `compiled` gives it, see `remembered`.

    It is in one cache only: what JAX takes from its own lacks the code that it would be written with.
    """
    if place is None:
        return compiled()

    def without_jaxs_cache() -> jax.stages.Compiled:
        before = jax.config.jax_enable_compilation_cache
        jax.config.update("jax_enable_compilation_cache", False)
        reset_cache()  # JAX looks once whether it is on
        try:
            return compiled()
        finally:
            jax.config.update("jax_enable_compilation_cache", before)
            reset_cache()

    return remembered(
        place,
        without_jaxs_cache,
        write=lambda executable: pickle.dumps(serialize_executable.serialize(executable)),
        read=read_executable,
    )


def read_executable(content: bytes) -> jax.stages.Compiled:
    """The executable in a file that keeps one."""
    device, (payload, in_tree, out_tree) = default_device(), pickle.loads(content)
    return serialize_executable.deserialize_and_load(payload, in_tree, out_tree, device.client, [device])


def _mark_used(place: Path) -> None:
    """Let a file be the last that `_make_room` deletes, also where reading leaves no trace; its own age stays."""
    with contextlib.suppress(OSError):
        os.utime(place, ns=(time.time_ns(), place.stat().st_mtime_ns))


def _make_room(folder: Path) -> None:
    """Delete the longest unused until a folder holds no more than `_MOST_BYTES`."""
    with os.scandir(folder) as entries:
        files = [(entry.path, entry.stat()) for entry in entries if entry.is_file()]
    size = sum(status.st_size for _, status in files)
    for path, status in sorted(files, key=lambda file: max(file[1].st_atime, file[1].st_mtime)):
        if size <= _MOST_BYTES:
            break
        with contextlib.suppress(OSError):  # open elsewhere, or another process was first
            os.unlink(path)
            size -= status.st_size


@functools.cache
def _sources() -> str:
    """The text of this package.

    Raises:
        OSError: it does not lie in a folder.
    """
    root, text = Path(__file__).parent, hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        content = path.read_bytes()
        text.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode())
        text.update(content)
    return text.hexdigest()


def _surroundings() -> str:
    """Besides this package, all that decides what is traced and how it is compiled."""
    values = jax.config.values.items()
    settings = {name: getattr(jax.config, name, value) for name, value in values if "_cache" not in name}
    first = jax.devices()[0]
    device = (first.platform, first.device_kind, first.client.platform_version, jax.device_count())
    flags = {name: os.environ.get(name) for name in _FLAGS}
    return "\n".join((_versions(), repr(sorted(settings.items())), repr(device), repr(flags)))


@functools.cache
def _versions() -> str:
    found = {name: importlib.metadata.version(name) for name in _LIBRARIES if importlib.util.find_spec(name)}
    return f"{platform.python_version()} {found}"


def _text(value: Any) -> str:
    """A plain value, the same in every process.

    Raises:
        TypeError: it has no such text.
    """
    if isinstance(value, tuple):
        return f"{_named(type(value))}({', '.join(map(_text, value))})"
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | np.dtype):
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, jax.ShapeDtypeStruct):
        return str(value)
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        if not is_installed(type(value)):
            raise TypeError(f"{value!r} is of a class of one's own")
        fields = ((field.name, plain(getattr(value, field.name))) for field in dataclasses.fields(value))
        return f"{_named(type(value))}({', '.join(f'{name}={_text(given)}' for name, given in fields)})"
    return _named(value)


def _named(value: Any) -> str:
    """The name by which a class or function is imported."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not (module and name) or "<" in name:
        raise TypeError(f"{value!r} has no name")
    if functools.reduce(getattr, name.split("."), importlib.import_module(module)) is not value:
        raise TypeError(f"{module}.{name} is another one")
    return f"{module}.{name}"
