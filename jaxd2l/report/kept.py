"""Finished trainings of a sweep or a reproduction: a JSON file each, so that a stopped command goes on where it was."""

import json
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any

from jaxd2l.data import DataError
from jaxd2l.train.recipe import complete

type Settings = dict[str, Any]


def read_kept[Member: Hashable, Result](
    paths: Mapping[Member, Path],
    settings_of: Callable[[Member], Settings],
    result_of: Callable[[dict[str, Any]], Result],
    foreign: str,
) -> dict[Member, Result]:
    """The results of those members whose file is there.

    Args:
        paths: of every member.
        settings_of: what a member has to have been made with.
        result_of: the result that a file's content holds; any of ValueError, KeyError and TypeError where it is none.
        foreign: what a file that holds no result is called, and what to do with it; `{error}` stands in it.

    Raises:
        DataError: a file is no result of the command, or was made with other settings.
    """
    return {
        member: _read(path, settings_of(member), result_of, foreign) for member, path in paths.items() if path.exists()
    }


def _read[Result](
    path: Path, expected: Settings, result_of: Callable[[dict[str, Any]], Result], foreign: str
) -> Result:
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
        found, result = complete(content["settings"]), result_of(content)
        differing = sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
    except (ValueError, OverflowError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: {foreign.format(error=repr(error))}") from error
    if differing:
        name, ending = differing[0], "name another --out, or remove the file"
        if name == "sha256" and isinstance(found.get(name), dict) and isinstance(expected.get(name), dict):
            then, now = found[name], expected[name]
            parts = ", ".join(part for part in {**then, **now} if then.get(part) != now.get(part))
            raise DataError(f"{path} was made with other data: {parts} are not the same; {ending}")
        raise DataError(f"{path} was made with {name} {found.get(name)!r}, asked is {expected.get(name)!r}; {ending}")
    return result
