"""Trainings for the claims on networks, made anew, and what the networks consist of."""

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxd2l.claims.claim import Seeds, seeds
from jaxd2l.cost.budget import require_memory
from jaxd2l.data import Dataset
from jaxd2l.nn.parameters import flat
from jaxd2l.recipes import RECIPES, find, load_data
from jaxd2l.run_folder import fit, folder_named, is_finished
from jaxd2l.run_folder.call import Stop
from jaxd2l.train import EpochResult, Program, Progress, Recipe, Run, compile_program
from jaxd2l.train.state import variables_like
from jaxd2l.wording import counted

SEEDS = 5


class Watcher:
    """What is told how the runs of one recipe go: nobody. A bar on the terminal has the same methods."""

    def say(self, text: str) -> None:
        """A line about them."""

    def next_run(self, number: int) -> None:
        """The run of this number, from 0, begins."""

    def progress(self, what: str, done: int, total: int) -> None:
        """As `on_progress` of `jaxd2l.train.fit`."""

    def chunk(self, now: Progress) -> None:
        """As its `on_chunk`."""

    def epoch(self, result: EpochResult) -> None:
        """An epoch is over."""


@dataclasses.dataclass
class Trainings:
    """Long trainings over seeds, each made once, and kept where a folder is named.

    Attributes:
        folder: a run folder each, `folder/RECIPE/seedN`: what is finished there is read, what was stopped goes on, to
            the same bits. None keeps nothing.
        watched: called with a recipe and the number of its runs that are to be trained; gives their watcher.
        stop: asked after each piece of work; the exception it answers with ends the training once it is saved.
        on_start: called when there is something to save, with True, and when there no longer is, with False.
        made: by what was trained, such as "lenet at 0.9": loss, training and test accuracy, (seeds, epochs, 3).
    """

    folder: Path | None = None
    watched: Callable[[Recipe, int], AbstractContextManager[Any]] = lambda recipe, runs: nullcontext(Watcher())
    stop: Stop = lambda: None
    on_start: Callable[[bool], None] = lambda begun: None
    made: dict[str, Seeds] = dataclasses.field(default_factory=dict)

    def over_seeds(self, name: str, learning_rate: float | None = None, number: int = SEEDS) -> Seeds:
        """Train a recipe with seeds 0 to `number` - 1, compiled once: (seeds, epochs, 3)."""
        recipe = find(name)
        if learning_rate is not None:
            recipe, name = dataclasses.replace(recipe, learning_rate=learning_rate), f"{name} at {learning_rate}"
        return self._once(name, recipe, load_data(recipe), number)

    def swapped(self, name: str) -> Seeds:
        """One training on the 10,000 test images, judged by the 60,000 training images: (1, epochs, 3)."""
        recipe = find(name)
        return self._once(f"{name} swapped", recipe, swap(load_data(recipe)), 1)

    def _once(self, called: str, recipe: Recipe, data: Dataset, number: int) -> Seeds:
        if called not in self.made or len(self.made[called]) < number:
            self.made[called] = seeds([_figures(run) for run in self._runs(called, recipe, data, number)])
        return seeds(self.made[called][:number])

    def _runs(self, called: str, recipe: Recipe, data: Dataset, number: int) -> list[Run]:
        kept = None if self.folder is None else self.folder / folder_named(called.replace(" ", "_"))
        folders = [None if kept is None else kept / f"seed{seed}" for seed in range(number)]
        missing = [seed for seed, at in enumerate(folders) if at is None or not is_finished(at, recipe, data)]
        program: Program | None = None
        done = []
        with self.watched(recipe, len(missing)) as watcher:
            if missing:
                there = f"{number - len(missing)} of {counted(number, 'seed')} are there; " if kept is not None else ""
                watcher.say(f"{called}: {there}training {len(missing)}")
                program = compile_program(recipe, data)
                require_memory(program, data)
            for seed, at in enumerate(folders):
                if seed in missing:
                    watcher.next_run(missing.index(seed))
                done.append(self._one(recipe, data, seed, at, program, watcher))
        return done

    def _one(
        self, recipe: Recipe, data: Dataset, seed: int, at: Path | None, program: Program | None, watcher: Any
    ) -> Run:
        """One run; in a folder it is the kept one, where that is finished."""

        def started(begun: Progress | None) -> None:
            if begun is not None:
                watcher.say(f"seed {seed}: going on at epoch {begun.epoch}, step {begun.step}")
            self.on_start(True)

        try:
            return fit(
                recipe,
                data,
                seed,
                program=program,
                run_dir=at,
                resume=at is not None,
                stop=self.stop,
                on_start=started,
                on_epoch=lambda result, state: watcher.epoch(result),
                on_chunk=watcher.chunk,
                on_progress=watcher.progress,
            )
        finally:
            self.on_start(False)


def _figures(run: Run) -> list[list[float]]:
    return [[r.train_loss, r.train_accuracy or 0.0, r.test_accuracy or 0.0] for r in run.epochs]


def swap(data: Dataset) -> Dataset:
    """Training and test part the wrong way round, as the notes once had them."""
    return data._replace(train=data.test, test=data.train)


@cache
def shapes(name: str) -> dict[str, tuple[int, ...]]:
    """The shape of every parameter of a recipe's network by its path; nothing is computed."""
    recipe = RECIPES[name]
    size = recipe.image_size or 28
    made = variables_like(recipe.model, jax.ShapeDtypeStruct((1, size, size, 1), jnp.float32))
    return {path: leaf.shape for path, leaf in flat(made["params"]).items()}


def kernels(name: str) -> list[tuple[int, ...]]:
    """The shape of every kernel of a recipe's network, in order; nothing is computed."""
    return [shape for path, shape in shapes(name).items() if path.endswith("kernel")]


def layers(name: str) -> list[int]:
    """Convolutions and dense layers."""
    return [sum(len(shape) == rank for shape in kernels(name)) for rank in (4, 2)]
