"""Pasted lines as the figures of each epoch, in as many ways of printing as people have.

- words and numbers: `epoch 1, loss 1.0, train acc .6, test acc .5`, Keras's `loss: 0.4 - val_accuracy: 0.8`, JSON
- a header and rows: CSV, tabs, Markdown, aligned columns
- lists by name: `{'loss': [1.2, 0.8], 'accuracy': [.6, .7]}`, Keras's history
- numbers alone: loss, training accuracy, test accuracy, with the epoch before them or not
"""

import re
from collections.abc import Sequence

from jaxd2l.diagnosis.value import CurveError, Record, Value, epoch_of, told_first
from jaxd2l.diagnosis.words import (
    ACCURACIES,
    BARE_LOSS,
    EPOCH,
    FIGURES,
    LOSS,
    OTHER_LOSS,
    TEST,
    TRAIN,
    VALIDATION,
    figure_named,
    figures_named,
    in_english,
    split_named,
)
from jaxd2l.wording import counted

COLUMNS = {"epoch": EPOCH, "loss": LOSS, "train": TRAIN, "test": TEST, "-": ""}
_NUMBER = re.compile(
    r"(?<![\w.])(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|[-+]?(?:nan|inf(?:inity)?)(?![a-z]))"
    r"(?:\s*/\s*(?P<of>\d+)(?![\w.]))?(?P<percent>\s*%)?",
    re.IGNORECASE,
)
_NOTHING = re.compile(r"\b(?:null|none)\b", re.IGNORECASE)
_ENTRY = re.compile(f"{_NOTHING.pattern}|{_NUMBER.pattern}", re.IGNORECASE)
_LIST = re.compile(  # with a sign between name and list, or in a line of their own
    r"(?:(?<![^\r\n])[ \t]*|(?=[\w ]+['\"]?\s*[:=]))([A-Za-z_][\w ]*)['\"]?\s*[:=]?\s*(?:[\w.]+\()?\[([^\[\]]*)\]"
)
_NOT_A_NUMBER = re.compile(r"(\w+)\s*[:=]\s*(?!nan|inf|none|null|tensor|array)([A-Za-z?*]\S*)", re.IGNORECASE)
_COMMA = r',(?=(?:[^"]*"[^"]*")*[^"]*$)'  # outside of quotes
_DIVIDERS = (r"\|", r"\t", r";", _COMMA, r"\s{2,}", r"\s+")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_DECIMAL = re.compile(r"(?<![\w.,])([-+]?\d+),(\d+(?:e[-+]?\d+)?)(?!\w|[.,]\d)", re.IGNORECASE)
_THOUSANDS = re.compile(r"(?<![\w.,])[1-9]\d{0,2}(?:,\d{3})+(?=\s*/\s*\d)|(?<=/)[1-9]\d{0,2}(?:,\d{3})+(?![\w.,])")
_KEY = re.compile(r"""(['"])[^'"]*\1\s*:\s*(?:[\w.]+\(|['"])?$""")
_AT_EPOCH = re.compile(r"(?i)(?:\b(?:at|after|in|for|of|on)\s+|[(\[@]\s*)epoch\W*$")


def records_of(text: str, columns: Sequence[str] | None = None) -> tuple[list[Record], int]:
    """The figures of each epoch in the order of the lines, and how many lines with numbers told none.

    Args:
        text: the lines.
        columns: what columns of bare numbers are, keys of `COLUMNS`; loss, train, test unless given.

    Raises:
        CurveError: a line cannot be read, or none tells figures.
    """
    lines = enumerate(re.split(r"\r\n?|\n", _ESCAPES.sub("", in_english(text))), 1)
    printed = [(i, part.strip()) for i, line in lines for part in re.split(r"\x08+", line)]  # one over the other
    numbered = [(i, line) for i, line in printed if line and not re.fullmatch(r"[-|:+=*_\s]+", line)]
    if not numbered:
        raise CurveError("no lines to read; paste some such as `epoch 1, loss 1.0, train acc .6, test acc .5`")
    if columns is not None:
        return _bare(numbered, columns), 0
    named = _lists(text) or _table(numbered)
    if named:
        return named, 0
    if any(_is_bare(line) for _, line in numbered) and not any(_pairs(line, i, None) for i, line in numbered):
        return _bare(numbered, None), 0
    records, left_out = _sentences(numbered)
    if not any(name in record for record in records for name in (*FIGURES, VALIDATION, BARE_LOSS, OTHER_LOSS)):
        raise CurveError(
            f"no line tells a loss or an accuracy, the first is {numbered[0][1][:60]!r}; expected such as "
            "`epoch 1, loss 1.0, train acc .6, test acc .5`, CSV with a header, or columns of numbers"
        )
    if not any(LOSS in record for record in records):
        records = [{(LOSS if name == BARE_LOSS else name): v for name, v in record.items()} for record in records]
    return [record for record in records if {*FIGURES, VALIDATION} & set(record)], left_out


