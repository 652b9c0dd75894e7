"""`python scripts/sweep.py ...` is `jaxd2l sweep ...`."""

import sys

from jaxd2l.cli import main

sys.exit(main(["sweep", *sys.argv[1:]]))
