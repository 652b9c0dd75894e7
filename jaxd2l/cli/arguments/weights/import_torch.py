"""The arguments of `jaxd2l import-torch`."""

import argparse
from pathlib import Path
from typing import Any

from jaxd2l.cli import options


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Describe the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "import-torch",
        help="make a run folder from a PyTorch state_dict",
        description="Convert the state_dict of a network of the book, or of torchvision's ResNet-18/34/50, "
        "VGG-11/13/16/19 or AlexNet, saved as safetensors, into a run folder. "
        "In PyTorch: safetensors.torch.save_file(net.state_dict(), 'net.safetensors'). Pickles (.pt, .pth) are "
        "refused, because loading one runs what is in it.",
    )
    parser.add_argument("recipe", metavar="RECIPE", help="which network and data")
    parser.add_argument("file", type=Path, metavar="FILE", help="a .safetensors file")
    parser.add_argument("--out", type=Path, metavar="RUN_DIR", required=True, help="the run folder to write")
    parser.add_argument(
        "--by-order",
        action="store_true",
        help="of a flat nn.Sequential: take its arrays in the order of their numbers, whatever these are; each needs "
        "the network's shape",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the run that --out holds")
    options.add_recipe_options(parser)
    return parser
