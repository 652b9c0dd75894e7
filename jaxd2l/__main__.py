"""`python -m jaxd2l` is `jaxd2l`."""

from jaxd2l.cli import process

if __name__ == "__main__":
    process()
