"""`python scripts/evaluate.py ...` is `jaxd2l evaluate ...`."""

import sys

from jaxd2l.cli import main

sys.exit(main(["evaluate", *sys.argv[1:]]))
