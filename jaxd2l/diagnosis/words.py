"""What people call the figures of an epoch, in English and Chinese."""

import re
from collections.abc import Sequence

EPOCH, LOSS, TRAIN, TEST, VALIDATION = "epoch", "loss", "train accuracy", "test accuracy", "validation accuracy"
OTHER_LOSS = "test loss"  # which no curve is compared by
BARE_LOSS = "loss after the word test"  # as in `test acc .5, loss 1.0`: of training, where no other loss is
FIGURES = (LOSS, TRAIN, TEST)
ACCURACIES = (TRAIN, TEST, VALIDATION)

_FIFTH = "fifth"  # of the best guesses: an accuracy that no curve is compared by
_CHINESE = {
    "损失": "loss",
    **dict.fromkeys(("准确率", "正确率", "精确率", "准确度", "精度"), "accuracy"),
    "训练": "train",
    "测试": "test",
    "验证": "validation",
    **dict.fromkeys(("迭代周期", "周期", "轮次", "轮"), "epoch"),
}
_EPOCHS = {"epoch", "epochs", "ep"}
_LOSSES = {"loss", "losses", "nll", "xent", "crossentropy", "entropy"}
_ACCURACIES = {"acc", "accs", "accuracy", "accuracies", "top", "prec"}
_TRAINS = {"train", "training", "tr", "trn"}
_TESTS = {"test", "testing", "te"}
_VALIDATIONS = {"val", "valid", "validation", "validate", "eval", "evaluation", "dev"}

_ONE_WORD = re.compile(r"(?i)(train|test|validation|valid|val)(?=loss|acc)")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_TOP_ONE = re.compile(r"(?i)(?<![^\W_])(acc(?:uracy)?|top|prec)[@_-]?1(?![^\W_])(?!\.)")
_TOP_FIVE = re.compile(r"(?i)(?<![^\W_])(?:(?:acc(?:uracy)?|top|prec)[@_-]?5|top[@_-]?k)(?![^\W_])(?!\.)")
_COUNT = re.compile(
    r"(?i)\b(on|over)\s+(?:the\s+|all\s+)*\d[\d,]*\s+(?=(?:\w+\s+)?(?:images|examples|samples|pictures)\b)"
)
_CHINESE_EPOCH = re.compile(r"第\s*(\d+)\s*个?\s*(?:迭代周期|周期|轮次|轮|epoch)")


def in_english(text: str) -> str:
    """The text with names that hold a number (`acc@1`, `accuracy on 100 images`) and Chinese ones in plain words."""
    text = _CHINESE_EPOCH.sub(r"epoch \1 ", text)
    for word, english in _CHINESE.items():
        text = text.replace(word, f" {english} ")
    return _COUNT.sub(r"\1 ", _TOP_FIVE.sub(_FIFTH, _TOP_ONE.sub(r"\1", text)))


def split_named(name: str) -> str | None:
    """The part of the data that a phrase names last: "train", "test" or "validation"; None for none."""
    found = None
    for word in _words(name):
        for part, known in (("train", _TRAINS), ("test", _TESTS), ("validation", _VALIDATIONS)):
            found = part if word in known else found
    return found


def figure_named(name: str, part: str | None = None) -> str | None:
    """The figure that the words before a number name; None for any other.

    Args:
        name: such as `train_acc`, `val_accuracy`, `Avg loss` or `Epoch`.
        part: of the data, where the words name none; None counts as training.
    """
    words = _words(name)
    if _FIFTH in words:
        return None
    metrics = [word for word in words if word in _LOSSES or word in _ACCURACIES]
    if not metrics:
        return EPOCH if _EPOCHS & set(words) else None
    own = split_named(name)
    if metrics[-1] in _LOSSES:
        if own is None:
            return LOSS if part in (None, "train") else BARE_LOSS
        return LOSS if own == "train" else OTHER_LOSS
    return {"train": TRAIN, "test": TEST, "validation": VALIDATION}[own or part or "train"]


def figures_named(names: Sequence[str]) -> list[str | None]:
    """The figures that columns name, in their order.

    An accuracy without a part is that of training, but where no accuracy has one that of the part named last before
    it, as in a line: `train_loss, valid_loss, accuracy`.
    """
    found = [figure_named(name) for name in names]
    if {split_named(name) for name, figure in zip(names, found, strict=True) if figure in ACCURACIES} != {None}:
        return found
    part = None
    for i, name in enumerate(names):
        part = split_named(name) or part
        found[i] = figure_named(name, part) if found[i] in ACCURACIES else found[i]
    return found


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z]+", _CAMEL.sub(" ", _ONE_WORD.sub(r"\1 ", name)).lower())
