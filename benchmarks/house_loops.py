"""What training the house-price grid by Python loops costs, beside the one compiled program.

    python benchmarks/house_loops.py

Four ways to the same trainings, with the same functions underneath. Three of them loop over the members, and are
timed on a sample of the members, taken evenly through the grid and interleaved with the program; the total is their
median times the number.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxd2l.data.houses import Houses, load_ames
from jaxd2l.experiments.houses import SMALL_MLP, Family, prepare
from jaxd2l.nn.loss import squared_error
from jaxd2l.report.text import columns
from jaxd2l.selection.folds import FoldRows, assign_folds, fold_rows, shuffled
from jaxd2l.selection.grid import Point
from jaxd2l.selection.kfold import make_training, over_members, stacked
from jaxd2l.train.optimizer import adam, with_hyperparameters
from jaxd2l.train.state import Keys, init_state, run_keys
from jaxd2l.train.step import Batch, Objective, make_step


class Timing(NamedTuple):
    """One way of training the grid.

    Attributes:
        name: what it is.
        sample: trainings that were timed.
        seconds: for all trainings of the grid, compilation included where it recurs.
        compile_seconds: spent once, before.
    """

    name: str
    sample: int
    seconds: float
    compile_seconds: float


Member = tuple[FoldRows, Point, Keys]


def loop_costs(family: Family, train: Houses, fold: np.ndarray, *, rounds: int = 3, sample: int = 4) -> list[Timing]:
    """Time the program and the loops, interleaved.

    Args:
        family: networks and grid.
        train: houses with prices.
        fold: (n,) from `assign_folds`.
        rounds: each times the program once and every loop on its sample; results are medians.
        sample: trainings a round of the loop over a compiled fit; the two slower loops time one.

    Returns:
        The program first.
    """
    prepared = prepare(train, fold, limit=family.limit, log_target=family.log_target)
    rows = fold_rows(prepared.folds)
    members: list[Member] = [
        (jax.tree.map(lambda a, j=j: a[j], rows), Point(*map(jnp.float32, point)), run_keys(seed))
        for point in family.points
        for seed in family.seeds
        for j in range(len(prepared.tables))
    ]
    settings = (squared_error, family.schedule, family.epochs, family.batch_size)
    training = make_training(family.network, adam(1.0, 0.0), *settings)
    arguments = (rows, *stacked(family.points, family.seeds))
    program, program_seconds = _compiled(over_members(training), *arguments)
    fit, fit_seconds = _compiled(training, *members[0])

    def compiled_for_itself(member: Member) -> object:
        fold_rows, point, keys = member
        rate, decay, dropout = map(float, point)
        alone = make_training(lambda _: family.network(dropout), adam(rate, decay), *settings)
        return jax.jit(lambda rows, keys: alone(rows, Point(rate, decay, dropout), keys))(fold_rows, keys)

    in_batches, step_seconds = _batch_loop(family, members[0])
    loops: list[tuple[str, Callable[[Member], object], int, float]] = [
        ("loop over one compiled fit", lambda member: fit(*member), sample, fit_seconds),
        ("loop over batches, one compiled step", in_batches, 1, step_seconds),
        ("loop over fits, each compiled for its settings", compiled_for_itself, 1, 0.0),
    ]
    whole: list[float] = []
    each: dict[str, list[float]] = {name: [] for name, *_ in loops}
    chosen = [members[i] for i in np.linspace(0, len(members) - 1, rounds * sample).round().astype(int)]
    for r in range(rounds):
        whole.append(_seconds(lambda: program(*arguments)))
        for name, run, count, _ in loops:
            some = chosen[r * sample : r * sample + count]
            each[name] += [_seconds(partial(run, member)) for member in some]
    return [
        Timing("one program for all", len(members), float(np.median(whole)), program_seconds),
        *(
            Timing(name, len(each[name]), float(np.median(each[name])) * len(members), compile_seconds)
            for name, _, _, compile_seconds in loops
        ),
    ]


def _compiled(function: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    began = time.perf_counter()
    return jax.jit(function).lower(*arguments).compile(), time.perf_counter() - began


def _seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - began


def _batch_loop(family: Family, member: Member) -> tuple[Callable[[Member], object], float]:
    """Make the book's loop: Python over epochs and batches around a jitted step; and the seconds to compile it."""
    optimizer = adam(1.0, 0.0)
    point, batch_size = member[1], family.batch_size

    def update(state, batch, key, dropout):  # type: ignore[no-untyped-def]
        return make_step(family.network(dropout), optimizer, Objective(squared_error))(state, batch, key)

    step = jax.jit(update)
    draw = jax.jit(lambda key, rows: shuffled(key, rows, batch_size))
    take = jax.jit(lambda x, y, i, w: Batch(x[i], y[i], w))
    noise = jax.jit(lambda key, t: jax.random.fold_in(key, t))

    def run(member: Member, epochs: int = family.epochs) -> object:
        fold, point, keys = member
        state = init_state(family.network(0.0), optimizer, keys.init, fold.x[:1], weight_decay=point.weight_decay)
        t = 0
        for epoch in range(1, epochs + 1):
            rows = draw(jax.random.fold_in(keys.shuffle, epoch), fold.train)
            rate = point.learning_rate * family.schedule(jnp.asarray(epoch), epochs)
            state = state._replace(opt_state=with_hyperparameters(state.opt_state, learning_rate=rate))
            indices, weights = np.asarray(rows.indices), np.asarray(rows.weight)
            for index, weight in zip(indices, weights, strict=True):
                state, _ = step(state, take(fold.x, fold.y, index, weight), noise(keys.noise, t), point.dropout)
                t += 1
        return state.params

    began = time.perf_counter()
    jax.block_until_ready(run((member[0], point, member[2]), 1))
    return run, time.perf_counter() - began


def table(costs: list[Timing]) -> str:
    """A row for each way, beside the program."""
    program = costs[0]
    rows = [
        (
            cost.name,
            f"{cost.seconds:.1f}",
            f"{cost.compile_seconds:.1f}",
            f"{cost.seconds / program.seconds:.1f}x",
            f"{(cost.seconds + cost.compile_seconds) / (program.seconds + program.compile_seconds):.1f}x",
            str(cost.sample),
        )
        for cost in costs
    ]
    return columns(("the MLP grid as", "seconds", "compiling", "ratio", "with compiling", "fits timed"), rows)


def main() -> None:
    """Measure and print; minutes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0, help="deals the rows out to folds")
    parser.add_argument("--epochs", type=int, default=SMALL_MLP.epochs, help="of each training")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    arguments = parser.parse_args()
    train, _ = load_ames()
    fold = assign_folds(len(train.ids), arguments.folds, arguments.seed)
    costs = loop_costs(SMALL_MLP._replace(epochs=arguments.epochs), train, fold)
    print(table(costs))
    if arguments.json:
        print(json.dumps({"costs": [cost._asdict() for cost in costs]}))


if __name__ == "__main__":
    main()
