"""Where a user's own data lie and how they are read: plain values that open them again, kept with a run."""

import dataclasses
import math
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxd2l.data.error import DataError
from jaxd2l.data.examples import Dataset, Examples, check_examples
from jaxd2l.data.own.open import PREFIX, open_data
from jaxd2l.data.own.settings import Convert, warn
from jaxd2l.data.own.table_target import Task, from_table
from jaxd2l.data.table import Categorical, Numeric, Table
from jaxd2l.wording import some

_LIKEWISE = ("image_size", "channels", "test_fraction", "split_seed", "target", "task", "ignore")


class Opened(NamedTuple):
    """A user's data; `table` is the transform that was fitted on the training rows of a table, None for pictures."""

    dataset: Dataset
    table: Table | None = None


@dataclasses.dataclass(frozen=True)
class OwnData:
    """What opens a user's data; see `open_data` and `from_table`.

    Attributes:
        data: what `open_data` takes; `absolute` makes it survive a change of folder.
        target: the column of a table to predict; None where the data are pictures.
        ignore: columns of a table that only name its rows, or must play no part for another reason.
        split_seed: decides which examples are held out.
    """

    data: str
    image_size: int | None = None
    channels: int | None = None
    test_fraction: float = 0.2
    split_seed: int = 0
    skip_unreadable: bool = False
    target: str | None = None
    task: Task | None = None
    ignore: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what belongs to the other kind of data.

        Raises:
            ValueError: a setting of pictures for a table, or the other way round.
        """
        if self.target is None and self.task is not None:
            raise ValueError("task is about a table's target; name its column with target")
        object.__setattr__(self, "ignore", tuple(self.ignore))
        if self.target is None and self.ignore:
            raise ValueError("ignore is about columns of a table; name the one to predict with target")
        if self.target is not None:
            given = [name for name in ("image_size", "channels") if getattr(self, name) is not None]
            if given or self.skip_unreadable:
                raise ValueError(f"{(given or ['skip_unreadable'])[0]} is about pictures, and a target about a table")

    def absolute(self) -> "OwnData":
        """The same, by a path that does not depend on the working folder."""
        path = self.data.removeprefix(PREFIX)
        whole = os.path.abspath(os.path.expanduser(path)) if path else path
        return dataclasses.replace(self, data=PREFIX + whole if self.data.startswith(PREFIX) else whole)

    def read(
        self,
        *,
        hold_out: bool = True,
        table: Table | None = None,
        classes: tuple[str, ...] | None = None,
        learned_from: Callable[[np.ndarray], np.ndarray] | None = None,
        on_progress: Callable[[int, int], None] | None = None,
        on_note: Callable[[str], None] = warn,
        convert: Convert | None = None,
        stream: bool | None = False,
    ) -> Opened:
        """Read the data.

        Args:
            hold_out: draw a test part where there is none; False gives every example to both parts.
            table: a transform that is applied instead of one that is fitted on these rows.
            classes: those of a network that knows them: labels are its own, by the names.
            learned_from: see `from_table`.
            on_progress: see `open_data`.
            on_note: likewise.
            convert: likewise, for pictures.
            stream: likewise.

        Raises:
            ValueError, DataError, OSError: see `open_data` and `from_table`.
        """
        shared: dict[str, Any] = {
            "test_fraction": self.test_fraction,
            "seed": self.split_seed,
            "on_note": on_note,
            "hold_out": hold_out,
        }
        if self.target is not None:
            if os.path.isdir(self.data) or self.data.startswith(PREFIX):
                raise DataError(f"{self.data} is no table; a target is a column of one: give a CSV file")
            found = from_table(
                self.data,
                self.target,
                task=self.task,
                ignore=self.ignore,
                fitted=table,
                classes=classes or (),
                learned_from=learned_from,
                **shared,
            )
            return Opened(found.dataset, found.table)
        pictures = open_data(
            self.data,
            image_size=self.image_size,
            channels=self.channels,
            skip_unreadable=self.skip_unreadable,
            on_progress=on_progress,
            convert=convert,
            stream=stream,
            **shared,
        )
        return Opened(pictures if classes is None else by_class_name(pictures, classes))

    def record(self, opened: Opened) -> dict[str, Any]:
        """Plain values for a run's configuration: what opens the data, and what they are known by."""
        dataset = opened.dataset
        return {
            **dataclasses.asdict(self),
            "examples": [len(dataset.train.x), len(dataset.test.x)],
            "sha256": dict(dataset.sha256),
            **({} if opened.table is None else {"table": _plain(opened.table)}),
        }


