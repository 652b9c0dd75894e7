# ruff: noqa: D101, D102, D103 - the networks are documented in jaxd2l.nn.models
"""What PyTorch computes for every network and layer, as small fixtures for the tests.

Run with an interpreter that has PyTorch and NumPy (written with Python 3.11, PyTorch 2.13):

    python scripts/make_torch_fixtures.py [name ...]

It writes tests/fixtures/torch_<network>.npz and tests/fixtures/torch_layers.npz; each says in `versions` what made it.
The networks are those of the book's PyTorch edition, written here from its text; weights, inputs and dropout masks
come from tests/torch_rule.py. Everything is computed in float64.
"""

import itertools
import platform
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import torch_layers  # noqa: E402
import torch_rule  # noqa: E402

FIXTURES = ROOT / "tests" / "fixtures"
VERSIONS = f"Python {platform.python_version()}, PyTorch {torch.__version__}, NumPy {np.__version__}"


class Masked(nn.Module):
    """Dropout whose mask is written down: number `index` of the network."""

    def __init__(self, index, rate):
        super().__init__()
        self.index, self.rate = index, rate

    def forward(self, x):
        if not self.training:
            return x
        return x * torch.from_numpy(torch_rule.mask(self.index, tuple(x.shape), self.rate)).to(x.dtype)


def dense_head(features, hidden, num_classes=10, rate=0.5):
    layers = [nn.Flatten()]
    for i, width in enumerate(hidden):
        layers += [nn.Linear(features, width), nn.ReLU(), Masked(i, rate)]
        features = width
    return [*layers, nn.Linear(features, num_classes)]


def lenet(conv_activation, dense_activation):
    return nn.Sequential(
        *[nn.Conv2d(1, 6, 5, padding=2), conv_activation(), nn.AvgPool2d(2, 2)],
        *[nn.Conv2d(6, 16, 5), conv_activation(), nn.AvgPool2d(2, 2), nn.Flatten()],
        *[nn.Linear(400, 120), dense_activation(), nn.Linear(120, 84), dense_activation(), nn.Linear(84, 10)],
    )


def lenet_bn():
    return nn.Sequential(
        *[nn.Conv2d(1, 6, 5), nn.BatchNorm2d(6), nn.Sigmoid(), nn.AvgPool2d(2, 2)],
        *[nn.Conv2d(6, 16, 5), nn.BatchNorm2d(16), nn.Sigmoid(), nn.AvgPool2d(2, 2), nn.Flatten()],
        *[nn.Linear(256, 120), nn.BatchNorm1d(120), nn.Sigmoid()],
        *[nn.Linear(120, 84), nn.BatchNorm1d(84), nn.Sigmoid(), nn.Linear(84, 10)],
    )


