"""The peer under test: one compiled epoch of `jaxd2l.train`, in each precision named after the folder (float32)."""

import dataclasses
import sys
import time

import flax
import jax
import numpy as np
from protocol import Task, Trainer, serve

from jaxd2l.data import Dataset, Examples, Rows
from jaxd2l.recipes import find
from jaxd2l.train import compile_program
from jaxd2l.train.epoch import empty_tally
from jaxd2l.train.program import initial_state
from jaxd2l.train.state import run_keys


def trainer(task, recipe, x, y):
    """The recipe compiled for the task's shapes, and how many parameters its network has."""
    steps, batch = task.rows.shape[1:]
    first = task.rows[0, 0]
    test = Examples(task.x[first], task.y[first])
    program = compile_program(recipe, Dataset("benchmark", Examples(task.x, task.y), test))
    state = initial_state(program, 0, task.learning_rate, 0.0)
    parameters = sum(p.size for p in jax.tree.leaves(state.params))
    bounds = np.int32(0), np.int32(1)
    record = program.evaluation(
        state.params, state.batch_stats, empty_tally(1), *test, program.evaluation_rows, *bounds
    )
    weight = np.ones((steps, batch), np.float32)

    def train_round(i):
        nonlocal state
        rows = Rows(task.rows[i], weight)
        state, record = program.epoch(
            state, empty_tally(steps), x, y, rows, run_keys(0).noise, np.int32(0), np.int32(steps)
        )
        return np.asarray(record.loss).sum() / (steps * batch)

    first_loss = float(record.loss[0] / record.examples[0])
    return Trainer(first_loss, train_round, program.compile_seconds), parameters


def main():
    """Compile the epoch of the recipe for the task's shapes and serve it."""
    began = time.perf_counter()
    task = Task(sys.argv[1])
    recipe = dataclasses.replace(find(task.recipe), batch_size=task.rows.shape[2], learning_rate=task.learning_rate)
    x, y = jax.device_put(task.x), jax.device_put(task.y)
    trainers, parameters = {}, 0
    for precision in sys.argv[2:] or ["float32"]:
        trainers[precision], parameters = trainer(task, dataclasses.replace(recipe, precision=precision), x, y)
    serve(began, parameters, trainers, {"jax": jax.__version__, "flax": flax.__version__})


if __name__ == "__main__":
    main()
