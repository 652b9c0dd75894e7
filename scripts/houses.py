"""`python scripts/houses.py ...` is `jaxd2l houses ...`."""

import sys

from jaxd2l.cli import main

sys.exit(main(["houses", *sys.argv[1:]]))
