"""`--devices`: on how many devices to run."""

import argparse


def number_of_devices(text: str) -> int | str:
    """A number of at least 1, or "all"; argparse's one-line error for anything else."""
    if text == "all":
        return text
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of devices from 1 on, or all, got {text!r}")
    return int(text)


def add_shard_option(parser: argparse._ActionsContainer) -> None:
    """Whether each device holds a part of the parameters only."""
    parser.add_argument(
        "--shard-parameters",
        action="store_true",
        help="divide large kernels and what the optimizer keeps of them over the devices too (ZeRO, FSDP): less memory "
        "on each, the same numbers, and each step they ask each other for the kernels",
    )


def add_devices_option(parser: argparse._ActionsContainer, what: str) -> None:
    """Over how many devices to spread `what`."""
    parser.add_argument("--devices", type=number_of_devices, metavar="N|all", help=what)
