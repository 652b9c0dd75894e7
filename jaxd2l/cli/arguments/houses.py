"""The arguments of `jaxd2l houses`."""

import argparse
from pathlib import Path
from typing import Any

from jaxd2l.catalogue import AMES_CITATION
from jaxd2l.cli import options
from jaxd2l.cli.devices import add_devices_option
from jaxd2l.cli.start import add_deterministic_option


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Describe the command."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "houses",
        help="predict house prices, the model chosen by K-fold cross-validation",
        description="Cross-validate a linear model and a grid of MLPs on house prices, every fold and grid point in "
        "one compiled program, beside scikit-learn's ridge and gradient boosting where it is installed. The chosen "
        "model's folds predict the test file together. Models, grids and rates are fixed, for the table compares them; "
        "for settings of your own: jaxd2l sweep mlp --data TABLE.csv --target COLUMN.",
        epilog=f"without --train: {AMES_CITATION}",
    )
    data = parser.add_argument_group("data")
    data.add_argument("--train", type=Path, metavar="CSV", help="rows with Id and SalePrice (default: Ames, odd Id)")
    data.add_argument("--test", type=Path, metavar="CSV", help="rows to predict (default: Ames, even Id)")
    data.add_argument(
        "--submission",
        type=Path,
        metavar="CSV",
        help="where Id and predicted SalePrice go (default: submission.csv with --test, nowhere without)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs/houses"),
        metavar="DIR",
        help="where report.html goes: folds, residuals, the settings' ranking (default: %(default)s)",
    )
    parser.add_argument("--folds", type=options.integer, default=5, metavar="K", help="default: %(default)s")
    parser.add_argument("--seed", type=options.integer, default=0, help="deals the rows out to folds (default: 0)")
    parser.add_argument("--epochs", type=options.integer, metavar="N", help="of each training (default: 50; book 100)")
    parser.add_argument("--no-peers", action="store_true", help="leave scikit-learn's models out")
    options.add_report_option(parser)
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors and --json's line")
    options.add_device_option(parser)
    add_deterministic_option(parser)
    add_devices_option(
        parser, "spread the trainings over so many devices, as far as folds or grid can be cut evenly (all)"
    )
    return parser
