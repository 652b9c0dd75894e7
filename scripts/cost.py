"""`python scripts/cost.py ...` is `jaxd2l cost ...`."""

import sys

from jaxd2l.cli import main

sys.exit(main(["cost", *sys.argv[1:]]))
