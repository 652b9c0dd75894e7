"""`python scripts/train.py ...` is `jaxd2l train ...`."""

from jaxd2l.cli import process

process("train")
