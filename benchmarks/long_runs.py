"""The book's large networks trained on the real data: every finished epoch of runs that take hours.

    jaxd2l train densenet --out runs/long/densenet --resume --checkpoint-every 120
    jaxd2l verify --full --day 17 --out runs/long
    python benchmarks/long_runs.py runs/long/densenet runs/long/alexnet_swapped/seed0 ...

The first, given again after each interruption, goes on inside the epoch; so does the second, which alone trains AlexNet
with its sets swapped. The third reads run folders, finished or not, and writes benchmarks/results/long_runs.json: the
settings of each, after every epoch losses, accuracies and seconds, and every start with its commit and device. What the
file holds of other recipes and seeds stays.
"""

import argparse
import json
import sys
from pathlib import Path

import jaxd2l
from jaxd2l.claims.trained import swap
from jaxd2l.recipes import RECIPES
from jaxd2l.run_folder import ENVIRONMENT, write_json
from jaxd2l.run_folder.settings import digest_of_rows

OUT = Path(__file__).resolve().parent / "results" / "long_runs.json"
FACTS = ("jax", "jaxlib", "flax", "python", "device", "processor", "instructions")


def told(folder: Path) -> dict:
    """What the folder of a run says of it."""
    run = jaxd2l.load_run(folder)
    environment = json.loads((folder / ENVIRONMENT).read_text(encoding="utf-8"))
    first = {name: environment[name] for name in ("started", "commit", "device")}
    recipe = run.config["recipe"]
    swapped = run.config["data"]["sha256"] == digest_of_rows(swap(jaxd2l.load_data(run.recipe)))
    return {
        "called": f"{recipe} swapped" if swapped else recipe,
        "recipe": recipe,
        "seed": run.seed,
        "epochs_of_recipe": RECIPES[recipe].epochs,
        **{name: run.config[name] for name in ("batch_size", "learning_rate", "image_size", "precision")},
        **{name: environment[name] for name in FACTS},
        "starts": [first, *environment.get("resumed", [])],
        "epochs": [result.row() for result in run.epochs],
    }


def main() -> None:
    """Read the folders, write the file and print its runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, metavar="RUN_DIR")
    parser.add_argument("--json", type=Path, default=OUT, help="default: benchmarks/results/long_runs.json")
    arguments = parser.parse_args()
    stored = json.loads(arguments.json.read_text(encoding="utf-8")) if arguments.json.exists() else []
    try:
        found = [told(folder) for folder in arguments.folders]
    except (jaxd2l.data.DataError, OSError) as error:
        sys.exit(f"long_runs.py: {error}")
    runs = {(run["called"], run["seed"]): run for run in [*stored, *found]}
    write_json(arguments.json, [runs[key] for key in sorted(runs)])
    print("| recipe | seed | epochs | train loss | train accuracy | test accuracy | best | hours |")
    print("|---|---|---|---|---|---|---|---|")
    for (name, seed), run in sorted(runs.items()):
        if run["epochs"]:
            last, best = run["epochs"][-1], max(epoch["test_accuracy"] for epoch in run["epochs"])
            hours = sum(epoch["seconds"] for epoch in run["epochs"]) / 3600
            print(
                f"| {name} | {seed} | {len(run['epochs'])} of {run['epochs_of_recipe']} | {last['train_loss']:.4f} | "
                f"{last['train_accuracy']:.4f} | {last['test_accuracy']:.4f} | {best:.4f} | {hours:.1f} |"
            )


if __name__ == "__main__":
    main()
