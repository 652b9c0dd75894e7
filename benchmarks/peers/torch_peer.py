"""Peer: PyTorch, eager or `torch.compile`d, in an interpreter of its own.

After the folder come its modes, `eager` unless others are named: `eager`, `compile`, `eager-bfloat16`,
`compile-bfloat16` (autocast). The networks are those of scripts/torch_networks.py at full size. Images are kept as
float tensors and gathered in memory (no DataLoader), resized inside the step; nothing is read back before the round
ends. On a GPU float32 products may use TF32, as JAX's do.
"""

import copy
import sys
import time
from pathlib import Path

import numpy as np
import torch
from protocol import Task, Trainer, serve
from torch import nn
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import torch_networks as book  # noqa: E402


def with_dropout(module):
    """Put PyTorch's own dropout where the fixtures have written-down masks."""
    for name, child in module.named_children():
        if isinstance(child, book.Masked):
            setattr(module, name, nn.Dropout(child.rate))
        else:
            with_dropout(child)
    return module


def trainer(task, network, x, y, mode):
    """One way of training a copy of `network`."""
    network, size = copy.deepcopy(network), task.image_size
    optimizer = torch.optim.SGD(network.parameters(), lr=task.learning_rate)
    narrow = torch.autocast(x.device.type, torch.bfloat16, enabled=mode.endswith("bfloat16"))

    def loss_of(forward, rows):
        batch = x[rows]
        if batch.shape[-1] != size:
            batch = F.interpolate(batch, size=(size, size), mode="bilinear")
        with narrow:
            return F.cross_entropy(forward(batch), y[rows])

    first = torch.from_numpy(task.rows[0, 0]).to(x.device)
    network.eval()
    with torch.no_grad():
        first_loss = loss_of(network, first).item()
    network.train()
    compiled = mode.startswith("compile")
    forward = torch.compile(network) if compiled else network

    def train_round(i):
        losses = []
        for rows in torch.from_numpy(task.rows[i]).to(x.device):
            optimizer.zero_grad()
            loss = loss_of(forward, rows)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses).mean().item()

    compile_seconds = 0.0
    if compiled:  # one forward and backward pass; statistics and gradients are put back
        kept = {k: v.clone() for k, v in network.state_dict().items()}
        compiling = time.perf_counter()
        loss_of(forward, first).backward()
        compile_seconds = time.perf_counter() - compiling
        network.load_state_dict(kept)
    return Trainer(first_loss, train_round, compile_seconds)


def main():
    """Build the network with the task's weights and serve it."""
    began = time.perf_counter()
    task = Task(sys.argv[1])
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = True
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = with_dropout(book.NETWORKS[task.recipe]())
    network.load_state_dict({k: torch.from_numpy(v) for k, v in task.weights.items()}, strict=False)
    network = network.to(device)
    if device == "cuda":
        network = network.to(memory_format=torch.channels_last)
    x = torch.from_numpy(np.ascontiguousarray(np.moveaxis(task.x, -1, 1))).to(device).float() / 255
    y = torch.from_numpy(task.y).to(device).long()
    trainers = {mode: trainer(task, network, x, y, mode) for mode in sys.argv[2:] or ["eager"]}
    parameters = sum(p.numel() for p in network.parameters())
    serve(began, parameters, trainers, {"torch": torch.__version__, "threads": torch.get_num_threads()})


if __name__ == "__main__":
    main()
