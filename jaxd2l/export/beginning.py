"""The beginning of a run by its own programs and by those of a frozen one, read back: the same to the last bit."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.export.comparison import ExportMismatchError
from jaxd2l.frozen.rows import names_of
from jaxd2l.nn.parameters import flat
from jaxd2l.prediction import TrainedRun
from jaxd2l.train import Recipe
from jaxd2l.train.program import Program
from jaxd2l.train.state import TrainState, run_keys
from jaxd2l.train.step import Tally


def compare_beginnings(
    run: TrainedRun, own: Program, found: Mapping[str, Any], rows: Mapping[str, np.ndarray], begun: TrainState
) -> tuple[str, ...]:
    """Begin the run by its own programs and by those read back: the same to the last bit.

    Raises:
        ExportMismatchError: they are not.
    """
    keys, first, second = run_keys(run.seed), np.int32(0), np.int32(1)
    data = {name: jax.random.key_data(key) for name, key in keys._asdict().items()}
    state = named_state(begun)
    pairs: dict[str, tuple[Any, Any]] = {}
    if "init_from" not in run.config:
        numbers = (np.float32(number) for number in starting_numbers(run.recipe))
        pairs["the initial state"] = state, found["init"](data["init"], *numbers)
    order = own.shuffle(keys.shuffle, second)
    pairs["the order of the examples"] = order, found["shuffle"](data["shuffle"], second)
    train = rows["x_train"], rows["y_train"]
    record, copied = own.record(own.train_steps), {name: jnp.array(a) for name, a in state.items()}
    read = found["epoch"](copied, _copied(record), *train, *order, data["noise"], first, second)
    after, record = own.epoch(jax.tree.map(jnp.array, begun), record, *train, order, keys.noise, first, second)
    pairs["the first update"] = (named_state(after), record._asdict()), read
    judged = [rows[name] for name in names_of("validation" if "x_validation" in rows else "test")]
    record, ordered = own.record(len(own.evaluation_rows.weight)), own.evaluation_rows
    weights = {name: a for name, a in named_state(after).items() if name.startswith(("params.", "batch_stats."))}
    read = found["evaluation"](weights, _copied(record), *judged, *ordered, first, second)
    told = own.evaluation(after.params, after.batch_stats, record, *judged, ordered, first, second)
    pairs["a batch of the evaluation"] = told._asdict(), read
    for what, (ours, theirs) in pairs.items():
        if not _equal(ours, theirs):
            raise ExportMismatchError(f"read back, {what} has other bits than the run's own; nothing was written")
    return tuple(pairs)


def _copied(record: Tally) -> dict[str, jax.Array]:
    return {name: jnp.array(a) for name, a in record._asdict().items()}  # each program may take its own


def _equal(ours: Any, theirs: Any) -> bool:
    pairs = zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True)
    return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)


def named_state(state: TrainState) -> dict[str, np.ndarray]:
    """A state as arrays by name on the host, copied."""
    return {name: np.array(a) for name, a in flat(state, ".").items()}


def starting_numbers(recipe: Recipe) -> tuple[float, float]:
    """Learning rate and weight decay that a run's initial state is drawn with; a schedule is the program's own."""
    return 0.0 if callable(recipe.learning_rate) else float(recipe.learning_rate), float(recipe.weight_decay)
