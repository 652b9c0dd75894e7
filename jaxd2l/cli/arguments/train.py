"""The arguments of `jaxd2l train`."""

import argparse
from pathlib import Path
from typing import Any

from jaxd2l.catalogue import EXPERIMENTS
from jaxd2l.cli import options
from jaxd2l.cli.devices import add_devices_option, add_process_options, add_shard_option
from jaxd2l.cli.start import add_config_option, add_deterministic_option, add_start_options

WHEN_STOPPED = "before the first update"


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Describe the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "train",
        help="train a recipe and write a run folder",
        description="Train a recipe. Writes config.json, environment.json, metrics.jsonl, weights.safetensors, "
        "best.safetensors, checkpoints and report.html into the run's folder. The best epoch is chosen on the "
        "test examples unless --validation-fraction holds some out for it. SIGTERM and Ctrl-C save before they stop "
        "it; --resume goes on.",
        epilog=f"recipes: {', '.join(EXPERIMENTS)} (see jaxd2l list)",
    )
    parser.add_argument(
        "recipe",
        metavar="RECIPE",
        nargs="?",
        help="which network and settings; one of your own is FILE.py:NAME or package.module:NAME: a flax.linen module, "
        "its class, or a jaxd2l.Recipe",
    )
    add_config_option(parser)
    parser.add_argument("--seed", type=options.integer, help="0 to 4294967295 (default: 0)")
    options.add_recipe_options(parser)
    add_start_options(parser)
    options.add_own_data_options(parser)
    options.add_data_options(parser)
    options.add_validation_options(parser)
    output = parser.add_argument_group("output")
    output.add_argument("--out", type=Path, metavar="DIR", help="the run's folder (default: runs/RECIPE/TIME-seedK)")
    output.add_argument("--overwrite", action="store_true", help="replace the run that --out holds")
    output.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run that --out holds, or begin it there; settings left out are the run's own, "
        "and a larger --epochs makes it longer, unless its schedule is laid out for them",
    )
    output.add_argument(
        "--checkpoint-every",
        type=options.number,
        default=30.0,
        metavar="SECONDS",
        help="save inside an epoch too, this often (default: 30); at the end of an epoch once 5 s have passed",
    )
    output.add_argument(
        "--keep", type=options.integer, default=2, metavar="N", help="newest checkpoints kept beside the best (2)"
    )
    output.add_argument(
        "--tensorboard",
        type=Path,
        nargs="?",
        const=Path(),
        metavar="DIR",
        help="write scalars, configuration and curves for TensorBoard too (default: tensorboard/RUN beside the run)",
    )
    options.add_report_option(output)
    output.add_argument("--quiet", action="store_true", help="print nothing but errors and --json's line")
    options.add_device_option(parser)
    add_devices_option(
        parser,
        "divide each batch over so many devices of this kind, each of which holds all parameters (default: as many as "
        "there are and the batch can be divided over; with --resume, as many as the run began with)",
    )
    add_shard_option(parser)
    options.add_stream_options(parser)
    add_process_options(parser)
    add_deterministic_option(parser)
    return parser
