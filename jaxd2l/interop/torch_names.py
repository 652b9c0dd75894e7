"""What the book's PyTorch edition calls each layer, by its path in our networks.

The book writes networks as `nn.Sequential`, so a layer's name is its place among all layers, activations, pools and
flattening included: LeNet's second convolution is `3`, and its kernel `3.weight`. Blocks nest: `2.0.p1_1` is the first
path of the first Inception block in GoogLeNet's third part. The networks that the book does not have (ResNet-34 and
-50, ResNeXt) carry torchvision's names.
"""

import dataclasses
import inspect

import flax.linen as nn

from jaxd2l.nn.batch_normalisation import BatchNorm
from jaxd2l.nn.block import Identity
from jaxd2l.nn.models import (
    MLP,
    VGG,
    AlexNet,
    Conv3DNet,
    ConvNet,
    DenseNet,
    GoogLeNet,
    LeNet,
    Linear,
    NiN,
    ResNet,
    SoftmaxRegression,
)
from jaxd2l.train.called import CalledWithTrain


def torch_names(network: nn.Module) -> dict[str, str]:
    """PyTorch's module name of every layer that may hold weights, by our path: {"Conv_1": "3", ...}.

    A residual block lists its shortcut whether or not it has one.

    Raises:
        ValueError: a network whose PyTorch names are not known, such as one that only derives from one of the book's.
    """
    match network:
        case _ if _calls_its_own(type(network)):
            raise _unknown(network)
        case Linear():
            return {"Dense_0": "0"}
        case SoftmaxRegression():
            return {"Dense_0": "1"}
        case MLP():
            step = 3 if network.dropout else 2  # Linear, activation, (Dropout)
            return {f"Dense_{i}": str(1 + step * i) for i in range(len(network.hidden) + 1)}
        case LeNet() if network.normalisation in (Identity, BatchNorm):
            return _lenet(network)
        case AlexNet():
            return _alexnet(network)
        case VGG():
            convs = [f"{block}.{2 * i}" for block, (count, _) in enumerate(network.conv_arch) for i in range(count)]
            first = len(network.conv_arch) + 1
            denses = [str(first + 3 * i) for i in range(len(network.dense_features) + 1)]
            return _numbered("Conv", convs) | _numbered("Dense", denses)
        case NiN():
            blocks = [0, 2, 4, 7]  # a pool after each of the first three, dropout before the last
            return {f"NiNBlock_{b}/Conv_{i}": f"{place}.{2 * i}" for b, place in enumerate(blocks) for i in range(3)}
        case GoogLeNet():
            return _googlenet(network)
        case ResNet():
            return _resnet_of_the_book(network) if network.use_bias else _resnet_of_torchvision(network)
        case DenseNet():
            return _densenet(network)
        case Conv3DNet():
            count = len(network.features)
            return _numbered("Conv", [str(3 * i) for i in range(count)]) | {"Dense_0": str(3 * count + 2)}
        case ConvNet():
            count = len(network.features)  # Conv, pool, norm, activation
            convs, norms = ([str(4 * i + place) for i in range(count)] for place in (0, 2))
            names = {"Dense_0": str(4 * count + 1)}
            return _numbered("Conv", convs) | _numbered("BatchNorm", norms) | names
        case _:
            raise _unknown(network)


def _calls_its_own(kind: type[nn.Module]) -> bool:
    """Whether a class replaces what the network that it derives from is made by; other settings are none of it."""
    own = next((i for i, one in enumerate(kind.__mro__) if one.__module__.startswith("jaxd2l.")), 0)
    methods = {name for name, value in vars(kind.__mro__[own]).items() if inspect.isfunction(value)} | {"setup"}
    methods -= {"__init__", "__eq__", "__repr__", "__hash__", "__post_init__", "__replace__"}  # of every dataclass
    methods -= {field.name for field in dataclasses.fields(kind)}  # a setting may be a function too
    return any(methods & vars(one).keys() for one in kind.__mro__[:own])


def _unknown(network: nn.Module) -> ValueError:
    network = network.network if isinstance(network, CalledWithTrain) else network
    return ValueError(f"no PyTorch names are known for {network}; add them to jaxd2l/interop/torch_names.py")


def torchvision_names(network: nn.Module) -> dict[str, str]:
    """What torchvision calls the layers where that is not what `torch_names` says: of VGG and AlexNet; else {}.

    Convolutions count with activations and pools in `features`, dense layers in `classifier`.
    """
    match network:
        case VGG():
            pools = [block for block, (count, _) in enumerate(network.conv_arch) for _ in range(count)]
            convs = [f"features.{2 * i + block}" for i, block in enumerate(pools)]
            denses = [f"classifier.{3 * i}" for i in range(len(network.dense_features) + 1)]
            return _numbered("Conv", convs) | _numbered("Dense", denses)
        case AlexNet():
            convs = [f"features.{place}" for place in _places(network)[0]]
            return _numbered("Conv", convs) | _numbered("Dense", ["classifier.1", "classifier.4", "classifier.6"])
    return {}


