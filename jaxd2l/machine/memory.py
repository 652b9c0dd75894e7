"""How much memory this process may still take from the machine: the least of what each who limits it allows."""

import importlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import psutil

_GROUPS = Path("/sys/fs/cgroup")
_PROCESS = Path("/proc/self")


def free_host_bytes() -> int | None:
    """The least of what the system can give, what each control group above this process allows and `ulimit`.

    A group is a container's, a scheduler's, a service's; of version 1 or 2. File cache that the kernel gives back when
    asked is not counted as taken. None where nobody tells.
    """
    return min([*_system(), *_control_groups(), *_process_limits()], default=None)


def _system() -> Iterator[int]:
    try:
        yield psutil.virtual_memory().available
    except (OSError, KeyError, ValueError, psutil.Error):  # a machine that does not show it
        return


def _control_groups() -> Iterator[int]:
    """What the group of this process and every group around it still allow."""
    try:
        lines = (_PROCESS / "cgroup").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        lines = []
    roots = {_GROUPS: "/", _GROUPS / "memory": "/"}  # inside a container the limits may stand at the root itself
    for line in lines:
        _, controllers, group = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            roots |= {_GROUPS: group, _GROUPS / "unified": group}
        elif "memory" in controllers.split(","):
            roots[_GROUPS / "memory"] = group
    for root, group in roots.items():
        inside = PurePosixPath(group.lstrip("/"))
        if ".." in inside.parts:  # outside of what this namespace shows
            inside = PurePosixPath()
        for folder in (inside, *inside.parents):
            if (room := _room(root / folder)) is not None:
                yield room


def _room(group: Path) -> int | None:
    """Limit minus use, plus the cache that can be given back; None without a limit."""
    for limit_file, use_file, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            limit = (group / limit_file).read_text(encoding="ascii").strip()
            if limit == "max":
                return None
            used = int((group / use_file).read_text(encoding="ascii"))
            stat = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
            return max(0, int(limit) - used + int(stat.get(cache, 0)))
        except (OSError, ValueError):
            continue
    return None


def _process_limits() -> Iterator[int]:
    """`ulimit -v` and `ulimit -d`, minus what the process has mapped; nothing where the system has no such limits."""
    try:
        resource = importlib.import_module("resource")
        pages = [int(number) for number in (_PROCESS / "statm").read_text(encoding="ascii").split()]
    except (ImportError, OSError, ValueError):
        return
    for which, used in ((resource.RLIMIT_AS, pages[0]), (resource.RLIMIT_DATA, pages[5])):
        limit = resource.getrlimit(which)[0]
        if limit != resource.RLIM_INFINITY:
            yield max(0, limit - used * resource.getpagesize())