def _sentences(lines: Sequence[tuple[int, str]]) -> tuple[list[Record], int]:
    """Words before numbers. A new epoch begins with its number, or where a figure comes again."""
    records: list[Record] = [{}]
    left_out, part = 0, None
    for number, line in lines:
        told = _pairs(line, number, part)
        part = split_named(line) if line.endswith(":") and not _NUMBER.search(line) else None
        left_out += not told and bool(re.search(r"\d", line))
        for found in told:
            current = records[-1]
            epoch, now = epoch_of(found), epoch_of(current)
            if epoch is not None and now is not None:
                begins = epoch != now
            else:
                begins = epoch is not None or now is None
                begins = begins and bool(set(found) & set(current))
            if begins:
                records.append({})
            records[-1].update(found)
    return [record for record in records if set(record) - {EPOCH}], left_out


def _pairs(line: str, number: int, part: str | None) -> list[Record]:
    """The figures that one line names, of each epoch that it tells: a name that comes again begins the next one."""
    line = _DECIMAL.sub(r"\1.\2", _THOUSANDS.sub(lambda match: match[0].replace(",", ""), line))
    epochs: list[list[tuple[str | None, Value]]] = [[]]
    seen: dict[tuple[str | None, str], float] = {}
    held, end, at_first = "", 0, part  # held: a figure whose epoch stands before it, `loss at epoch 1: 0.5`
    for match in _NUMBER.finditer(line):
        phrase = line[end : match.start()]
        key, end, before = _KEY.search(phrase), match.end(), part
        part = split_named(phrase[: key.start()] if key else phrase) or part  # that of `"val_loss":` is its own alone
        words = _NOTHING.split(phrase)[-1]
        words = held if held and not re.search(r"[A-Za-z]", words) else words
        held = _AT_EPOCH.sub("", words) if _AT_EPOCH.search(words) and match["number"].isdigit() else ""
        name, said = EPOCH if held else figure_named(words, part), " ".join(re.findall("[a-z]+", words.lower()))
        value = _value(match, number, of_hits=name in ACCURACIES)
        again = (name, said) in seen or said == next(iter(seen), ("", ""))[1]
        if name is not None and again and not (name == EPOCH and seen.get((name, said)) == value.number):
            epochs.append([])
            seen.clear()
            part = at_first if part == before else part
            name = EPOCH if held else figure_named(words, part)
        if name is not None:
            seen[name, said] = value.number
        epochs[-1].append((name, value))
    told = [found for epoch in epochs if (found := told_first(epoch))]
    if any(set(found) - {EPOCH} for found in told):
        for word, what in _NOT_A_NUMBER.findall(line):
            if figure_named(word) not in (None, EPOCH):
                raise CurveError(f"line {number}: {word} is {what.rstrip(',;')!r}, no number: {line[:60]!r}")
    return told


def _value(match: re.Match[str], line: int, *, of_hits: bool = False) -> Value:
    value, of = float(match["number"]), float(match["of"] or 0)
    if of_hits and of > 0:  # 9822/10000
        return Value(100 * value / of, True, line)
    return Value(value, match["percent"] is not None, line)


def _lists(text: str) -> list[Record]:
    """Named lists of numbers, a number an epoch; none where there are none."""
    found = _LIST.findall(in_english(text))
    lists: dict[str, list[re.Match[str]]] = {}
    for name, (_, values) in zip(figures_named([name for name, _ in found]), found, strict=True):
        if name is not None:
            lists.setdefault(name, list(_ENTRY.finditer(values)))
    if not any(name != EPOCH and (len(v) > 1 or text.lstrip().startswith("{")) for name, v in lists.items()):
        return []
    lengths = {name: len(values) for name, values in lists.items()}
    if len(set(lengths.values())) > 1:
        raise CurveError(f"lists of unequal length: {', '.join(f'{n} has {k}' for n, k in lengths.items())}")
    return [
        told_first((name, _value(values[i], 1) if values[i]["number"] else None) for name, values in lists.items())
        for i in range(max(lengths.values()))
    ]


