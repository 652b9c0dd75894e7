"""`python scripts/train.py ...` is `jaxd2l train ...`."""

import sys

from jaxd2l.cli import main

sys.exit(main(["train", *sys.argv[1:]]))