def _numbered(kind: str, names: list[str]) -> dict[str, str]:
    return {f"{kind}_{i}": name for i, name in enumerate(names)}


def _lenet(network: LeNet) -> dict[str, str]:
    norm = int(network.normalisation is BatchNorm)
    convs = [(3 + norm) * i for i in range(len(network.conv_features))]  # Conv, (norm), activation, pool
    first = (3 + norm) * len(network.conv_features) + 1
    denses = [first + (2 + norm) * i for i in range(len(network.dense_features) + 1)]  # Linear, (norm), activation
    norms = [place + 1 for place in convs + denses[:-1]] if norm else []
    return (
        _numbered("Conv", [str(i) for i in convs])
        | _numbered("Dense", [str(i) for i in denses])
        | _numbered("BatchNorm", [str(i) for i in norms])
    )


def _alexnet(network: AlexNet) -> dict[str, str]:
    convs, place = _places(network)
    denses = [str(place + 1 + 3 * i) for i in range(len(network.dense_features) + 1)]
    return _numbered("Conv", [str(i) for i in convs]) | _numbered("Dense", denses)


def _places(network: AlexNet) -> tuple[list[int], int]:
    """Of each convolution among convolutions, activations and pools, and of what follows them."""
    convs, place = [], 0
    for *_, pooled in network.conv_arch:
        convs.append(place)
        place += 3 if pooled else 2  # Conv, activation, (pool)
    return convs, place


def _googlenet(network: GoogLeNet) -> dict[str, str]:
    names = {"Conv_0": "0.0", "Conv_1": "1.0", "Conv_2": "1.2", "Dense_0": str(len(network.stages) + 2)}
    places = [(stage, i) for stage, blocks in enumerate(network.stages) for i in range(len(blocks))]
    for b, (stage, i) in enumerate(places):
        for c, path in enumerate(("p1_1", "p2_1", "p2_2", "p3_1", "p3_2", "p4_2")):
            names[f"Inception_{b}/Conv_{c}"] = f"{stage + 2}.{i}.{path}"
    return names


def _resnet_of_the_book(network: ResNet) -> dict[str, str]:
    names = {"Conv_0": "0.0", "BatchNorm_0": "0.1", "Dense_0": str(len(network.stages) + 3)}
    places = [(stage, i) for stage, count in enumerate(network.stages) for i in range(count)]
    for b, (stage, i) in enumerate(places):
        names |= {f"Residual_{b}/Conv_{c}": f"{stage + 1}.{i}.conv{c + 1}" for c in range(3)}
        names |= {f"Residual_{b}/BatchNorm_{c}": f"{stage + 1}.{i}.bn{c + 1}" for c in range(2)}
    return names


def _resnet_of_torchvision(network: ResNet) -> dict[str, str]:
    names = {"Conv_0": "conv1", "BatchNorm_0": "bn1", "Dense_0": "fc"}
    places = [(stage, i) for stage, count in enumerate(network.stages) for i in range(count)]
    for b, (stage, i) in enumerate(places):
        for block, convs in (("Residual", 2), ("Bottleneck", 3)):
            ours, theirs = f"{block}_{b}", f"layer{stage + 1}.{i}"
            names |= {f"{ours}/Conv_{c}": f"{theirs}.conv{c + 1}" for c in range(convs)}
            names |= {f"{ours}/BatchNorm_{c}": f"{theirs}.bn{c + 1}" for c in range(convs)}
            names |= {f"{ours}/Conv_{convs}": f"{theirs}.downsample.0"}
            names |= {f"{ours}/BatchNorm_{convs}": f"{theirs}.downsample.1"}
    return names


def _densenet(network: DenseNet) -> dict[str, str]:
    last = 2 * len(network.blocks)  # the stem, then blocks with transitions between them
    names = {"Conv_0": "0.0", "BatchNorm_0": "0.1", "BatchNorm_1": str(last), "Dense_0": str(last + 4)}
    for b, count in enumerate(network.blocks):
        for i in range(count):
            names[f"DenseBlock_{b}/BatchNorm_{i}"] = f"{2 * b + 1}.net.{i}.0"
            names[f"DenseBlock_{b}/Conv_{i}"] = f"{2 * b + 1}.net.{i}.2"
        names[f"Transition_{b}/BatchNorm_0"] = f"{2 * b + 2}.0"
        names[f"Transition_{b}/Conv_0"] = f"{2 * b + 2}.2"
    return names
