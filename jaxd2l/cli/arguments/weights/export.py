"""The arguments of `jaxd2l export`."""

import argparse
from pathlib import Path
from typing import Any

from jaxd2l.cli import options


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Describe the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "export",
        help="take a run's network away, checked against the run",
        description="Write a run's network for use elsewhere. What is written is read back and compared with the run's "
        "own predictions on 100 test examples (or all) first; where they differ nothing is written.",
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="a folder that jaxd2l train wrote")
    parser.add_argument(
        "--to",
        choices=options.EXPORTS,
        required=True,
        help="stablehlo: a program of jax.export with the weights inside, for any number of examples, on CPU, CUDA and "
        "TPU; onnx: the same in float32 for onnxruntime and what else reads ONNX; safetensors: the weights by this "
        "package's names; torch: by PyTorch's, as a state_dict",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="PATH", help="the file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace PATH where it exists")
    parser.add_argument(
        "--what",
        choices=options.EXPORTED,
        default="predict",
        help="of stablehlo: the prediction (default), or one update of the training, with the state that it begins "
        "with in a .state.safetensors beside it",
    )
    parser.add_argument(
        "--prepared",
        action="store_true",
        help="a prediction of stablehlo or onnx takes float32 inputs as the network sees them, not bytes as the data "
        "set stores them: scaling, resizing and standardising stay outside",
    )
    options.add_weights_option(parser)
    options.add_device_option(parser)
    return parser
