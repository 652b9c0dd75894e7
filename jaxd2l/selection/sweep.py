"""Sweeps: one recipe at many learning rates, weight decays and seeds, vmapped or in a loop, whichever is faster.

Either way a member is the single run with its seed: the same initial parameters, order of examples and dropout
draws, up to the rounding of sums in another order.
"""

import enum
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from jax.sharding import Mesh

from jaxd2l.cost.budget import bytes_of_a_run
from jaxd2l.cost.free_memory import free_bytes
from jaxd2l.data import Dataset
from jaxd2l.machine.device import default_platform
from jaxd2l.selection.curves import Curves, curves_of
from jaxd2l.selection.grid import Point
from jaxd2l.selection.points import as_points, at, require_points
from jaxd2l.selection.vmapped import Start, compile_members, seconds_a_step, sizes, train_members
from jaxd2l.train.check_data import check_run
from jaxd2l.train.loop import DivergenceError, fit
from jaxd2l.train.mesh import on_device
from jaxd2l.train.optimizer import HyperparametersInState
from jaxd2l.train.program import Program, Weights, compile_program, initial_state
from jaxd2l.train.recipe import Recipe
from jaxd2l.train.state import TrainState, run_keys

SHARE_OF_MEMORY = 0.5  # of what is free; the estimate does not know what the compiler will fuse


class Method(enum.Enum):
    """How the members run."""

    MEASURE = "measure"
    VMAP = "vmap"
    LOOP = "loop"


Sweep = dict[tuple[Point, int], Curves]


class Choice(NamedTuple):
    """How the members will run, and why.

    Attributes:
        method: VMAP or LOOP.
        seeds, points: that run at a time, each seed at every point; 1 in a loop over single runs.
        reason: in words, for the reader.
    """

    method: Method
    seeds: int
    points: int
    reason: str

    @property
    def one_at_a_time(self) -> bool:
        """Whether each member is a run of its own."""
        return self.method is Method.LOOP and self.seeds * self.points == 1


def sweep(
    recipe: Recipe,
    data: Dataset,
    points: Sequence[Point],
    seeds: Sequence[int],
    *,
    method: Method = Method.MEASURE,
    choices: dict[int, Choice] | None = None,
    finished: Mapping[tuple[Point, int], Curves] | None = None,
    on_curves: Callable[[Point, int, Curves], None] | None = None,
    on_choice: Callable[[Choice], None] | None = None,
    mesh: Mesh | None = None,
    weights: Weights | Callable[[TrainState], Weights] | None = None,
) -> Sweep:
    """Train `recipe` with every seed at every point.

    Args:
        recipe: all but its learning rate and weight decay. An optimizer that keeps them out of its state (see
            `bound`) is compiled anew for each point, in a loop.
        data: training and test examples, and validation examples where points are to be chosen: these are judged in
            each epoch then, and the test part once, by the last weights of each member.
        points: from `points_of`, without dropout: a recipe's network has its own.
        seeds: integers in [0, 2**32).
        method: MEASURE times a few updates both ways and takes the faster.
        choices: how earlier sweeps of this recipe and these points ran on rows like these, such as those of another
            fold, by how many seeds they trained; one of as many is taken, and no other way compiled. Else it is added.
        finished: members of an earlier call, which are not trained again.
        on_curves: called with each member as it is done.
        on_choice: called once, before training, unless the choice was there.
        mesh: devices that the members are spread over, of `train.mesh.data_mesh`; the default one when None. An
            optimizer that is compiled for each point stays on that one.
        weights: `(params, batch_stats)` that every member begins with, or a function to them from the state that its
            seed draws; drawn where None.

    Returns:
        The curves of every member. A member that diverges does not end the sweep.

    Raises:
        ValueError: settings that do not fit the data, a rate or seed out of range, none of them; an optimizer that
            does not follow the rates; weights that do not fit the network or are not finite.
        DataError: the data cannot be trained on; see `check_dataset`.
    """
    points, seeds, method = as_points(points), tuple(seeds), Method(method)
    if not points or not seeds:
        raise ValueError(f"a sweep needs rates and seeds, got {len(points)} and {len(seeds)}")
    require_points(recipe, points)
    for seed in seeds:
        run_keys(seed)
    if recipe.early_stop is not None:
        raise ValueError("members of a sweep go through all their epochs together; leave early_stop out")
    begin_with = weights if weights is None or callable(weights) else lambda drawn: weights
    results: Sweep = dict(finished or {})
    groups = _missing(points, seeds, results)

    def done(point: Point, seed: int, curves: Curves) -> None:
        results[point, seed] = curves
        if on_curves is not None:
            on_curves(point, seed, curves)

    if groups:
        data = check_run(recipe, data)
        data = data._replace(train=on_device(data.train), test=on_device(data.test))
        recipe = at(recipe, points[0])
        known = {} if choices is None else choices
        count = len(groups[0][0])
        choice = known.get(count)
        apart = not isinstance(recipe.make_optimizer(), HyperparametersInState)
        if apart and method is Method.VMAP:
            raise ValueError("this optimizer's rates are no arrays in its state, so they cannot be vmapped; use a loop")
        program, members = None, None
        if choice is None:
            if apart:
                choice = Choice(
                    Method.LOOP, 1, 1, "a loop, compiled for each point: the optimizer's rates are no arrays"
                )
            else:
                program = compile_program(recipe, data)
                choice, members = _choose(program, data, count, len(groups[0][1]), method, mesh)
            known[count] = choice
            if on_choice is not None:
                on_choice(choice)
        if apart:
            _compiled_apart(recipe, data, points, seeds, results, done, begin_with)
        elif choice.one_at_a_time:
            program = program or compile_program(recipe, data)
            for seed, point in itertools.chain(*(itertools.product(*group) for group in groups)):
                done(point, seed, _single(recipe, data, point, seed, program, begin_with))
        else:
            for of_seeds, of_points in groups:
                _in_pieces(recipe, data, of_points, of_seeds, choice, members, done, mesh, begin_with)
    return {(point, seed): results[point, seed] for point in points for seed in seeds}


