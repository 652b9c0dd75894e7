"""`python scripts/cost.py ...` is `jaxd2l cost ...`."""

from jaxd2l.cli import process

process("cost")
