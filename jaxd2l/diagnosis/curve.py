"""A curve: loss, training accuracy and test accuracy after each epoch, out of pasted lines or Python's values."""

import codecs
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from jaxd2l.diagnosis.lines import records_of
from jaxd2l.diagnosis.value import CurveError, Record, Value, epoch_of, told_first
from jaxd2l.diagnosis.words import EPOCH, FIGURES, LOSS, TEST, TRAIN, VALIDATION, figures_named, in_english

_ROWS = 10_000  # epochs that are read at most
_BYTES = 10_000_000


class Curve(NamedTuple):
    """What was read.

    Attributes:
        figures: training loss in nats, training and test accuracy in [0, 1] of each epoch (epochs, 3), from the first
            one on; NaN where not told.
        diverged: the first epoch whose loss is not finite; its row and those after it are NaN. None where none is.
        left_out: how many lines with numbers told no figure of an epoch.
        again: how many epochs were told again after others, as where two runs are in a file; the last figures count.
    """

    figures: np.ndarray
    diverged: int | None = None
    left_out: int = 0
    again: int = 0


def read_curve(curve: Any, *, columns: Sequence[str] | None = None, first_epoch: int | None = None) -> Curve:
    """Read a curve.

    Args:
        curve: text (see `jaxd2l.diagnosis.lines`); a `Path` of a file with it; columns by name, such as Keras's
            `history.history`; rows of loss, training accuracy and test accuracy (epochs, 3), None where not known,
            NaN too for an accuracy; the epochs of a run of this package, or the run. A loss of NaN has diverged.
        columns: what columns of bare numbers in a text are, of "epoch", "loss", "train", "test" and "-" for others.
        first_epoch: the epoch of the first line or row, where they are not numbered; 1 by default.

    Raises:
        CurveError: what cannot be read, in one line.
        OSError: the file cannot be read.
    """
    if isinstance(curve, Curve):
        return curve
    left_out = 0
    if isinstance(curve, Path):
        curve = text_of(curve)
    if isinstance(curve, str):
        records, left_out = records_of(curve, columns)
    else:
        if columns is not None:
            raise CurveError("columns name those of a text; give rows of loss, training accuracy, test accuracy")
        records = _records(getattr(curve, "epochs", curve))
    if first_epoch is not None and any(EPOCH in record for record in records):
        raise CurveError("the epochs are numbered, so the first one is known; leave first_epoch out")
    if first_epoch is not None and not 1 <= first_epoch <= _ROWS:
        raise CurveError(f"the first epoch is a number from 1 on, got {first_epoch}")
    return _curve(records, first_epoch or 1)._replace(left_out=left_out)


