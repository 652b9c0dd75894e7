"""What training alone does to LeNet, step by step from the book's recipe, and the tuned recipes over five seeds.

    python benchmarks/tuned.py                     # all of it
    python benchmarks/tuned.py --only decay --minutes 9

writes benchmarks/results/tuned.json: after every epoch of every seed training loss, training and test accuracy, and
what made them. Every seed is stored at once and what is stored is not trained again, so the same command goes on. What
was searched was chosen on 6,000 training pictures held out (docs/use/tuned.md); the figures are of the test pictures,
after the last epoch, by weights that all 60,000 trained. The first two steps are recipes of the book and its
notes, whose five seeds are stored with the study of LeNet.
"""

import argparse
import dataclasses
import json
import statistics
import time
from pathlib import Path
from typing import Any

import jaxd2l
from jaxd2l.claims import stored
from jaxd2l.machine import conditions
from jaxd2l.nn import relu
from jaxd2l.nn.models import LeNet
from jaxd2l.report.text import columns
from jaxd2l.run_folder import write_json
from jaxd2l.train import Recipe

OUT = Path(__file__).resolve().parent / "results" / "tuned.json"
SEEDS = 5

# each step keeps the ones before it
STEPS: dict[str, dict[str, Any]] = {
    "the book's: sigmoid, rate .9": {},
    "ReLU, rate .1": {"model": LeNet(conv_activation=relu, dense_activation=relu), "learning_rate": 0.1},
    "Nesterov momentum .9, rate .05": {"momentum": 0.9, "nesterov": True, "learning_rate": 0.05},
    "cosine, one epoch of warm-up, rate .1": {"schedule": "cosine", "warmup": 1.0, "learning_rate": 0.1},
    "20 epochs": {"epochs": 20},
    "weight decay .0005": {"weight_decay": 0.0005},
}
# beside the step of that name
BESIDE: dict[str, tuple[str, dict[str, Any]]] = {"pictures flipped": ("20 epochs", {"augment": "flip"})}


STORED = dict(zip(STEPS, ("lenet", "lenet_relu"), strict=False))  # see `jaxd2l.claims.stored`


def ladder() -> dict[str, Recipe]:
    """LeNet's recipe at every step, and then beside one."""
    recipe, found = jaxd2l.find("lenet"), {}
    for words, changes in STEPS.items():
        recipe = dataclasses.replace(recipe, **changes)
        found[words] = recipe
    for words, (step, changes) in BESIDE.items():
        found[words] = dataclasses.replace(found[step], **changes)
    return found


def trainings() -> dict[str, Recipe]:
    """Every recipe that is trained, by what the table calls it."""
    steps = {words: recipe for words, recipe in ladder().items() if words not in STORED}
    return {**steps, "convnet": jaxd2l.find("convnet")}


def make(out: Path, chosen: dict[str, Recipe], ends: float) -> None:
    """Train the seeds that are missing, until the time is over."""
    kept: dict[str, Any] = json.loads(out.read_text(encoding="utf-8")) if out.is_file() else {}
    for words, recipe in chosen.items():
        settings = json.loads(json.dumps({**recipe.settings(), "model": repr(recipe.model)}))
        known = kept.setdefault(words, {"settings": settings, "seeds": {}})
        if known["settings"] != settings:
            raise SystemExit(f"{out}: {words!r} was made with other settings; take it out of the file to make it anew")
        left = [seed for seed in range(SEEDS) if str(seed) not in known["seeds"]]
        data = jaxd2l.load_data(recipe)
        program = None
        for seed in left:
            if time.perf_counter() > ends:
                return
            program = program or jaxd2l.train.compile_program(recipe, data)
            began = time.perf_counter()
            epochs = jaxd2l.fit(recipe, data, seed=seed, program=program).epochs
            found = conditions.environment(data.name, data.sha256)
            known["seeds"][str(seed)] = {
                "epochs": [
                    [round(value, 5) for value in (one.train_loss, one.train_accuracy, one.test_accuracy)]
                    for one in epochs
                ],
                "seconds": round(time.perf_counter() - began, 1),
                **{key: found[key] for key in ("device", "processor", "jax", "jaxlib", "started")},
            }
            write_json(out, kept)
            print(f"{words}, seed {seed}: {epochs[-1].test_accuracy:.4f} in {known['seeds'][str(seed)]['seconds']} s")


def finished(out: Path) -> dict[str, list[list[float]]]:
    """Training loss, training and test accuracy after the last epoch: of every seed of every training there is."""
    kept = json.loads(out.read_text(encoding="utf-8"))
    known = {words: stored.last(name).tolist() for words, name in STORED.items()}
    made = {
        words: [one["epochs"][-1] for one in kept[words]["seeds"].values()] for words in trainings() if words in kept
    }
    return {**known, **made}


def table(out: Path) -> str:
    """Mean and deviation over the seeds of each, after the last epoch."""
    rows = []
    for words, last in finished(out).items():
        spread = [f"{statistics.mean(of):.4f} ± {statistics.stdev(of):.4f}" for of in zip(*last, strict=True) if of[1:]]
        rows.append((words, str(len(last)), *(spread or [""] * 3)))
    return columns(("training", "seeds", "train loss", "train accuracy", "test accuracy"), rows)


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="WORD", help="the trainings in whose name one of these stands")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no seed after that")
    parser.add_argument("--out", type=Path, default=OUT, metavar="FILE")
    args = parser.parse_args()
    ends = time.perf_counter() + 60 * args.minutes
    chosen = {
        words: recipe
        for words, recipe in trainings().items()
        if not args.only or any(one in words for one in args.only)
    }
    make(args.out, chosen, ends)
    print(table(args.out))


if __name__ == "__main__":
    main()
