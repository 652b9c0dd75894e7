"""The peer under test: one compiled epoch of `jaxd2l.train`."""

import sys
import time

import flax
import jax
import numpy as np
from protocol import Task, serve

from jaxd2l.data import Dataset, Examples, Rows
from jaxd2l.recipes import find
from jaxd2l.train import compile_program
from jaxd2l.train.epoch import empty_tally
from jaxd2l.train.program import initial_state
from jaxd2l.train.state import run_keys


def main():
    """Compile the epoch of the recipe for the task's shapes and serve it."""
    began = time.perf_counter()
    task = Task(sys.argv[1])
    steps, batch = task.rows.shape[1:]
    recipe = find(task.recipe).__class__(
        **{**vars(find(task.recipe)), "batch_size": batch, "learning_rate": task.learning_rate}
    )
    train = Examples(task.x, task.y)
    first = task.rows[0, 0]
    program = compile_program(recipe, Dataset("benchmark", train, Examples(task.x[first], task.y[first])))
    state = initial_state(program, 0, task.learning_rate, 0.0)
    record = program.evaluation(
        state.params,
        state.batch_stats,
        empty_tally(1),
        task.x[first],
        task.y[first],
        program.evaluation_rows,
        np.int32(0),
        np.int32(1),
    )
    first_loss = float(record.loss[0] / record.examples[0])
    x, y = jax.device_put(train.x), jax.device_put(train.y)
    weight = np.ones((steps, batch), np.float32)

    def train_round(i):
        nonlocal state
        rows = Rows(task.rows[i], weight)
        state, record = program.epoch(
            state, empty_tally(steps), x, y, rows, run_keys(0).noise, np.int32(0), np.int32(steps)
        )
        return np.asarray(record.loss).sum() / (steps * batch)

    versions = {"jax": jax.__version__, "flax": flax.__version__}
    parameters = sum(p.size for p in jax.tree.leaves(state.params))
    serve(began, parameters, first_loss, train_round, versions, program.compile_seconds)


if __name__ == "__main__":
    main()