class Kept(NamedTuple):
    """What a run's configuration says of the data: see `OwnData.record`; `name` is "" where it does not name them."""

    own: OwnData
    table: Table | None
    examples: tuple[int, ...]
    sha256: dict[str, str]
    name: str = ""

    def differences(self, dataset: Dataset) -> list[str]:
        """What of the data is not as it was when the run began, in words; empty where nothing is."""
        now = (len(dataset.train.x), len(dataset.test.x))
        counts = [
            f"{b:,} {what} examples (were {a:,})"
            for what, a, b in zip(("training", "test"), self.examples, now, strict=False)
            if a != b
        ]
        digests = [f"other {name}" for name, digest in dataset.sha256 if self.sha256.get(name) != digest]
        return [*counts, *digests]


def kept_data(config: Mapping[str, Any]) -> Kept | None:
    """What a run's configuration says of a user's own data; None where it used none.

    Raises:
        DataError: it is not what `OwnData.record` wrote.
    """
    record = config.get("own_data")
    if record is None:
        return None
    try:
        record = {"ignore": (), **record}  # runs of earlier versions have none
        own = OwnData(**{field.name: record[field.name] for field in dataclasses.fields(OwnData)})
        if not isinstance(own.data, str) or not isinstance(own.target, str | None):
            raise TypeError("data and target are text")
        table = _table(record["table"]) if "table" in record else None
        described = config.get("data")
        name = described.get("name") if isinstance(described, Mapping) else None
        return Kept(own, table, tuple(map(int, record["examples"])), dict(record["sha256"]), str(name or ""))
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise DataError(f"own_data is not what a training writes ({error!r})") from error


def other_settings(then: OwnData, now: OwnData) -> list[str]:
    """In which settings two ways of reading the same data differ, such as `split_seed 0 (asked: 1)`."""
    pairs = [(name, getattr(then, name), getattr(now, name)) for name in _LIKEWISE]
    return [f"{name} {a} (asked: {b})" for name, a, b in pairs if a != b]


def by_class_name(dataset: Dataset, classes: tuple[str, ...]) -> Dataset:
    """The same examples with the labels of a network that knows `classes`.

    Raises:
        DataError: a class that it does not know, or a label that has none.
    """
    if dataset.classes == classes:
        return dataset
    if unknown := [name for name in dataset.classes if name not in classes]:
        raise DataError(
            f"{dataset.name}: class {some(unknown)} is none of the {len(classes)} that the run was trained on: "
            f"{some(classes)}"
        )
    places = np.array([classes.index(name) for name in dataset.classes], np.int32)

    def renamed(part: Examples) -> Examples:
        return part._replace(y=places[np.asarray(check_examples(part, len(places), dataset.name).y)])

    validation = None if dataset.validation is None else renamed(dataset.validation)
    train, test = renamed(dataset.train), renamed(dataset.test)
    return dataset._replace(train=train, test=test, validation=validation, classes=classes)


def _plain(table: Table) -> dict[str, Any]:
    return {
        "columns": list(table.columns),
        "numeric": [one._asdict() for one in table.numeric],
        "categorical": [{**one._asdict(), "categories": list(one.categories)} for one in table.categorical],
        "standardise": table.standardise,
        "limit": None if math.isinf(table.limit) else table.limit,
    }


def _table(record: Mapping[str, Any]) -> Table:
    return Table(
        columns=tuple(record["columns"]),
        numeric=tuple(Numeric(**one) for one in record["numeric"]),
        categorical=tuple(
            Categorical(one["name"], tuple(one["categories"]), one["missing"]) for one in record["categorical"]
        ),
        standardise=bool(record["standardise"]),
        limit=math.inf if record["limit"] is None else float(record["limit"]),
        notes=(),
    )
