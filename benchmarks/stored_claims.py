"""The trainings that `jaxd2l verify` reads, taken from the full results in benchmarks/results.

    python benchmarks/stored_claims.py

writes jaxd2l/claims/trainings.json: loss and accuracies after every epoch of every seed, and what made them. A
test holds the file against the results.
"""

import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
OUT = HERE.parent / "jaxd2l" / "claims" / "trainings.json"
STUDY = "lenet-study-cpu-2026-11-22.json"
REPRODUCED = "reproduce-cpu-2026-11-22.json"
LONG = "long_runs.json"
POINTS = {
    "lenet": ("lenet", 0.9),
    "lenet_relu": ("lenet_relu", 0.1),
    "lenet_relu_at_0.9": ("lenet_relu", 0.9),
    "lenet_conv_relu": ("lenet_conv_relu", 0.9),
}


def collect() -> dict:
    """The file's contents."""
    study, reproduced, long = (
        json.loads((HERE / "results" / name).read_text(encoding="utf-8")) for name in (STUDY, REPRODUCED, LONG)
    )
    environment = reproduced["mlp"][0]["environment"]
    made = {
        "study": {
            "command": "jaxd2l sweep lenet lenet_relu lenet_conv_relu --learning-rates 0.1 0.9 --seeds 5",
            "device": study["device"],
            "jax": environment["jax"],  # of the same machine and day; a sweep of then wrote no versions
            "date": "2026-11-22",
            "file": f"benchmarks/results/{STUDY}",
        },
        "reproduced": {
            "command": "jaxd2l reproduce linear softmax mlp dropout_mlp lenet_bn",
            "device": environment["device"],
            "jax": environment["jax"],
            "date": environment["started"][:10],
            "file": f"benchmarks/results/{REPRODUCED}",
        },
    }
    fields = ("train_loss", "train_accuracy", "test_accuracy")
    trainings = {
        name: {
            "made": "study",
            "curves": [
                [
                    [round(value, 6) for value in epoch]
                    for epoch in zip(*(member[field] for field in fields), strict=True)
                ]
                for member in study["members"]
                if (member["recipe"], member["learning_rate"]) == point
            ],
        }
        for name, point in POINTS.items()
    }

    def curve(run: dict) -> list:
        return [[round(epoch[field], 6) for field in fields] for epoch in run["epochs"]]

    trainings["mlp"] = {"made": "reproduced", "curves": [curve(run) for run in reproduced["mlp"]]}
    for run in long:
        if len(run["epochs"]) < run["epochs_of_recipe"]:
            continue
        name = run["called"]
        made[f"long {name}"] = {
            "command": f"jaxd2l train {name}" if name == run["recipe"] else "jaxd2l verify --full",
            "device": f"{run['device']}, {run['processor']}",
            "jax": run["jax"],
            "date": run["starts"][0]["started"][:10],
            "file": f"benchmarks/results/{LONG}",
        }
        trainings.setdefault(name, {"made": f"long {name}", "curves": []})["curves"].append(curve(run))
    return {"made": made, "trainings": trainings}


if __name__ == "__main__":
    OUT.write_text(json.dumps(collect()) + "\n", encoding="utf-8")
