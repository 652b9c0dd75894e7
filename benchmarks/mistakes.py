"""The trainings that `jaxd2l diagnose` compares with: right ones, and each known mistake made on purpose.

    python benchmarks/mistakes.py softmax mlp lenet
    python benchmarks/mistakes.py lenet --variants right swapped_sets --seeds 10 --minutes 8

writes jaxd2l/diagnosis/curves/RECIPE.json: loss, training accuracy and test accuracy after every epoch of every seed,
and what made them. Each training is stored at once and what is stored is not trained again, so the same command goes on
after any interruption; with `--minutes` it begins nothing new after that time, and says what is missing. Several
processes, each with a recipe or variants of its own, may write at the same time.

With `--out` elsewhere nothing that is compared with changes; a copy of the stored files is gone on with there.
"""

import argparse
import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from filelock import FileLock

import jaxd2l
from jaxd2l.claims import stored
from jaxd2l.claims.trained import swap
from jaxd2l.data import ChannelStatistics, Dataset, ordered_rows
from jaxd2l.machine import conditions
from jaxd2l.machine.disk import write_atomically
from jaxd2l.nn import cross_entropy, softmax
from jaxd2l.train import DivergenceError, EpochResult, Program, Recipe, TrainState, compile_program
from jaxd2l.train import fit as train_fit
from jaxd2l.train.evaluation import compile_evaluation
from jaxd2l.train.program import initial_state

OUT = Path(__file__).resolve().parent.parent / "jaxd2l" / "diagnosis" / "curves"
RECIPES, SEEDS = ("softmax", "mlp", "lenet"), 20
Figures = list[list[float]]


class Mistake(NamedTuple):
    """One thing done wrong, as changes of a right training.

    Attributes:
        recipe: with other settings.
        data: with other rows or labels.
        ordered: whether each epoch goes through the rows as they are stored.
        zeros: whether all parameters begin as 0.
        told: how else the same training is told: name of another variant -> its figures, from those of an epoch and
            those (loss, accuracy) of the training part after it.
        repeated: whether an epoch is like the first, so that one is trained.
    """

    recipe: Callable[[Recipe], Recipe] = lambda recipe: recipe
    data: Callable[[Dataset], Dataset] = lambda data: data
    ordered: bool = False
    zeros: bool = False
    told: dict[str, Callable[[EpochResult, tuple[float, float]], list[float]]] = {}  # noqa: RUF012 - never changed
    repeated: bool = False


def _with(**settings: Any) -> Callable[[Recipe], Recipe]:
    return lambda recipe: dataclasses.replace(recipe, **settings)


def _rate(factor: float) -> Callable[[Recipe], Recipe]:
    return lambda recipe: dataclasses.replace(recipe, learning_rate=recipe.learning_rate * factor)


def _labelled(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Dataset], Dataset]:
    return lambda data: data._replace(train=data.train._replace(y=change(np.asarray(data.train.y))))


def _sorted(data: Dataset) -> Dataset:
    order = np.argsort(np.asarray(data.train.y), kind="stable")
    return data._replace(train=type(data.train)(*(np.asarray(part)[order] for part in data.train)))


def _of_softmax(output: jax.Array, y: jax.Array) -> jax.Array:
    return cross_entropy(softmax(output), y)


def _summed(recipe: Recipe) -> Recipe:
    return dataclasses.replace(recipe, loss=lambda output, y: recipe.batch_size * cross_entropy(output, y))


def _never_cleared(rate: Any, decay: Any) -> optax.GradientTransformation:
    return optax.chain(optax.trace(decay=1.0), optax.sgd(rate))


def _model(**fields: Any) -> Callable[[Recipe], Recipe]:
    return lambda recipe: dataclasses.replace(recipe, model=recipe.model.clone(**fields))


def _figures(result: EpochResult) -> list[float]:
    return [result.train_loss, result.train_accuracy or 0.0, result.test_accuracy or 0.0]


