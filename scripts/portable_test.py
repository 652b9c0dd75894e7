"""Run the portable tests as on a system without POSIX: no `fcntl`, no `resource`, no `os.fork`, no `SIGKILL`, ...

    python scripts/portable_test.py [arguments of pytest]

Such names are taken from the view of this project's modules, tests and commands alone, by
`tests/without_posix/sitecustomize.py`. Without arguments it runs what the portable job of `.github/workflows/ci.yml`
runs on macOS and Windows: `pytest -m "not posix"`.
"""

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PORTABLE = ["-m", "not posix"]


def main() -> int:
    """The exit code of pytest."""
    paths = [str(REPOSITORY / "tests" / "without_posix"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-m", "pytest", *PORTABLE, *sys.argv[1:]]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
