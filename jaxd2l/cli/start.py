"""What a training begins with: `--config`, `--init-from`, `--freeze`, and whether it is to the bit."""

import argparse
from pathlib import Path

from jaxd2l.cli.options import WEIGHTS


def patterns(text: str) -> list[str]:
    """Patterns with commas between, or argparse's one-line error."""
    found = [one.strip() for one in text.split(",")]
    if not all(found):
        raise argparse.ArgumentTypeError(f"expected patterns such as 'Conv_*', with commas between, got {text!r}")
    return found


def add_config_option(parser: argparse._ActionsContainer) -> None:
    """Which run's configuration fills in what is not typed."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="a run's config.json: all that it says of recipe, data and settings holds, but for what is typed here",
    )


def add_start_options(parser: argparse.ArgumentParser) -> None:
    """Weights to begin with, and which of them stay."""
    start = parser.add_argument_group("fine-tuning (default: weights drawn from the seed, all of them trained)")
    start.add_argument(
        "--init-from",
        type=Path,
        metavar="RUN_DIR|FILE",
        help="begin with the weights of a run or of a .safetensors file of one; a last layer for another number of "
        "classes is drawn from the seed. Weights of PyTorch: first jaxd2l import-torch",
    )
    start.add_argument("--weights", choices=WEIGHTS, help="which of that run's: last (default), best or ema")
    add_freeze_option(start)


def add_freeze_option(parser: argparse._ActionsContainer) -> None:
    """Which parameters stay as they are."""
    parser.add_argument(
        "--freeze",
        action="extend",
        type=patterns,
        metavar="PATTERN",
        help="do not train these parameters: paths with commas between, * is any text: 'Conv_*', '*/bias'; the running "
        "statistics of a frozen norm still move, as in PyTorch",
    )


def add_deterministic_option(parser: argparse._ActionsContainer) -> None:
    """Whether bits have to be equal on a GPU too."""
    parser.add_argument(
        "--deterministic",
        action="store_true",
        default=None,
        help="equal bits from run to run on a GPU too, at some speed; on a CPU they are equal anyway",
    )