def text_of(file: Path | BinaryIO) -> str:
    """What a file holds, in UTF-8 or, with its mark before it, in UTF-16, as Windows' shells write it.

    Raises:
        CurveError: it is no text, or more than anybody pastes.
        OSError: it cannot be read.
    """
    if isinstance(file, Path):
        with open(file, "rb") as opened:
            data, name = opened.read(_BYTES + 1), str(file)
    else:
        data, name = file.read(_BYTES + 1), "standard input"
    if len(data) > _BYTES:
        raise CurveError(f"{name} holds more than {_BYTES / 1e6:.0f} MB; give the lines of the epochs alone")
    utf_16 = data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    try:
        return data.decode("utf-16" if utf_16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise CurveError(f"{name} is no text in UTF-8: {error.reason} at byte {error.start}") from None


def _records(curve: Any) -> list[Record]:
    if isinstance(curve, Mapping):
        named = zip(_figures(curve), curve.items(), strict=True)
        columns = [(name, np.ravel(values)) for figure, (name, values) in named if figure is not None]
        if not columns or len({len(values) for _, values in columns}) > 1:
            lengths = ", ".join(f"{name!s} ({np.size(values)})" for name, values in curve.items())
            raise CurveError(f"expected columns of one length, such as loss and accuracy, got {lengths or 'none'}")
        return [_numbers({name: values[i] for name, values in columns}, i) for i in range(len(columns[0][1]))]
    if hasattr(curve, "__array__") and not hasattr(curve, "columns"):  # of JAX or PyTorch; a frame's columns have names
        curve = np.asarray(curve)
    rows = list(curve) if isinstance(curve, Sequence) or (isinstance(curve, np.ndarray) and curve.ndim) else [curve]
    if rows and all(hasattr(row, "train_loss") for row in rows):
        return [_numbers(_of_result(row), i) for i, row in enumerate(rows)]
    if rows and all(isinstance(row, Mapping) for row in rows):
        return [_numbers(row, i) for i, row in enumerate(rows)]
    try:
        array = np.array([[np.nan if cell is None else cell for cell in row] for row in rows], np.float64)
    except (TypeError, ValueError, OverflowError):
        array = np.empty(0)
    if array.ndim != 2 or array.shape[1] != 3:
        raise CurveError(
            "expected text, or rows of three numbers each: loss, training accuracy, test accuracy (None where not "
            f"known), got {type(curve).__name__} {np.shape(array) if array.size else ''}"
        )
    return [_numbers(dict(zip(FIGURES, row, strict=True)), i) for i, row in enumerate(rows)]


def _figures(names: Iterable[Any]) -> list[str | None]:
    return figures_named([in_english(str(name)) for name in names])


def _of_result(result: Any) -> dict[str, Any]:
    """An epoch of a run of this package."""
    judged = result.validation_accuracy if result.test_accuracy is None else result.test_accuracy
    return {EPOCH: result.epoch, LOSS: result.train_loss, TRAIN: result.train_accuracy, TEST: judged}


def _numbers(row: Mapping[Any, Any], i: int) -> Record:
    named = [(figure, value) for figure, value in zip(_figures(row), row.values(), strict=True) if figure is not None]
    try:
        return told_first((name, None if value is None else Value(float(value), line=i + 1)) for name, value in named)
    except (TypeError, ValueError, OverflowError):
        raise CurveError(f"row {i + 1} holds what is no number: {dict(named)}") from None


def _curve(records: Sequence[Record], first: int) -> Curve:
    """Records as rows of an array, accuracies as shares, in their epochs."""
    numbers = [epoch_of(record) for record in records]
    from_zero = 0 in numbers
    told, last = [], first - 1
    for number, record in zip(numbers, records, strict=True):
        last = last + 1 if number is None else number + from_zero
        if {*FIGURES, VALIDATION} & set(record):
            told.append((last, record))
    if not told:
        raise CurveError("the lines tell no loss and no accuracy of training, and no accuracy of the test part")
    epochs = [epoch for epoch, _ in told]
    if min(epochs) < 1 or max(epochs) > _ROWS:
        raise CurveError(f"epochs are numbered from 0 or 1 on, got {min(epochs)} to {max(epochs)}")
    figures = np.full((max(epochs), 3), np.nan)
    infinite, again, before = [], set(), 0
    test = TEST if any(TEST in record and math.isfinite(record[TEST].number) for record in records) else VALIDATION
    scales = {name: _scale([record[name] for record in records if name in record]) for name in (TRAIN, test)}
    for epoch, record in told:
        for column, name in enumerate((LOSS, TRAIN, test)):
            if name not in record:
                continue
            value = record[name]
            if epoch != before and math.isfinite(figures[epoch - 1, column]):
                again.add(epoch)
            if name == LOSS and not _is_finite(value):
                infinite.append(epoch)
            elif math.isfinite(value.number):
                figures[epoch - 1, column] = value.number if name == LOSS else _share(value, scales[name], name)
        before = epoch
    diverged = _diverged(figures, infinite)
    if diverged is not None:
        figures[diverged - 1 :] = np.nan
    return Curve(figures, diverged, again=len(again))


def _diverged(figures: np.ndarray, infinite: Sequence[int]) -> int | None:
    """The first epoch without a finite loss after which none has one; a NaN beside or between finite ones is none."""
    if not infinite:
        return None
    after = np.flatnonzero(np.isfinite(figures[:, 0]))
    later = [epoch for epoch in infinite if not after.size or epoch > after[-1] + 1]
    return min(later, default=None)


def _is_finite(loss: Value) -> bool:
    if loss.number < 0:
        raise CurveError(f"line {loss.line}: loss {loss.number:g} is below 0, which no cross-entropy is")
    return math.isfinite(loss.number)


def _scale(values: Sequence[Value]) -> float:
    """What accuracies without a % are parts of: 100 where one of them is above 1."""
    return 100.0 if any(1 < value.number < math.inf for value in values if not value.percent) else 1.0


def _share(value: Value, scale: float, name: str) -> float:
    share = value.number / (100 if value.percent else scale)
    if not 0 <= share <= 1:
        raise CurveError(f"line {value.line}: {name} {value.number:g} is neither a share in [0, 1] nor a percentage")
    return share
