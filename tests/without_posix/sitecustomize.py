"""What this project's modules see of Python on a system that is not POSIX; Python imports it where PYTHONPATH names it.

The standard library, JAX and the other packages need what is taken away here in order to run at all, so nothing is
removed from them. Two things are changed for whoever imports from a file of this repository, or from `python -c`:

- modules that only POSIX systems have cannot be imported;
- `os` and `signal` are copies without the names that Windows or macOS do not have.

`python scripts/portable_test.py` runs the portable tests like this, commands that they start included.
"""

import builtins
import importlib
import sys
import types
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
NO_MODULES = ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "posix")
NO_NAMES = {
    "os": (
        *("chown", "chroot", "confstr", "ctermid", "fchmod", "fchown", "fork", "forkpty", "fpathconf", "fstatvfs"),
        *("getegid", "geteuid", "getgid", "getgroups", "getloadavg", "getpgid", "getpgrp", "getpriority", "getresuid"),
        *("getsid", "getuid", "initgroups", "killpg", "lchown", "lockf", "mkfifo", "mknod", "nice", "openpty"),
        *("pathconf", "pathconf_names", "posix_fadvise", "posix_fallocate", "posix_spawn", "pread", "preadv", "pwrite"),
        *("pwritev", "pipe2", "register_at_fork", "sched_getaffinity", "sched_setaffinity", "sched_yield", "sendfile"),
        *("setegid", "seteuid", "setgid", "setpgid", "setpriority", "setsid", "setuid", "statvfs", "sync", "sysconf"),
        *("sysconf_names", "tcgetpgrp", "ttyname", "uname", "wait", "wait3", "wait4", "memfd_create", "eventfd"),
        *("O_CLOEXEC", "O_DIRECT", "O_DIRECTORY", "O_DSYNC", "O_NOCTTY", "O_NOFOLLOW", "O_NONBLOCK", "O_SYNC"),
        *("O_PATH", "O_TMPFILE", "O_ASYNC", "O_NDELAY", "WNOHANG", "F_LOCK", "F_ULOCK", "F_TLOCK"),
    ),
    "signal": (
        *("SIGKILL", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGQUIT", "SIGALRM", "SIGCHLD", "SIGPIPE", "SIGCONT", "SIGSTOP"),
        *("SIGTSTP", "SIGWINCH", "SIGXCPU", "SIGXFSZ", "SIG_BLOCK", "SIG_UNBLOCK", "SIG_SETMASK", "alarm", "pause"),
        *("pthread_kill", "pthread_sigmask", "setitimer", "siginterrupt", "sigpending", "sigwait", "sigtimedwait"),
    ),
}


def _without(name: str) -> types.ModuleType:
    whole = importlib.import_module(name)
    part = types.ModuleType(name, whole.__doc__)
    part.__dict__.update({key: value for key, value in whole.__dict__.items() if key not in NO_NAMES[name]})
    return part


def _is_ours(caller) -> bool:
    if caller is None or caller.get("__name__") == __name__:
        return False
    file = caller.get("__file__")
    if file is None:
        return caller.get("__name__") == "__main__" and caller.get("__spec__") is None  # `python -c`
    path = Path(file).absolute()
    return path.is_relative_to(REPOSITORY) and "site-packages" not in path.parts


_import, _parts = builtins.__import__, {name: _without(name) for name in NO_NAMES}


def _import_here(name, globals=None, locals=None, fromlist=(), level=0):
    first, _, rest = name.partition(".")
    if not level and (first in NO_MODULES or first in NO_NAMES) and _is_ours(globals):
        if first in NO_MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if not (rest and fromlist):  # `from os.path import ...` is of a module that every system has
            return _parts[first]
    return _import(name, globals, locals, fromlist, level)


builtins.__import__ = _import_here
sys.without_posix = True
