"""Trainings of PyTorch, right ones and with mistakes, as lines that `jaxd2l diagnose` is to name.

    PYTHON_WITH_TORCH benchmarks/torch_curves.py --json benchmarks/results/torch_curves.json

The book's softmax regression and perceptron as the book writes them, with its loop and its way of printing; nothing of
this package is used but the files of Fashion-MNIST. Each mistake is made as people make it: in the loader, the network,
the loss or the loop.
"""

import argparse
import gzip
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

DATA = Path(__file__).resolve().parent.parent / "jaxd2l" / "data" / "fashion_mnist"
MISTAKES = (
    *("right", "told_after_the_epoch", "tested_on_training_set", "swapped_sets", "rate_zero", "rate_ten_times_lower"),
    *("rate_ten_times_higher", "pixels_0_to_255", "softmax_twice", "gradients_never_cleared", "weights_zero"),
    *("labels_shifted", "labels_of_other_rows", "sorted_not_shuffled", "loss_summed", "adam_at_this_rate"),
)


def read(part: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Images in [0, 1] and labels."""
    images, labels = (
        np.frombuffer(gzip.decompress((DATA / f"{part}-{name}.gz").read_bytes()), np.uint8, offset=skip)
        for name, skip in (("images-idx3-ubyte", 16), ("labels-idx1-ubyte", 8))
    )
    return torch.from_numpy(images.reshape(-1, 784).astype(np.float32) / 255), torch.from_numpy(labels.astype(np.int64))


def network(recipe: str, mistake: str) -> nn.Module:
    """The network."""
    layers = [nn.Linear(784, 10)] if recipe == "softmax" else [nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10)]
    net = nn.Sequential(*layers, *([nn.Softmax(1)] if mistake == "softmax_twice" else []))
    for layer in net:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.0 if mistake == "weights_zero" else 0.01)
            nn.init.zeros_(layer.bias)
    return net


def accuracy(net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Share of right answers."""
    with torch.no_grad():
        return float((net(x).argmax(1) == y).float().mean())


def train(recipe: str, mistake: str, seed: int) -> str:
    """Ten epochs, as lines."""
    torch.manual_seed(seed)
    train_set, test_set = read("train"), read("t10k")
    if mistake == "swapped_sets":
        train_set, test_set = test_set, train_set
    (x, y), (test_x, test_y) = train_set, test_set
    if mistake == "pixels_0_to_255":
        x, test_x = x * 255, test_x * 255
    y = {"labels_shifted": (y + 1) % 10, "labels_of_other_rows": y.roll(1)}.get(mistake, y)
    if mistake == "sorted_not_shuffled":
        x, y = x[y.argsort(stable=True)], y.sort(stable=True).values
    net = network(recipe, mistake)
    rate = 0.1 * {"rate_ten_times_lower": 0.1, "rate_ten_times_higher": 10, "rate_zero": 0}.get(mistake, 1)
    optimizer = (torch.optim.Adam if mistake == "adam_at_this_rate" else torch.optim.SGD)(net.parameters(), lr=rate)
    loss = nn.CrossEntropyLoss(reduction="sum" if mistake == "loss_summed" else "mean")
    lines = []
    for epoch in range(1, 11):
        order = torch.arange(len(x)) if mistake == "sorted_not_shuffled" else torch.randperm(len(x))
        total = hits = 0.0
        for rows in order.split(256):
            output = net(x[rows])
            value = loss(output, y[rows])
            if mistake != "gradients_never_cleared":
                optimizer.zero_grad()
            value.backward()
            optimizer.step()
            total += float(value) * len(rows)
            hits += float((output.argmax(1) == y[rows]).sum())
        told = (total / len(x), hits / len(x))
        if mistake == "told_after_the_epoch":
            with torch.no_grad():
                told = (float(loss(net(x), y)), accuracy(net, x, y))
        test = accuracy(net, *((x, y) if mistake == "tested_on_training_set" else (test_x, test_y)))
        lines.append(f"epoch {epoch}, loss {told[0]:.3f}, train acc {told[1]:.3f}, test acc {test:.3f}")
    return "\n".join(lines)


def main() -> None:
    """Train all, one seed each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", default=["softmax", "mlp"])
    parser.add_argument(
        "--minutes", type=float, default=4.0, help="begin nothing new after that; go on by the same command"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="PATH", required=True)
    args = parser.parse_args()
    kept = json.loads(args.json.read_text(encoding="utf-8")) if args.json.exists() else {"torch": torch.__version__}
    ends = time.perf_counter() + 60 * args.minutes
    for recipe in args.recipes:
        for mistake in MISTAKES:
            curves = kept.setdefault("curves", {}).setdefault(recipe, {})
            if mistake in curves or time.perf_counter() > ends:
                continue
            began = time.perf_counter()
            curves[mistake] = train(recipe, mistake, args.seed).split("\n")
            args.json.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
            print(recipe, mistake, curves[mistake][-1], f"in {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
