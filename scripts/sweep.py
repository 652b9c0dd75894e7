"""`python scripts/sweep.py ...` is `jaxd2l sweep ...`."""

from jaxd2l.cli import process

process("sweep")
