"""Tables to arrays: what is estimated from training rows, applied to any rows (D2L sec_pandas, sec_kaggle_house).

- `read_table`: a CSV as text, missing values found; `csv_lines` writes one
- `fit_table`, `typed`, `Table`: what a column is, and its mean and deviation or its categories
- `apply_table`, `Features`: rows as an array
"""

from jaxd2l.data.table.csv_file import csv_lines, read_table
from jaxd2l.data.table.estimates import Categorical, Numeric, Table
from jaxd2l.data.table.transform import Features, apply_table, fit_table, typed

__all__ = [
    "Categorical",
    "Features",
    "Numeric",
    "Table",
    "apply_table",
    "csv_lines",
    "fit_table",
    "read_table",
    "typed",
]