def _table(lines: Sequence[tuple[int, str]]) -> list[Record]:
    """A line of names with rows below it; none where there is none, or lines tell figures above it."""
    for place, (number, line) in enumerate(lines[:-1]):
        if any(set(found) - {EPOCH} for found in _pairs(line, number, None)):
            return []
        if _NUMBER.search(line):
            continue
        for divider in _DIVIDERS:
            names = figures_named(_cells(line, divider))
            row = _cells(lines[place + 1][1], divider)
            known = [name for name in names if name is not None]
            if len(known) > 1 and 2 * sum(_number(cell) is not None for cell in row) >= len(row) > 1:
                return [_row(names, _cells(text, divider), number, text) for number, text in lines[place + 1 :]]
    return []


def _cells(line: str, divider: str) -> list[str]:
    line = line.strip("|") if divider == r"\|" else line
    cells = [cell.strip().strip("'\"") for cell in re.split(divider, line)]
    return [_DECIMAL.sub(r"\1.\2", cell) for cell in cells]


def _number(cell: str) -> re.Match[str] | None:
    return _NUMBER.fullmatch(cell)


def _row(names: Sequence[str | None], cells: Sequence[str], line: int, text: str) -> Record:
    cells = cells[1:] if len(cells) == len(names) + 1 else cells  # the number of the row, without a name
    if len(cells) != len(names):
        raise CurveError(f"line {line} has {counted(len(cells), 'cell')}, the header {len(names)}: {text[:60]!r}")
    told = []
    for name, cell in zip(names, cells, strict=True):
        if name and cell.lower() not in ("", "-", "\u2013", "none", "null"):
            match = _number(cell)
            if match is None:
                raise CurveError(f"line {line}: {name} is {cell!r}, no number")
            told.append((name, _value(match, line)))
    return told_first(told)


def _is_bare(line: str) -> bool:
    return not re.sub(r"[\s\d.,;|()\[\]%+-]|e[-+]?\d|nan|inf", "", line, flags=re.IGNORECASE)


def _bare(lines: Sequence[tuple[int, str]], columns: Sequence[str] | None) -> list[Record]:
    """Numbers alone, a row an epoch; lists of lists too."""
    rows = []
    if not any("." in line for _, line in lines):  # 0,51 beside another sign between the columns
        lines = [(i, _DECIMAL.sub(r"\1.\2", line) if re.search(r"\S[\s;|]+\S", line) else line) for i, line in lines]
    for number, line in ((i, part) for i, whole in lines for part in whole.split("]")):
        cells = [cell for cell in re.split(r"[\s,;|()\[\]]+", line) if cell]
        if not cells:
            continue
        matches = [_number(cell) for cell in cells]
        wrong = [cell for cell, match in zip(cells, matches, strict=True) if match is None]
        if wrong:
            raise CurveError(f"line {number}: {wrong[0]!r} is no number: {line[:60]!r}")
        rows.append([_value(match, number) for match in matches if match is not None])
    names = _names_of(rows, columns)
    for row in rows:
        if len(row) != len(names):
            raise CurveError(
                f"line {row[0].line} has {counted(len(row), 'number')}, expected {len(names)}: {', '.join(names)}"
            )
    return [{name: value for name, value in zip(names, row, strict=True) if name} for row in rows]


def _names_of(rows: Sequence[Sequence[Value]], columns: Sequence[str] | None) -> list[str]:
    if not rows:
        raise CurveError("no line holds numbers; expected loss, training accuracy and test accuracy of each epoch")
    if columns is not None:
        twice = [name for name in COLUMNS if name != "-" and columns.count(name) > 1]
        if twice:
            raise CurveError(f"column {twice[0]} is named twice; a column of something else is -")
        strange = [name for name in columns if name not in COLUMNS]
        if strange or not {LOSS, TRAIN, TEST} & {COLUMNS[name] for name in columns if name in COLUMNS}:
            raise CurveError(f"columns are some of {', '.join(COLUMNS)} in their order, got {','.join(columns)!r}")
        return [COLUMNS[name] for name in columns]
    first = [row[0].number for row in rows]
    counts = len(rows) > 1 and first in ([float(i + k) for i in range(len(rows))] for k in (0, 1))
    if len(rows[0]) - counts == len(FIGURES):
        return [*([EPOCH] if counts else []), *FIGURES]
    raise CurveError(
        f"line {rows[0][0].line} has {counted(len(rows[0]), 'number')}, expected 3: loss, training accuracy, test "
        "accuracy; say what they are, such as --columns loss,test"
    )
