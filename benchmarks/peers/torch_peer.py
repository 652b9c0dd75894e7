"""Peer: PyTorch, eager or `torch.compile`d (`compile` as the second argument), in an interpreter of its own.

The networks are those that the parity tests use. Images are kept as float tensors and gathered in memory (no
DataLoader), resized inside the step; nothing is read back before the round ends.
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch
from protocol import Task, serve
from torch import nn
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]
import make_torch_fixtures as book  # noqa: E402


def with_dropout(module):
    """Put PyTorch's own dropout where the fixtures have written-down masks."""
    for name, child in module.named_children():
        if isinstance(child, book.Masked):
            setattr(module, name, nn.Dropout(child.rate))
        else:
            with_dropout(child)
    return module


def main():
    """Build the network with the task's weights and serve it."""
    began = time.perf_counter()
    task, compiled = Task(sys.argv[1]), "compile" in sys.argv[2:]
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = with_dropout(book.NETWORKS[task.recipe]())
    network.load_state_dict({k: torch.from_numpy(v) for k, v in task.weights.items()}, strict=False)
    network = network.to(device)
    if device == "cuda":
        network = network.to(memory_format=torch.channels_last)
    x = torch.from_numpy(np.ascontiguousarray(np.moveaxis(task.x, -1, 1))).to(device).float() / 255
    y = torch.from_numpy(task.y).to(device).long()
    optimizer = torch.optim.SGD(network.parameters(), lr=task.learning_rate)
    size = task.image_size

    def images(rows):
        batch = x[rows]
        return batch if batch.shape[-1] == size else F.interpolate(batch, size=(size, size), mode="bilinear")

    first = torch.from_numpy(task.rows[0, 0])
    network.eval()
    with torch.no_grad():
        first_loss = F.cross_entropy(network(images(first)), y[first]).item()
    network.train()
    forward = torch.compile(network) if compiled else network

    def train_round(i):
        losses = []
        for rows in torch.from_numpy(task.rows[i]):
            optimizer.zero_grad()
            loss = F.cross_entropy(forward(images(rows)), y[rows])
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses).mean().item()

    compile_seconds = 0.0
    if compiled:  # one forward and backward pass; statistics and gradients are put back
        kept = {k: v.clone() for k, v in network.state_dict().items()}
        compiling = time.perf_counter()
        F.cross_entropy(forward(images(first)), y[first]).backward()
        compile_seconds = time.perf_counter() - compiling
        network.load_state_dict(kept)
    parameters = sum(p.numel() for p in network.parameters())
    versions = {"torch": torch.__version__, "threads": torch.get_num_threads()}
    serve(began, parameters, first_loss, train_round, versions, compile_seconds)


if __name__ == "__main__":
    main()