BYTES = ChannelStatistics((0.0,), (1 / 255,))  # dividing by it undoes the scaling
MISTAKES: dict[str, Mistake] = {
    "right": Mistake(
        told={
            "told_after_the_epoch": lambda result, after: [*after, result.test_accuracy or 0.0],
            "tested_on_training_set": lambda result, after: [*_figures(result)[:2], after[1]],
        }
    ),
    "swapped_sets": Mistake(data=swap),
    "rate_zero": Mistake(_with(optimizer=optax.set_to_zero(), epochs=1), repeated=True),
    "rate_ten_times_lower": Mistake(_rate(0.1)),
    "rate_ten_times_higher": Mistake(_rate(10.0)),
    "pixels_0_to_255": Mistake(_with(statistics=BYTES)),
    "softmax_twice": Mistake(_with(loss=_of_softmax)),
    "gradients_never_cleared": Mistake(_with(optimizer=_never_cleared)),
    "weights_zero": Mistake(zeros=True),
    "labels_shifted": Mistake(data=_labelled(lambda y: (y + 1) % 10)),
    "labels_of_other_rows": Mistake(data=_labelled(lambda y: np.roll(y, 1))),
    "not_shuffled": Mistake(ordered=True),
    "sorted_not_shuffled": Mistake(data=_sorted, ordered=True),
    "loss_summed": Mistake(
        _summed,
        told={
            "loss_summed_told_as_mean": lambda result, after: [result.train_loss / 256, *_figures(result)[1:]],
        },
    ),
    "adam_at_this_rate": Mistake(_with(optimizer="adam")),
}
OF_RECIPE: dict[str, dict[str, Mistake]] = {
    "softmax": {},
    "mlp": {"no_activation": Mistake(_model(activation=lambda x: x))},
    "lenet": {
        "relu_in_convolutions": Mistake(lambda recipe: jaxd2l.find("lenet_conv_relu")),
        "relu_throughout": Mistake(
            lambda recipe: dataclasses.replace(jaxd2l.find("lenet_relu"), learning_rate=recipe.learning_rate)
        ),
    },
}


# Seeds 0 to 4, as `jaxd2l.claims.stored` has them: the same trainings, of another day.
TRAINED_BEFORE = {
    "lenet": {
        "right": "lenet",
        "relu_in_convolutions": "lenet_conv_relu",
        "relu_throughout": "lenet_relu_at_0.9",
    }
}


def mistakes_of(name: str) -> dict[str, Mistake]:
    """The variants of a recipe that are trained."""
    return {**MISTAKES, **OF_RECIPE[name]}


class Training:
    """A variant compiled once, trained with one seed after another."""

    def __init__(self, recipe: Recipe, data: Dataset, mistake: Mistake) -> None:
        """Compile it for the data."""
        self.mistake, self.recipe, self.epochs = mistake, mistake.recipe(recipe), recipe.epochs
        self.data = mistake.data(data)
        self.program: Program = compile_program(self.recipe, self.data)
        if mistake.ordered:
            rows = ordered_rows(len(self.data.train.x), self.recipe.batch_size)
            self.program = dataclasses.replace(self.program, shuffle=lambda key, epoch: rows)
        like = initial_state(self.program, 0, self.recipe.learning_rate, self.recipe.weight_decay)
        self.weights = jax.tree.map(jnp.zeros_like, (like.params, like.batch_stats)) if mistake.zeros else None
        self.told = mistake.told
        self.judge = (
            compile_evaluation(self.recipe, like.params, like.batch_stats, self.data.train) if self.told else None
        )

    def __call__(self, seed: int) -> dict[str | None, Figures]:
        """The figures of each finished epoch as the training itself (None) and the variants that are told tell them."""
        figures: dict[str | None, Figures] = {name: [] for name in (None, *self.told)}

        def on_epoch(result: EpochResult, state: TrainState) -> None:
            figures[None].append(_figures(result))
            if self.judge is not None:
                loss, accuracy = self.judge(state.params, state.batch_stats)
                for name, tell in self.told.items():
                    figures[name].append(tell(result, (loss, accuracy or 0.0)))

        try:
            train_fit(self.recipe, self.data, seed, program=self.program, weights=self.weights, on_epoch=on_epoch)
        except DivergenceError:
            return figures  # up to the epoch before
        if self.mistake.repeated:
            return {name: rows * self.epochs for name, rows in figures.items()}
        return figures


def load(name: str, folder: Path = OUT) -> dict[str, Any]:
    """What is stored of a recipe."""
    path = folder / f"{name}.json"
    if path.exists():
        return dict(json.loads(path.read_text(encoding="utf-8")))
    kept: dict[str, Any] = {"recipe": name, "epochs": jaxd2l.find(name).epochs, "made": [], "variants": {}}
    for variant, training in TRAINED_BEFORE.get(name, {}).items():
        curves = stored.curves(training).tolist()
        for seed, figures in enumerate(curves):
            add(kept, variant, seed, figures)
        made = {"command": stored.provenance(training), "trainings": {variant: list(range(len(curves)))}}
        kept["made"].append(made)
    return kept


