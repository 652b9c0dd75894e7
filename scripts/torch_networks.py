# ruff: noqa: D101, D102, D103 - the networks are documented in jaxd2l.nn.models
"""The book's networks in PyTorch, written here from its text: what fixtures and benchmarks compare with.

`NETWORKS` are those that the recipes train, `IN_FIXTURES` what the fixtures have of them: where they are large, the
same kinds of layers with few features and few repeated blocks. Needs PyTorch.
"""

import itertools
import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import torch_rule


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


def alexnet(features=(96, 256, 384, 384, 256), hidden=(4096, 4096)):
    a, b, c, d, e = features
    return nn.Sequential(
        *[nn.Conv2d(1, a, 11, stride=4, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)],
        *[nn.Conv2d(a, b, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)],
        *[nn.Conv2d(b, c, 3, padding=1), nn.ReLU(), nn.Conv2d(c, d, 3, padding=1), nn.ReLU()],
        *[nn.Conv2d(d, e, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)],
        *dense_head(25 * e, hidden),
    )


def vgg(arch, divisor=4, channels=1, places=49, hidden=(4096, 4096)):
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


INCEPTIONS = (
    ((64, (96, 128), (16, 32), 32), (128, (128, 192), (32, 96), 64)),
    (
        *[(192, (96, 208), (16, 48), 64), (160, (112, 224), (24, 64), 64), (128, (128, 256), (24, 64), 64)],
        *[(112, (144, 288), (32, 64), 64), (256, (160, 320), (32, 128), 128)],
    ),
    ((256, (160, 320), (32, 128), 128), (384, (192, 384), (48, 128), 128)),
)


def googlenet(stages=INCEPTIONS):
    def pool():
        return nn.MaxPool2d(3, 2, 1)

    b1 = nn.Sequential(nn.Conv2d(1, 64, 7, 2, 3), nn.ReLU(), pool())
    b2 = nn.Sequential(nn.Conv2d(64, 64, 1), nn.ReLU(), nn.Conv2d(64, 192, 3, padding=1), nn.ReLU(), pool())
    channels, blocks = 192, [b1, b2]
    for i, stage in enumerate(stages):
        layers = []
        for c1, c2, c3, c4 in stage:
            layers.append(Inception(channels, c1, c2, c3, c4))
            channels = c1 + c2[1] + c3[1] + c4
        last = i == len(stages) - 1
        blocks.append(nn.Sequential(*layers, *([nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten()] if last else [pool()])))
    return nn.Sequential(*blocks, nn.Linear(channels, 10))


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


def resnet18(stages=(2, 2, 2, 2), width=64):
    def stage(channels, features, first, count):
        head = Residual(channels, features) if first else Residual(channels, features, True, 2)
        return nn.Sequential(head, *[Residual(features, features) for _ in range(count - 1)])

    blocks = [nn.Sequential(nn.Conv2d(1, width, 7, 2, 3), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(3, 2, 1))]
    channels = width
    for i, count in enumerate(stages):
        blocks.append(stage(channels, width * 2**i, i == 0, count))
        channels = width * 2**i
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(channels, 10))


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
    def __init__(self, stages, bottleneck, groups=1, group_width=64, *, width=64, channels=1):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 7, 2, 3, bias=False)
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


def densenet(blocks=(4, 4, 4, 4), growth=32, channels=64):
    stem = [nn.Conv2d(1, channels, 7, 2, 3), nn.BatchNorm2d(channels), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    layers = [nn.Sequential(*stem)]
    for i, count in enumerate(blocks):
        layers.append(DenseBlock(count, channels, growth))
        channels += count * growth
        if i < len(blocks) - 1:
            conv = nn.Conv2d(channels, channels // 2, 1)
            layers.append(nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), conv, nn.AvgPool2d(2, 2)))
            channels //= 2
    tail = [nn.BatchNorm2d(channels), nn.ReLU(), nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(channels, 10)]
    return nn.Sequential(*layers, *tail)


def conv3d(channels=1, num_classes=4):
    return nn.Sequential(
        *[nn.Conv3d(channels, 8, 3, padding=1), nn.ReLU(), nn.MaxPool3d(2)],
        *[nn.Conv3d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool3d(2)],
        *[nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(16, num_classes)],
    )


VGG11 = ((1, 64), (1, 128), (2, 256), (2, 512), (2, 512))
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
    "vgg11": lambda: vgg(VGG11),
    "vgg13": lambda: vgg(VGG13),
    "vgg16": lambda: vgg(VGG16),
    "vgg19": lambda: vgg(VGG19),
    "nin": nin,
    "googlenet": googlenet,
    "resnet18": resnet18,
    "resnet34": lambda: PaperResNet((3, 4, 6, 3), False),
    "resnet50": lambda: PaperResNet((3, 4, 6, 3), True),
    "resnext50": lambda: PaperResNet((3, 4, 6, 3), True, groups=32, group_width=4),
    "densenet": densenet,
    "conv3d": conv3d,
}


def _small_vgg(arch, channels):
    return lambda: vgg(arch, 8, channels, 4, (64, 32))


def _small_paper_resnet(bottleneck, **groups):
    return lambda: PaperResNet((1, 2, 1, 1), bottleneck, width=16, channels=3, **groups)


_SMALL_INCEPTIONS = (
    ((8, (12, 16), (4, 8), 8), (16, (8, 24), (4, 12), 8)),
    ((24, (12, 26), (6, 12), 8),),
    ((32, (20, 40), (4, 16), 16),),
)
IN_FIXTURES = {
    **NETWORKS,
    "alexnet": lambda: alexnet((12, 32, 48, 48, 32), (64, 32)),
    "vgg11": _small_vgg(VGG11, 1),
    "vgg13": _small_vgg(VGG13, 3),
    "vgg16": _small_vgg(VGG16, 3),
    "vgg19": _small_vgg(VGG19, 3),
    "googlenet": lambda: googlenet(_SMALL_INCEPTIONS),
    "resnet18": lambda: resnet18((1, 2, 1), 16),
    "resnet34": _small_paper_resnet(False),
    "resnet50": _small_paper_resnet(True),
    "resnext50": _small_paper_resnet(True, groups=32, group_width=4),
    "densenet": lambda: densenet((3, 2, 2), 8, 16),
    "conv3d": lambda: conv3d(2, 10),
}
