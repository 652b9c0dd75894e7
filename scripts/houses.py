"""`python scripts/houses.py ...` is `jaxd2l houses ...`."""

from jaxd2l.cli import process

process("houses")
