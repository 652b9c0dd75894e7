"""`python scripts/evaluate.py ...` is `jaxd2l evaluate ...`."""

from jaxd2l.cli import process

process("evaluate")
