# ruff: noqa: D103 - each function is a line of the docstring above
"""What PyTorch computes for every network and layer, as small fixtures for the tests.

Run with an interpreter that has PyTorch and NumPy (written with Python 3.11, PyTorch 2.13):

    python scripts/make_torch_fixtures.py [name ...]

It writes tests/fixtures/torch_<network>.npz and tests/fixtures/torch_layers.npz; each says in `versions` what made it.
The networks are those of scripts/torch_networks.py, the large ones narrow; weights, inputs and dropout masks come from
tests/torch_rule.py. Everything is computed in float64.
"""

import platform
import sys
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import torch_layers  # noqa: E402
import torch_rule  # noqa: E402
from torch_networks import IN_FIXTURES  # noqa: E402

FIXTURES = ROOT / "tests" / "fixtures"
VERSIONS = f"Python {platform.python_version()}, PyTorch {torch.__version__}, NumPy {np.__version__}"


def channels_first(x):
    return np.ascontiguousarray(np.moveaxis(x, -1, 1)) if x.ndim > 2 else x


def train(name, dtype):
    """Outputs, losses and digests of five steps; also the size of each array."""
    case, net = torch_rule.CASES[name], IN_FIXTURES[name]()
    state = {k: torch.from_numpy(torch_rule.weight(k, tuple(v.shape))) for k, v in net.state_dict().items() if v.ndim}
    net.load_state_dict(state, strict=False)  # all but num_batches_tracked
    net.to(dtype)
    x, y = torch_rule.batch(name)
    x = torch.from_numpy(channels_first(x)).to(dtype)
    y = torch.from_numpy(y).to(dtype) if case.regression else torch.from_numpy(y).long()
    kernels = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim == 1]
    groups = [{"params": kernels, "weight_decay": case.weight_decay}, {"params": others, "weight_decay": 0.0}]
    sgd = torch.optim.SGD(groups, lr=case.learning_rate)

    net.eval()
    with torch.no_grad():
        out = {"logits_predict": net(x).double().numpy()}
    net.train()
    losses, digests = [], {}

    def keep(what, arrays):
        digests[what] = {k: (torch_rule.digest(k, v.detach().numpy()), v.numel()) for k, v in sorted(arrays.items())}

    for step in range(1, 6):
        logits = net(x)
        loss = F.mse_loss(logits, y) / 2 if case.regression else F.cross_entropy(logits, y)
        losses.append(loss.item())
        sgd.zero_grad()
        loss.backward()
        if step == 1:
            out["logits_train"] = logits.detach().double().numpy()
            keep("gradient", {k: p.grad for k, p in net.named_parameters()})
        sgd.step()
        if step in (1, 5):
            state = {k: v for k, v in net.state_dict().items() if v.ndim}
            keep(f"after{step}", {k: v for k, v in state.items() if "running" not in k})
            keep(f"running{step}", {k: v for k, v in state.items() if "running" in k})
    return out | {"losses": np.asarray(losses)}, digests


def run(name):
    """Write what float64 gives, and how far PyTorch's own float32 is from it."""
    out, digests = train(name, torch.float64)
    rough_out, rough = train(name, torch.float32)
    errors = {what: np.max(np.abs(rough_out[what] - out[what])) / np.max(np.abs(out[what])) for what in out}
    for what, rows in digests.items():
        total = float(np.linalg.norm([row[0] for row, _ in rows.values()]))
        errors[what] = max(
            (torch_rule.digest_error(rough[what][k][0], row, size, total) for k, (row, size) in rows.items()), default=0
        )
        out[what] = np.reshape([row for row, _ in rows.values()], (-1, 4 + torch_rule.SAMPLES))
    out["names"], out["running_names"] = np.asarray(list(digests["after1"])), np.asarray(list(digests["running1"]))
    out |= {f"{what}_float32_error": np.asarray(error) for what, error in errors.items()}
    np.savez_compressed(FIXTURES / f"torch_{name}.npz", versions=np.asarray(VERSIONS), **out)
    print(
        name, "losses", np.round(out["losses"], 4), {k: f"{v:.0e}" for k, v in errors.items() if v > 1e-5}, flush=True
    )


