"""Prediction: what a trained network says to examples that are none of its data set's.

- `Predictor`: a network that answers any number of stored examples, compiled once
- `convert_picture`, `Conversion`, `framing`, `Framing`: a picture file as one of them, and what was done to it
- `convert_like_own`: likewise, as a user's own pictures were read before training
- `framing_of`, `convert_like`: which of both a run takes, and a picture for it
- `table_rows`, `TableRows`: rows of a table, as a run that was trained on one takes them
- `load_run`, `TrainedRun`: a run's folder, whose network answers; `load_predictor`: the network alone, for pictures
"""

from jaxd2l.prediction.ground import Framing, framing
from jaxd2l.prediction.load import convert_like, framing_of, load_predictor
from jaxd2l.prediction.own_picture import convert_like_own
from jaxd2l.prediction.picture import Conversion, convert_picture
from jaxd2l.prediction.predictor import Predictor, stored_examples
from jaxd2l.prediction.rows_of_table import TableRows, table_rows
from jaxd2l.prediction.trained_run import TrainedRun, load_run

__all__ = [
    "Conversion",
    "Framing",
    "Predictor",
    "TableRows",
    "TrainedRun",
    "convert_like",
    "convert_like_own",
    "convert_picture",
    "framing",
    "framing_of",
    "load_predictor",
    "load_run",
    "stored_examples",
    "table_rows",
]