def store(kept: dict[str, Any], folder: Path) -> None:
    """Write it whole, a training a line."""
    names = [*order_of(kept["recipe"]), *sorted(kept["variants"])]
    kept["variants"] = {name: kept["variants"][name] for name in dict.fromkeys(names) if name in kept["variants"]}
    made = ",\n".join(json.dumps(one) for one in kept["made"])
    curves = ",\n".join(
        f"{json.dumps(name)}: {{\n"
        + ",\n".join(f"{json.dumps(seed)}: {json.dumps(rows, separators=(',', ':'))}" for seed, rows in seeds.items())
        + "\n}"
        for name, seeds in kept["variants"].items()
    )
    head = f'"recipe": {json.dumps(kept["recipe"])}, "epochs": {kept["epochs"]}'
    text = f'{{{head}, "made": [\n{made}\n], "variants": {{\n{curves}\n}}}}\n'
    write_atomically(folder / f"{kept['recipe']}.json", text.encode())


def order_of(recipe: str) -> list[str]:
    """Every variant of a recipe, those that are only told too, in order."""
    return [one for name, mistake in mistakes_of(recipe).items() for one in (name, *mistake.told)]


def add(kept: dict[str, Any], name: str, seed: int, figures: Figures) -> None:
    """Add a training, in five digits of a loss and four of an accuracy."""
    rows = [[float(f"{loss:.5g}"), round(train, 4), round(test, 4)] for loss, train, test in figures]
    seeds = kept["variants"].setdefault(name, {})
    seeds[str(seed)] = rows
    kept["variants"][name] = dict(sorted(seeds.items(), key=lambda item: int(item[0])))


def note(kept: dict[str, Any], data: Dataset, name: str, seed: int) -> None:
    """Say where it was made."""
    found = conditions.environment(data.name, data.sha256)
    where = {key: found[key] for key in ("device", "processor", "jax", "jaxlib", "jaxd2l")}
    same = [one for one in kept["made"] if {key: one.get(key) for key in where} == where]
    if not same:
        command = f"python benchmarks/mistakes.py {kept['recipe']}"
        same = [{"command": command, **where, "begun": found["started"], "trainings": {}}]
        kept["made"] += same
    same[0]["ended"] = found["started"]
    seeds = same[0]["trainings"].setdefault(name, [])
    same[0]["trainings"][name] = sorted({*seeds, seed})


def make(name: str, variants: list[str] | None, seeds: int, ends: float, folder: Path = OUT) -> list[str]:
    """Train what is missing of a recipe until the time is over; what is missing then."""
    recipe, kept = jaxd2l.find(name), load(name, folder)
    data = jaxd2l.load_data(recipe)
    missing = []
    for variant, mistake in mistakes_of(name).items():
        if variants is not None and variant not in variants:
            continue
        there = [kept["variants"].get(told, {}) for told in (variant, *mistake.told)]
        left = [seed for seed in range(seeds) if not all(str(seed) in known for known in there)]
        training = None
        while left and time.perf_counter() < ends:
            training = training or Training(recipe, data, mistake)
            began, seed = time.perf_counter(), left.pop(0)
            trained = training(seed)
            with FileLock(folder / f".{name}.lock"):  # another process may have stored other variants meanwhile
                kept = load(name, folder)
                for told, figures in trained.items():
                    add(kept, told or variant, seed, figures)
                note(kept, data, variant, seed)
                store(kept, folder)
            last = kept["variants"][variant][str(seed)][-1:]
            print(f"{name} {variant} {seed}: {last} in {time.perf_counter() - began:.1f} s", flush=True)
        if left:
            missing.append(f"{name} {variant}: seeds {left[0]} to {left[-1]}")
    return missing


def main() -> None:
    """Train and store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="+", choices=RECIPES, metavar="RECIPE")
    parser.add_argument("--variants", nargs="+", metavar="NAME")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--out", type=Path, default=OUT, metavar="FOLDER")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    args = parser.parse_args()
    ends = time.perf_counter() + 60 * args.minutes
    missing = [line for name in args.recipes for line in make(name, args.variants, args.seeds, ends, args.out)]
    print("\n".join(["missing:", *missing]) if missing else "complete")


if __name__ == "__main__":
    main()