def _missing(points: Sequence[Point], seeds: Sequence[int], results: Sweep) -> list[tuple[list[int], list[Point]]]:
    """Seeds and the points that all of them miss, most members first."""
    alike: dict[tuple[Point, ...], list[int]] = {}
    for seed in dict.fromkeys(seeds):
        alike.setdefault(tuple(point for point in points if (point, seed) not in results), []).append(seed)
    groups = [(of_seeds, list(of_points)) for of_points, of_seeds in alike.items() if of_points]
    return sorted(groups, key=lambda group: -len(group[0]) * len(group[1]))


def _compiled_apart(
    recipe: Recipe,
    data: Dataset,
    points: Sequence[Point],
    seeds: Sequence[int],
    results: Sweep,
    done: Callable[[Point, int, Curves], None],
    begin_with: Start | None,
) -> None:
    """Run an optimizer whose numbers are compiled in: a program for each point."""
    for point in points:
        missing = [seed for seed in dict.fromkeys(seeds) if (point, seed) not in results]
        if not missing:
            continue
        program = compile_program(at(recipe, point), data)
        for seed in missing:
            done(point, seed, _single(recipe, data, point, seed, program, begin_with))


def _choose(
    program: Program, data: Dataset, seeds: int, points: int, method: Method, mesh: Mesh | None
) -> tuple[Choice, Program | None]:
    """Fit the members into memory, and time both ways where that is asked for; a loop is of one for each device."""
    devices = 1 if mesh is None or default_platform() == "cpu" else mesh.size
    each, free = bytes_of_a_run(program), devices * (free_bytes() or 0)
    fitting = max(1, int(SHARE_OF_MEMORY * free // max(each, 1)))
    pieces = (max(1, min(seeds, fitting // points)), min(points, fitting))
    room = f"{each / 1e6:,.0f} MB a member, {free / 1e9:,.1f} GB free"
    loop = Choice(Method.LOOP, 1, 1, f"a loop over one executable ({room})")
    if mesh is not None and max(seeds, points) > 1:
        at_once = (min(seeds, mesh.size), 1) if seeds >= points else (1, min(points, mesh.size))
        loop = Choice(Method.LOOP, *at_once, f"a loop over {max(at_once)} members at a time, one a device ({room})")
    count = pieces[0] * pieces[1]
    if method is Method.LOOP or (method is Method.MEASURE and count == 1):
        return loop, _alone(program, data, loop, mesh)
    members = compile_members(program.recipe, data, *pieces, mesh)
    vmapped = Choice(Method.VMAP, *pieces, f"{count} members at a time in one program ({room})")
    if method is Method.VMAP:
        return vmapped, members
    single, many = seconds_a_step(program, members, data.train)
    timed = f"{1e3 * single:.3g} ms an update alone, {1e3 * many:.3g} ms as one of {count}; "
    faster = many < single / (loop.seeds * loop.points)
    chosen, kept = (vmapped, members) if faster else (loop, _alone(program, data, loop, mesh))
    return chosen._replace(reason=timed + chosen.reason), kept


def _alone(program: Program, data: Dataset, loop: Choice, mesh: Mesh | None) -> Program | None:
    """The program of a loop that takes several members at a time; None for one at a time."""
    return None if loop.one_at_a_time else compile_members(program.recipe, data, loop.seeds, loop.points, mesh)


def _single(
    recipe: Recipe, data: Dataset, point: Point, seed: int, program: Program, begin_with: Start | None
) -> Curves:
    validated, weights = data.validation is not None, None
    if begin_with is not None:
        weights = begin_with(initial_state(program, seed, float(point.learning_rate), float(point.weight_decay)))
    try:
        done = fit(at(recipe, point), data, seed, program=program, weights=weights)
        tested = done.tested.get("last" if recipe.ema is None else "ema")
        return curves_of(done.epochs, recipe.epochs, None, validated=validated, tested=tested)
    except DivergenceError as error:
        return curves_of(error.epochs, recipe.epochs, error.epoch, validated=validated)


def _in_pieces(
    recipe: Recipe,
    data: Dataset,
    points: Sequence[Point],
    seeds: Sequence[int],
    choice: Choice,
    members: Program | None,
    done: Callable[[Point, int, Curves], None],
    mesh: Mesh | None,
    begin_with: Start | None,
) -> None:
    """Run blocks of seeds x points, each a vmapped program; the last blocks may be smaller, and compile again."""
    for first_seed in range(0, len(seeds), choice.seeds):
        some_seeds = seeds[first_seed : first_seed + choice.seeds]
        for first_point in range(0, len(points), choice.points):
            some_points = points[first_point : first_point + choice.points]
            if members is None or sizes(members) != (len(some_seeds), len(some_points)):
                members = compile_members(recipe, data, len(some_seeds), len(some_points), mesh)
            for s, g, curves in train_members(recipe, data, some_points, some_seeds, members, begin_with):
                done(some_points[g], some_seeds[s], curves)
