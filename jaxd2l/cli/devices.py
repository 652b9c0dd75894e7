"""`--devices`: on how many devices to run."""

import argparse


def number_of_devices(text: str) -> int | str:
    """A number of at least 1, or "all"; argparse's one-line error for anything else."""
    if text == "all":
        return text
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of devices from 1 on, or all, got {text!r}")
    return int(text)


def add_devices_option(parser: argparse._ActionsContainer, what: str) -> None:
    """Over how many devices to spread `what`."""
    parser.add_argument("--devices", type=number_of_devices, metavar="N|all", help=what)