def layers():
    """Output and every gradient of each layer case, whole, in our layout."""
    out = {}
    for name, case in torch_layers.LAYER_CASES.items():
        arrays = {
            k: torch.from_numpy(torch_layers.to_torch(case, k, v)).double().requires_grad_(k != "labels")
            if k != "labels"
            else torch.from_numpy(v).long()
            for k, v in torch_layers.arrays(name).items()
        }
        results = LAYERS[case.kind](arrays, dict(case.settings))
        y = results if isinstance(results, torch.Tensor) else results[0]
        direction = torch.from_numpy(
            torch_layers.direction(
                name, tuple(np.moveaxis(y.detach().numpy(), 1, -1).shape if case.images else y.shape)
            )
        )
        direction = torch.movedim(direction, -1, 1) if case.images else direction
        (y * direction).sum().backward()
        out[f"{name} y"] = torch_layers.from_torch(case, "y", y.detach().numpy())
        for k, v in arrays.items():
            if k != "labels" and v.grad is not None:
                out[f"{name} d{k}"] = torch_layers.from_torch(case, k, v.grad.numpy())
        if not isinstance(results, torch.Tensor):
            out |= {f"{name} {k}": v.detach().numpy() for k, v in results[1].items()}
    np.savez_compressed(FIXTURES / "torch_layers.npz", versions=np.asarray(VERSIONS), **out)
    print(len(torch_layers.LAYER_CASES), "layer cases")


def batch_norm(a, settings):
    mean, var = a["mean"].detach().clone(), a["var"].detach().clone()
    y = F.batch_norm(a["x"], mean, var, a["scale"], a["bias"], **settings)
    return y, {"new_mean": mean, "new_var": var}


def cross_entropy(a, settings, **others):
    weight = {name: torch.tensor(value, dtype=torch.float64) for name, value in settings.items() if name == "weight"}
    return F.cross_entropy(a["x"], a["labels"], **{**settings, **weight, **others})


CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVG = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
LAYERS = {
    "relu": lambda a, s: F.relu(a["x"]),
    "leaky_relu": lambda a, s: F.leaky_relu(a["x"], **s),
    "sigmoid": lambda a, s: torch.sigmoid(a["x"]),
    "tanh": lambda a, s: torch.tanh(a["x"]),
    "gelu": lambda a, s: F.gelu(a["x"]),
    "softmax": lambda a, s: F.softmax(a["x"], -1),
    "log_softmax": lambda a, s: F.log_softmax(a["x"], -1),
    "dense": lambda a, s: F.linear(a["x"], a["kernel"], a["bias"]),
    "conv": lambda a, s: CONV[a["x"].ndim - 2](a["x"], a["kernel"], **s),
    "max_pool": lambda a, s: MAX[a["x"].ndim - 2](a["x"], **s),
    "avg_pool": lambda a, s: AVG[a["x"].ndim - 2](a["x"], **s),
    "global_avg_pool": lambda a, s: a["x"].flatten(2).mean(2),
    "batch_norm": batch_norm,
    "layer_norm": lambda a, s: F.layer_norm(a["x"], a["scale"].shape, a["scale"], a["bias"]),
    "squared_error": lambda a, s: (F.mse_loss(a["x"], a["target"], reduction="none") / 2).sum(-1),
    "absolute_error": lambda a, s: F.l1_loss(a["x"], a["target"], reduction="none").sum(-1),
    "huber": lambda a, s: F.huber_loss(a["x"], a["target"], reduction="none", **s).sum(-1),
    "cross_entropy": lambda a, s: cross_entropy(a, s, reduction="none"),
    "mean_cross_entropy": lambda a, s: cross_entropy(a, s)[None],
    "soft_cross_entropy": lambda a, s: F.cross_entropy(a["x"], a["target"], reduction="none"),
    "log_squared_error": lambda a, s: F.mse_loss(
        torch.log(a["x"].clamp(min=1)), torch.log(a["target"].clamp(min=1)), reduction="none"
    ).sum(-1),
}

if __name__ == "__main__":
    torch.manual_seed(0)
    FIXTURES.mkdir(exist_ok=True)
    for name in sys.argv[1:] or ["layers", *IN_FIXTURES]:
        layers() if name == "layers" else run(name)
