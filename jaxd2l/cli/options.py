"""Options that several commands share."""

import argparse
import difflib
import math
import re
from typing import Any

# The words that an option may be, which the library has as keys and values of its own: a test compares the two.
AUGMENTATIONS = ("flip", "crop", "crop_flip", "erase", "rotate")
OPTIMIZERS = ("sgd", "adam", "adamw")
SCHEDULES = ("constant", "cosine", "step", "linear")
PRECISIONS = ("float32", "bfloat16")
WEIGHTS = ("last", "best", "ema")
TASKS = ("classification", "regression")
METHODS = ("measure", "vmap", "loop")
INVERT = ("auto", "yes", "no")
EXPORTS = ("stablehlo", "onnx", "safetensors", "torch")
EXPORTED = ("predict", "train-step")
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def integer(text: str) -> int:
    """An integer, or argparse's one-line error."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected an integer, got {text!r}") from None


def number(text: str) -> float:
    """A finite number, or argparse's one-line error."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}")
    return value


def memory(text: str) -> int:
    """Bytes from text such as 8GiB, 500M or 1e9."""
    found = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*([KMGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
    try:
        number = float(found[1]) * _UNITS[found[2].upper()] if found else 0.0
    except ValueError:
        number = 0.0
    if not 1 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"expected an amount of memory such as 8GiB or 500MiB, got {text!r}")
    return int(number)


def add_recipe_options(parser: argparse.ArgumentParser, *, rates: bool = True) -> None:
    """Every field of a recipe that may be overridden; unset means the recipe's own.

    Args:
        parser: of the command.
        rates: the learning rate and weight decay too; a sweep has lists of them.
    """
    group = parser.add_argument_group("settings (default: the recipe's own)")
    group.add_argument("--epochs", type=integer, metavar="N", help="passes over the training examples")
    group.add_argument("--batch-size", type=integer, metavar="N", help="examples an update")
    if rates:
        group.add_argument("--learning-rate", type=number, metavar="RATE", help="step size")
        group.add_argument("--weight-decay", type=number, metavar="LAMBDA", help="penalty lambda/2 |kernel|^2")
    group.add_argument("--clip-norm", type=number, metavar="NORM", help="scale longer gradients down to this L2 norm")
    group.add_argument("--image-size", type=integer, metavar="PIXELS", help="images are resized to this, a side")
    group.add_argument("--dataset", metavar="NAME", help="fashion_mnist (embedded), mnist, kmnist, cifar10")
    group.add_argument(
        "--precision", choices=PRECISIONS, help="what the network computes in; on a CPU bfloat16 takes no less time"
    )
    group.add_argument(
        "--remat", action="store_true", default=None, help="keep few activations, compute the others twice"
    )
    group.add_argument("--accumulate", type=integer, metavar="N", help="cut each batch into N pieces to save memory")
    group.add_argument(
        "--ema",
        type=number,
        metavar="DECAY",
        help="average the weights too, the average keeping DECAY of itself in each update: .99 spans about 100 updates",
    )
    add_optimizer_options(parser)
    add_loss_options(parser)


def add_optimizer_options(parser: argparse.ArgumentParser) -> None:
    """The rule of an update, and how its learning rate goes over the run; unset means the recipe's own."""
    group = parser.add_argument_group("optimizer and schedule (default: the recipe's own; else plain sgd at one rate)")
    group.add_argument(
        "--optimizer",
        choices=OPTIMIZERS,
        help="weight decay adds to the gradient, in adamw it is decoupled from it; kernels alone decay in all",
    )
    group.add_argument("--momentum", type=number, metavar="SHARE", help="of sgd: share of the last step kept: .9")
    group.add_argument(
        "--nesterov", action=argparse.BooleanOptionalAction, default=None, help="of sgd: look ahead along the momentum"
    )
    group.add_argument(
        "--schedule",
        choices=SCHEDULES,
        help="cosine and linear fall towards 0, one update past the last; step: by --step-factor after --step-epochs",
    )
    group.add_argument(
        "--warmup", type=number, metavar="EPOCHS", help="the rate rises from 0 along a line first; parts count (.5)"
    )
    group.add_argument("--step-epochs", type=integer, metavar="N", help="of step (default: a third of the run)")
    group.add_argument("--step-factor", type=number, metavar="F", help="of step (default: 0.1)")


def add_loss_options(parser: argparse.ArgumentParser) -> None:
    """What training sees and minimises; unset means the recipe's own."""
    group = parser.add_argument_group(
        "training alone (default: the recipe's own; else nothing)",
        "drawn anew in each step; test figures are of the images as they are, unweighted and unsmoothed",
    )
    group.add_argument(
        "--augment",
        type=augmentations,
        metavar="LIST",
        help="change images at random, one after another: some of flip, crop (shifts by up to 4 pixels), erase (a "
        "rectangle, in every second image), rotate (up to 10 degrees), with commas between; crop_flip is crop,flip",
    )
    group.add_argument(
        "--mixup",
        type=number,
        metavar="ALPHA",
        help="mix each batch with itself in a share drawn from Beta(ALPHA, ALPHA): .2, say; the training accuracy is "
        "that of the heavier label",
    )
    parser.set_defaults(class_weights=None)  # those of a configuration; --class-weights says where to take others from
    group.add_argument("--label-smoothing", type=number, metavar="E", help="share of the target that all classes get")
    group.add_argument(
        "--class-weights",
        dest="class_weights_from",
        metavar="balanced|FILE",
        help="how much each class counts: n / (classes * its training rows), or a JSON object or CSV of class, weight",
    )


def augmentations(text: str) -> str:
    """A list of augmentations, or argparse's one-line error."""
    for word in (word.strip() for word in text.split(",")):
        if word not in AUGMENTATIONS:
            near = difflib.get_close_matches(word, AUGMENTATIONS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"expected some of {', '.join(AUGMENTATIONS)}"
            raise argparse.ArgumentTypeError(f"unknown {word!r}; {hint}")
    return text


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """How much of the data to use."""
    group = parser.add_argument_group("data")
    group.add_argument("--limit-train", type=integer, metavar="N", help="use the first N training examples")
    group.add_argument("--limit-test", type=integer, metavar="N", help="use the first N test examples")


def add_validation_options(parser: argparse.ArgumentParser, *, early_stop: bool = True) -> None:
    """How much of the training examples judges the epochs, and what that decides."""
    group = parser.add_argument_group("validation (default: each epoch is judged by the test examples)")
    group.add_argument(
        "--validation-fraction",
        type=number,
        metavar="SHARE",
        help="hold this share of the training examples out, of each class alike, to judge epochs by: .1; the test "
        "examples are judged once, at the end",
    )
    if early_stop:
        group.add_argument(
            "--early-stop",
            type=integer,
            metavar="PATIENCE",
            help="end after PATIENCE epochs without a better one on the validation part",
        )


def add_own_data_options(parser: argparse.ArgumentParser) -> None:
    """Where data of the user's own lie, and how they are read."""
    group = parser.add_argument_group("data of your own")
    group.add_argument(
        "--data",
        metavar="WHERE",
        help="a folder of class folders (with or without train/ and test/), FILE.npz, LIST.csv of file,label or "
        "tfds:DIR; with --target, a table",
    )
    group.add_argument("--channels", type=integer, choices=(1, 3), help="1 grey, 3 colour (default: as the pictures)")
    group.add_argument("--target", metavar="COLUMN", help="the column of a table to predict from all others")
    group.add_argument(
        "--ignore",
        action="append",
        metavar="COLUMN",
        help="a column that plays no part, such as one that only names the rows; may be given again",
    )
    group.add_argument("--task", choices=TASKS, help="what the target is (default: by its values)")
    group.add_argument(
        "--test-fraction", type=number, metavar="SHARE", help="held out where there is no test part (default: 0.2)"
    )
    group.add_argument(
        "--split-seed",
        type=integer,
        metavar="SEED",
        help="decides which are held out, for validation too, whatever --seed is (default: 0)",
    )
    group.add_argument(
        "--skip-unreadable", action="store_true", default=None, help="go on without pictures that cannot be read"
    )


def add_stream_options(parser: argparse.ArgumentParser) -> None:
    """Data that do not fit on the device."""
    parser.add_argument(
        "--stream",
        action="store_true",
        help="read the data while training, through Grain, and keep a few batches on the device: the same numbers; "
        "pictures of --data are decoded anew each time (default: only where the data do not fit)",
    )
    parser.add_argument(
        "--workers", type=integer, metavar="N", help="processes that decode streamed pictures (default: one a core)"
    )


def add_report_option(parser: Any) -> None:
    """Whether a command ends with a page to look at."""
    parser.add_argument(
        "--no-report", action="store_true", help="write no report.html, which is made last and takes seconds"
    )


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Where to run."""
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "gpu", "tpu"),
        default="auto",
        help="auto takes the best there is; the others fail where there is none",
    )


def add_weights_option(parser: argparse.ArgumentParser) -> None:
    """Which of a run's weights to take."""
    parser.add_argument(
        "--weights",
        choices=WEIGHTS,
        default="last",
        help="those after the last finished epoch (default); after the best: highest accuracy, for regression lowest "
        "loss, of the validation part or, where there is none, of the test part; or the average after the last",
    )