def convnet():
    channels = (1, 32, 64, 128)
    blocks = [
        [nn.Conv2d(c, f, 3, padding=1, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(f), nn.ReLU()]
        for c, f in itertools.pairwise(channels)
    ]
    return nn.Sequential(*itertools.chain(*blocks), nn.Flatten(), nn.Linear(1152, 10))


def alexnet():
    return nn.Sequential(
        *[nn.Conv2d(1, 12, 11, stride=4, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)],
        *[nn.Conv2d(12, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)],
        *[nn.Conv2d(32, 48, 3, padding=1), nn.ReLU(), nn.Conv2d(48, 48, 3, padding=1), nn.ReLU()],
        *[nn.Conv2d(48, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)],
        *dense_head(800, (64, 32)),
    )


def vgg(arch, divisor, channels, places, hidden):
    blocks = []
    for count, features in arch:
        block = []
        for _ in range(count):
            block += [nn.Conv2d(channels, features // divisor, 3, padding=1), nn.ReLU()]
            channels = features // divisor
        blocks.append(nn.Sequential(*block, nn.MaxPool2d(2, 2)))
    return nn.Sequential(*blocks, *dense_head(channels * places, hidden))


def nin():
    def block(channels, features, window, stride, padding):
        layers = [nn.Conv2d(channels, features, window, stride, padding), nn.ReLU()]
        return nn.Sequential(*layers, *[f() for f in (lambda: nn.Conv2d(features, features, 1), nn.ReLU) * 2])

    return nn.Sequential(
        *[block(1, 96, 11, 4, 0), nn.MaxPool2d(3, 2), block(96, 256, 5, 1, 2), nn.MaxPool2d(3, 2)],
        *[block(256, 384, 3, 1, 1), nn.MaxPool2d(3, 2), Masked(0, 0.5), block(384, 10, 3, 1, 1)],
        *[nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten()],
    )


class Inception(nn.Module):
    def __init__(self, channels, c1, c2, c3, c4):
        super().__init__()
        self.p1_1 = nn.Conv2d(channels, c1, 1)
        self.p2_1 = nn.Conv2d(channels, c2[0], 1)
        self.p2_2 = nn.Conv2d(c2[0], c2[1], 3, padding=1)
        self.p3_1 = nn.Conv2d(channels, c3[0], 1)
        self.p3_2 = nn.Conv2d(c3[0], c3[1], 5, padding=2)
        self.p4_2 = nn.Conv2d(channels, c4, 1)

    def forward(self, x):
        p1 = F.relu(self.p1_1(x))
        p2 = F.relu(self.p2_2(F.relu(self.p2_1(x))))
        p3 = F.relu(self.p3_2(F.relu(self.p3_1(x))))
        p4 = F.relu(self.p4_2(F.max_pool2d(x, 3, stride=1, padding=1)))
        return torch.cat((p1, p2, p3, p4), dim=1)


def googlenet():
    def pool():
        return nn.MaxPool2d(3, 2, 1)

    b1 = nn.Sequential(nn.Conv2d(1, 64, 7, 2, 3), nn.ReLU(), pool())
    b2 = nn.Sequential(nn.Conv2d(64, 64, 1), nn.ReLU(), nn.Conv2d(64, 192, 3, padding=1), nn.ReLU(), pool())
    b3 = nn.Sequential(Inception(192, 8, (12, 16), (4, 8), 8), Inception(40, 16, (8, 24), (4, 12), 8), pool())
    b4 = nn.Sequential(Inception(60, 24, (12, 26), (6, 12), 8), pool())
    b5 = nn.Sequential(
        Inception(70, 32, (20, 40), (4, 16), 16),
        *[nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten()],
    )
    return nn.Sequential(b1, b2, b3, b4, b5, nn.Linear(104, 10))


class Residual(nn.Module):
    """The book's residual block: biases everywhere, a 1x1 convolution without a norm on the shortcut."""

    def __init__(self, channels, features, fit=False, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, features, 3, padding=1, stride=stride)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)
        self.conv3 = nn.Conv2d(channels, features, 1, stride=stride) if fit else None
        self.bn1, self.bn2 = nn.BatchNorm2d(features), nn.BatchNorm2d(features)

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.conv3 is None else self.conv3(x)))


