"""What is estimated of a table from its training rows."""

from typing import NamedTuple


class Numeric(NamedTuple):
    """A column of numbers: missing becomes `mean`, then (value - mean) / scale, kept within `limit` of 0.

    `boolean` says whether the training rows held True and False, which are then 1 and 0.
    """

    name: str
    mean: float
    scale: float
    boolean: bool = False


class Categorical(NamedTuple):
    """A column of categories, sorted; `missing` says whether the training rows had missing values."""

    name: str
    categories: tuple[str, ...]
    missing: bool


class Table(NamedTuple):
    """Everything that was estimated from the training rows.

    Attributes:
        columns: every column that the table had, in order, used or not.
        numeric: the numeric columns that are used.
        categorical: the columns that become indicators.
        standardise: whether numbers are centred and scaled, or only imputed.
        limit: largest standardised magnitude.
        notes: one line for every column that is not used, saying why, or taken as what its values leave in doubt.
    """

    columns: tuple[str, ...]
    numeric: tuple[Numeric, ...]
    categorical: tuple[Categorical, ...]
    standardise: bool
    limit: float
    notes: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each column of the array: numbers first, then an indicator for each category."""
        indicators = (
            f"{c.name}_{category}"
            for c in self.categorical
            for category in (*c.categories, *(("missing",) if c.missing else ()))
        )
        return (*(c.name for c in self.numeric), *indicators)
