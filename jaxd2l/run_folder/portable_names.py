r"""Names of files and folders that every system takes as they are.

Windows writes another name, or to a device, where one of `CON`, `NUL`, `COM1`, ... stands before the first dot, where
a name ends in a dot or a blank, and where it holds one of `<>:"|?*` or a control character
(https://learn.microsoft.com/windows/win32/fileio/naming-a-file).
"""

import os
import re
from pathlib import PurePath, PureWindowsPath

_SIGNS = re.compile(r'[<>:"|?*\\/\x00-\x1f]')
_DEVICES = re.compile(r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³])[ ]*(\.|\Z)", re.IGNORECASE)


def unportable(name: str) -> str | None:
    """What Windows makes of one part of a path that is not this name; None where it takes it as it is."""
    if sign := _SIGNS.search(name):
        return f"holds {sign.group()!r}"
    if device := _DEVICES.match(name):
        return f"is that of the device {device.group(1).upper()}"
    if name.endswith((".", " ")) and name not in (".", ".."):
        return "ends in a dot or a blank"
    return None


def folder_named(name: str) -> str:
    """The name of a recipe as that of a folder in another.

    Raises:
        ValueError: it would lie elsewhere.
    """
    if name == ".." or PurePath(name).parts != (name,) or "\0" in name:
        raise ValueError(f"the name of recipe {name!r} is that of a folder too: give it one without a slash")
    return name


def require_writable_name(path: PurePath, windows: bool = os.name == "nt") -> None:
    """Refuse a path that Windows would write somewhere else, on Windows; every other system takes any name.

    Raises:
        ValueError: with the part of the path and what is wrong with it.
    """
    if not windows:
        return
    whole = PureWindowsPath(path)
    for part in whole.parts[1:] if whole.anchor else whole.parts:
        if problem := unportable(part):
            raise ValueError(f"run folder {str(path)!r}: the name {part!r} {problem}, which Windows cannot write")
