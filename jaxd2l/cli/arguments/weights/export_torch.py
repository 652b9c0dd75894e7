"""The arguments of `jaxd2l export-torch`."""

import argparse
from pathlib import Path
from typing import Any

from jaxd2l.cli import options


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Describe the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "export-torch",
        help="write a run's weights as a PyTorch state_dict",
        description="Write a run's weights for the same network in PyTorch: "
        "net.load_state_dict(safetensors.torch.load_file(FILE), strict=False).",
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="a folder that jaxd2l train wrote")
    parser.add_argument("file", type=Path, metavar="FILE", help="the .safetensors file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace FILE where it exists")
    options.add_weights_option(parser)
    return parser
