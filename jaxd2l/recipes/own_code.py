"""A network or a recipe in a file of the user's own: `mynet.py:Net`, or an importable `package.module:Name`.

The file is executed, as Python would; nothing of the kind is ever taken from a run's folder.
"""

import dataclasses
import difflib
import hashlib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import flax.linen as nn

from jaxd2l.recipes.fitting import OUTPUTS
from jaxd2l.train.recipe import Recipe

_EXPECTED = "a flax.linen module, its class, or a jaxd2l.Recipe"


class Code(NamedTuple):
    """Where a network comes from; plain values for a run's configuration.

    Attributes:
        name: `FILE.py:NAME` by an absolute path, or `package.module:NAME`.
        folder: that has to be on Python's path for an importable name; "" where it is anyway.
        sha256: of the file.
    """

    name: str
    folder: str
    sha256: str

    @property
    def changed(self) -> bool:
        """Whether the file is another one than it was."""
        return self.sha256 != _digest(self.file)

    @property
    def file(self) -> Path | None:
        """The file, None where an importable name has none that can be found."""
        where, _, _ = self.name.rpartition(":")
        if where.endswith(".py"):
            return Path(where)
        _reach(self.folder)
        try:
            spec = importlib.util.find_spec(where)
        except (Exception, SystemExit):  # of a package's own code, which runs here; `load_recipe` says what it is
            return None
        return Path(spec.origin) if spec and spec.origin and os.path.exists(spec.origin) else None


def is_code(name: str) -> bool:
    """Whether a recipe's name is that of a file or a module."""
    return ":" in name or name.endswith(".py")


def code_of(name: str) -> Code:
    """Where the network called `name` comes from, by names that survive a change of the working folder.

    Raises:
        ValueError: no name of a file or a module with one of a network in it.
        FileNotFoundError: there is no such file.
    """
    where, _, attribute = name.rpartition(":")
    if name.endswith(".py") or not where or not attribute.isidentifier():
        example = f"{name}:Net" if name.endswith(".py") else "mynet.py:Net or package.module:Net"
        raise ValueError(f"{name!r} does not say what to take; name the network in the file: {example}")
    if where.endswith(".py"):
        path = Path(where).expanduser().absolute()
        if not path.is_file():
            raise FileNotFoundError(2, "no such file with a network", where)
        return Code(f"{path}:{attribute}", "", _digest(path))
    here = Code(name, os.getcwd(), "")
    file = here.file
    return here._replace(folder=here.folder if file and file.is_relative_to(here.folder) else "", sha256=_digest(file))


def kept_code(config: Mapping[str, Any]) -> Code | None:
    """Where a run's configuration says that its network comes from; None for one of this package.

    Raises:
        ValueError: it is not what a training writes.
    """
    record = config.get("code")
    if record is None:
        return None
    try:
        return Code(*(str(record[name]) for name in Code._fields))
    except (KeyError, TypeError) as error:
        raise ValueError(f"code is not what a training writes ({error!r})") from error


def load_recipe(code: Code) -> Recipe:
    """The recipe at `code`, or one with honest defaults around the network there.

    Raises:
        ValueError: in one line, what is wrong with the file or the name.
        FileNotFoundError: there is no such file.
    """
    where, _, attribute = code.name.rpartition(":")
    module = _file_module(Path(where)) if where.endswith(".py") else _named_module(where, code.folder)
    file = getattr(module, "__file__", None) or ""
    if any("\ud800" <= letter <= "\udfff" for letter in file):  # XLA takes no such name of where a layer comes from
        raise ValueError(f"network file {file!r}: the name is not UTF-8, or is not read so here (LC_ALL=C.UTF-8 helps)")
    names = [name for name, value in vars(module).items() if _is_ours(value)]
    if not hasattr(module, attribute):
        near = difflib.get_close_matches(attribute, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(names) or 'no network at all'}"
        raise ValueError(f"{where} has no {attribute}; {hint}")
    value = getattr(module, attribute)
    if isinstance(value, Recipe):
        return value
    model = value if isinstance(value, nn.Module) else _instance(value, code.name, attribute)
    return Recipe(attribute, model, "")


def _is_ours(value: Any) -> bool:
    is_class = isinstance(value, type) and issubclass(value, nn.Module) and value is not nn.Module
    return is_class or isinstance(value, nn.Module | Recipe)


def _instance(value: Any, name: str, attribute: str) -> nn.Module:
    if not (isinstance(value, type) and issubclass(value, nn.Module)):
        bases = value.__mro__ if isinstance(value, type) else type(value).__mro__
        kind = next((f" of {base.__module__.split('.')[0]}" for base in bases if base.__name__ == "Module"), "")
        what = f"a class{kind}" if isinstance(value, type) else f"a {type(value).__name__}{kind}"
        raise ValueError(f"{name} is {what}, expected {_EXPECTED}")
    required = [
        field.name
        for field in dataclasses.fields(value)
        if field.init and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    if needed := [one for one in required if one not in OUTPUTS]:
        example = ", ".join(f"{one}=..." for one in required)
        raise ValueError(
            f"{name} needs arguments: {', '.join(needed)}; name an instance of it instead: NET = {attribute}({example})"
        )
    try:
        return value(**dict.fromkeys(required, 1))  # the number of outputs, which the data decide
    except Exception as error:
        raise ValueError(f"{name} cannot be made: {_why(error, None)}") from error


def _file_module(path: Path) -> ModuleType:
    if not path.is_file():
        raise FileNotFoundError(2, "no such file with a network", str(path))
    name = f"own_code_{hashlib.sha256(os.fsencode(path)).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # the name ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    _reach(str(path.parent))  # for the files beside it
    sys.modules[name] = module  # where dataclasses look for the names in annotations
    _executed(lambda: spec.loader.exec_module(module), str(path))
    return module


def _named_module(where: str, folder: str) -> ModuleType:
    _reach(folder or os.getcwd())
    module: ModuleType = _executed(lambda: importlib.import_module(where), where)
    return module


def _executed(run: Any, where: str) -> Any:
    try:
        return run()
    except (Exception, SystemExit) as error:
        raise ValueError(f"{where} cannot be imported: {_why(error, where)}") from error


def _why(error: BaseException, where: str | None) -> str:
    """The error in one line, with the last line of the user's file that led to it."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == where]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    at = "" if line is None else f", line {line}"
    said = " ".join(str(getattr(error, "msg", error)).split())[:200]
    return f"{type(error).__name__}{at}: {said}"


def _reach(folder: str) -> None:
    """Let Python find what lies in `folder`, after everything that is installed."""
    if folder and folder not in sys.path:
        sys.path.append(folder)


def _digest(path: Path | None) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() if path else ""
    except OSError:
        return ""