def resnet18():
    def stage(channels, features, first, count=1):
        head = Residual(channels, features) if first else Residual(channels, features, True, 2)
        return nn.Sequential(head, *[Residual(features, features) for _ in range(count - 1)])

    b1 = nn.Sequential(nn.Conv2d(1, 16, 7, 2, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
    stages = [stage(16, 16, True), stage(16, 32, False, 2), stage(32, 64, False)]
    return nn.Sequential(b1, *stages, nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(64, 10))


class PaperBlock(nn.Module):
    """The papers' residual blocks, with torchvision's names: no bias before a norm, a norm on the shortcut."""

    def __init__(self, channels, features, stride, bottleneck, groups, group_width):
        super().__init__()
        width = features * group_width // 64 * groups
        if bottleneck:
            convs = [(channels, width, 1, 1, 1), (width, width, 3, stride, groups), (width, 4 * features, 1, 1, 1)]
        else:
            convs = [(channels, features, 3, stride, 1), (features, features, 3, 1, 1)]
        self.depth = len(convs)
        for i, (c_in, c_out, window, step, blocks) in enumerate(convs, 1):
            self.add_module(f"conv{i}", nn.Conv2d(c_in, c_out, window, step, window // 2, groups=blocks, bias=False))
            self.add_module(f"bn{i}", nn.BatchNorm2d(c_out))
        self.out = convs[-1][1]
        self.downsample = None
        if stride != 1 or channels != self.out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, self.out, 1, stride, bias=False), nn.BatchNorm2d(self.out)
            )

    def forward(self, x):
        y = x
        for i in range(1, self.depth + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            y = F.relu(y) if i < self.depth else y
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class PaperResNet(nn.Module):
    def __init__(self, stages, width, bottleneck, groups=1, group_width=64):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        channels = width
        for s, count in enumerate(stages):
            blocks = []
            for i in range(count):
                stride = 2 if s > 0 and i == 0 else 1
                blocks.append(PaperBlock(channels, width * 2**s, stride, bottleneck, groups, group_width))
                channels = blocks[-1].out
            self.add_module(f"layer{s + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(channels, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for s in range(1, 5):
            x = getattr(self, f"layer{s}")(x)
        return self.fc(x.mean((2, 3)))


def conv_block(channels, features):
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, features, 3, padding=1))


class DenseBlock(nn.Module):
    def __init__(self, count, channels, growth):
        super().__init__()
        self.net = nn.Sequential(*[conv_block(channels + i * growth, growth) for i in range(count)])

    def forward(self, x):
        for block in self.net:
            x = torch.cat((x, block(x)), dim=1)
        return x


def densenet():
    layers = [nn.Sequential(nn.Conv2d(1, 16, 7, 2, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(3, 2, 1))]
    channels = 16
    for i, count in enumerate((3, 2, 2)):
        layers.append(DenseBlock(count, channels, 8))
        channels += count * 8
        if i < 2:
            conv = nn.Conv2d(channels, channels // 2, 1)
            layers.append(nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), conv, nn.AvgPool2d(2, 2)))
            channels //= 2
    tail = [nn.BatchNorm2d(channels), nn.ReLU(), nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(channels, 10)]
    return nn.Sequential(*layers, *tail)


def conv3d():
    return nn.Sequential(
        *[nn.Conv3d(2, 8, 3, padding=1), nn.ReLU(), nn.MaxPool3d(2)],
        *[nn.Conv3d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool3d(2)],
        *[nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(16, 10)],
    )


VGG13, VGG16, VGG19 = [
    ((2, 64), (2, 128), (n, 256), (n, 512), (n, 512)) for n in (2, 3, 4)
]  # the depth is in the last three blocks
NETWORKS = {
    "linear": lambda: nn.Sequential(nn.Linear(2, 1)),
    "softmax": lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)),
    "mlp": lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10)),
    "dropout_mlp": lambda: nn.Sequential(
        *[nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), Masked(0, 0.2)],
        *[nn.Linear(256, 256), nn.ReLU(), Masked(1, 0.5), nn.Linear(256, 10)],
    ),
    "lenet": lambda: lenet(nn.Sigmoid, nn.Sigmoid),
    "lenet_relu": lambda: lenet(nn.ReLU, nn.ReLU),
    "lenet_conv_relu": lambda: lenet(nn.ReLU, nn.Sigmoid),
    "lenet_bn": lenet_bn,
    "convnet": convnet,
    "alexnet": alexnet,
    "vgg11": lambda: vgg(((1, 64), (1, 128), (2, 256), (2, 512), (2, 512)), 8, 1, 4, (64, 32)),
    "vgg13": lambda: vgg(VGG13, 8, 3, 4, (64, 32)),
    "vgg16": lambda: vgg(VGG16, 8, 3, 4, (64, 32)),
    "vgg19": lambda: vgg(VGG19, 8, 3, 4, (64, 32)),
    "nin": nin,
    "googlenet": googlenet,
    "resnet18": resnet18,
    "resnet34": lambda: PaperResNet((1, 2, 1, 1), 16, False),
    "resnet50": lambda: PaperResNet((1, 2, 1, 1), 16, True),
    "resnext50": lambda: PaperResNet((1, 2, 1, 1), 16, True, groups=32, group_width=4),
    "densenet": densenet,
    "conv3d": conv3d,
}


def channels_first(x):
    return np.ascontiguousarray(np.moveaxis(x, -1, 1)) if x.ndim > 2 else x


def train(name, dtype):
    """Outputs, losses and digests of five steps; also the size of each array."""
    case, net = torch_rule.CASES[name], NETWORKS[name]()
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
    for name in sys.argv[1:] or ["layers", *NETWORKS]:
        layers() if name == "layers" else run(name)
