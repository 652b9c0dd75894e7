"""One experiment as plain values: what is trained, how, and what is published for it."""

from typing import NamedTuple


class Published(NamedTuple):
    """One published run: its source and its figures after the last epoch; None where none is given."""

    source: str
    train_loss: float | None = None
    train_accuracy: float | None = None
    test_accuracy: float | None = None


class Experiment(NamedTuple):
    """One row of the table; the fields are those of `jaxd2l.train.Recipe`, as are the defaults of how it is trained."""

    dataset: str
    learning_rate: float
    source: str
    epochs: int = 10
    batch_size: int = 256
    image_size: int | None = None
    parameters: int | None = None
    macs: float | None = None
    published: tuple[Published, ...] = ()
    weight_decay: float = 0.0
    momentum: float = 0.0
    nesterov: bool = False
    schedule: str = "constant"
    warmup: float = 0.0
    augment: str | None = None
    label_smoothing: float = 0.0
    ema: float | None = None
