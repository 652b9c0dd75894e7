"""torchvision's networks by its published names and shapes, written here by rule; and what a flat Sequential gives."""

import chex
import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxd2l.cli import main
from jaxd2l.data import DataError
from jaxd2l.interop.torch import from_torch, torch_shapes
from jaxd2l.interop.torch_layout import weights_of
from jaxd2l.interop.torch_names import torch_names, torchvision_names
from jaxd2l.nn import BatchNorm
from jaxd2l.nn.models import VGG, VGG11, LeNet
from jaxd2l.recipes.torchvision import TORCHVISION

SHAPE = (28, 28, 1)
# as published: torchvision's documentation gives the number of parameters of each
PARAMETERS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "alexnet": 61_100_840,
}


def _norm(name, n):
    return {f"{name}.{leaf}": (n,) for leaf in ("weight", "bias", "running_mean", "running_var")}


def _resnet(blocks, bottleneck):
    shapes, before, grow = {"conv1.weight": (64, 3, 7, 7), **_norm("bn1", 64)}, 64, 4 if bottleneck else 1
    for stage, count in enumerate(blocks):
        width = 64 * 2**stage
        for i in range(count):
            name = f"layer{stage + 1}.{i}"
            convs = [(width, before, 1), (width, width, 3), (4 * width, width, 1)]
            convs = convs if bottleneck else [(width, before, 3), (width, width, 3)]
            for c, (out, into, window) in enumerate(convs, 1):
                shapes |= {f"{name}.conv{c}.weight": (out, into, window, window), **_norm(f"{name}.bn{c}", out)}
            if i == 0 and (stage or bottleneck):
                shapes |= {f"{name}.downsample.0.weight": (grow * width, before, 1, 1)}
                shapes |= _norm(f"{name}.downsample.1", grow * width)
            before = grow * width
    return shapes | {"fc.weight": (1000, before), "fc.bias": (1000,)}


def _layers(convs, denses):
    shapes = {}
    for name, shape in (*convs, *denses):
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return shapes


def _vgg(counts):
    convs, place, before = [], 0, 3
    for count, width in zip(counts, (64, 128, 256, 512, 512), strict=True):
        for _ in range(count):
            convs.append((f"features.{place}", (width, before, 3, 3)))
            place, before = place + 2, width  # with its activation
        place += 1  # the pool
    denses = [("classifier.0", (4096, 25088)), ("classifier.3", (4096, 4096)), ("classifier.6", (1000, 4096))]
    return _layers(convs, denses)


def _alexnet():
    convs = ((0, 64, 3, 11), (3, 192, 64, 5), (6, 384, 192, 3), (8, 256, 384, 3), (10, 256, 256, 3))
    denses = [("classifier.1", (4096, 9216)), ("classifier.4", (4096, 4096)), ("classifier.6", (1000, 4096))]
    return _layers([(f"features.{place}", (out, into, k, k)) for place, out, into, k in convs], denses)


PUBLISHED = {
    "resnet18": _resnet((2, 2, 2, 2), False),
    "resnet34": _resnet((3, 4, 6, 3), False),
    "resnet50": _resnet((3, 4, 6, 3), True),
    "vgg11": _vgg((1, 1, 2, 2, 2)),
    "vgg13": _vgg((2, 2, 2, 2, 2)),
    "vgg16": _vgg((2, 2, 3, 3, 3)),
    "vgg19": _vgg((2, 2, 4, 4, 4)),
    "alexnet": _alexnet(),
}


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n == "vgg11" else pytest.mark.slow) for n in PUBLISHED])
def test_names_and_shapes_are_the_published_ones(name):
    model = TORCHVISION[name].model
    names = torchvision_names(model) or torch_names(model)
    found = {weight.name: weight.torch_shape for weight in weights_of(model, (224, 224, 3), names)}
    assert found == PUBLISHED[name]
    learned = [s for key, s in found.items() if "running" not in key]
    assert sum(int(np.prod(s)) for s in learned) == PARAMETERS[name]


@pytest.mark.slow
def test_either_spelling_of_a_vgg_gives_the_same_weights_wrapped_or_not():
    network, shape = VGG(VGG11, width_divisor=8, dense_features=(7, 5), num_classes=3), (32, 32, 3)
    theirs = {w.name: w for w in weights_of(network, shape, torchvision_names(network))}
    rng = np.random.default_rng(0)
    state = {name: rng.normal(size=w.torch_shape).astype(np.float32) for name, w in theirs.items()}
    book = dict(zip(torch_shapes(network, shape), state.values(), strict=True))
    wanted = from_torch(network, book, shape)
    for wrapper in ("", "module.", "_orig_mod.", "module._orig_mod."):
        found = from_torch(network, {wrapper + name: a for name, a in state.items()}, shape)
        chex.assert_trees_all_equal(found, wanted)
    with pytest.raises(DataError, match=r"features\.3\.weight: missing.*nearest is features\.4\.weight: unexpected"):
        from_torch(network, {n.replace("features.3.", "features.4."): a for n, a in state.items()}, shape)


LENET_BN = LeNet(padding=0, normalisation=BatchNorm)


@pytest.fixture
def sequential():
    """A state of the network's shapes under other numbers, kept in another order, as safetensors keeps it."""
    rng = np.random.default_rng(1)
    state = {name: rng.normal(size=s).astype(np.float32) ** 2 for name, s in torch_shapes(LENET_BN, SHAPE).items()}
    renamed = {}
    for name, a in state.items():
        place, leaf = name.split(".")
        renamed[f"net.{3 * int(place) + 1}.{leaf}"] = a
    return state, dict(sorted(renamed.items()))


def test_a_flat_sequential_of_the_same_shapes_is_taken_by_its_order(sequential):
    state, renamed = sequential
    remarks = []
    found = from_torch(LENET_BN, renamed, SHAPE, by_order=True, on_remark=remarks.append)
    chex.assert_trees_all_equal(found, from_torch(LENET_BN, state, SHAPE))
    assert remarks == ["names are taken over by the order of layers: net.1.weight as 0.weight, and so on"]
    with pytest.raises(DataError, match="missing"):
        from_torch(LENET_BN, renamed, SHAPE)


def test_the_first_difference_of_order_is_told(sequential):
    _, renamed = sequential
    less = {name: a for name, a in renamed.items() if name != "net.46.bias"}
    other = renamed | {"net.13.weight": np.zeros((6, 16, 5, 5), np.float32)}
    named = {"head.weight": np.zeros((3, 2), np.float32)}
    for state, said in (
        (other, "array 7 is net.13.weight (6, 16, 5, 5), expected the weight of Conv_1, (16, 6, 5, 5)"),
        (less, "25 arrays are fewer than its 26, the first difference is the bias of Dense_2"),
        (renamed | {"net.99.bias": np.zeros(3, np.float32)}, "first difference is net.99.bias"),
        (named, "head.weight is no array of a flat Sequential"),
    ):
        with pytest.raises(DataError) as refused:
            from_torch(LENET_BN, state, SHAPE, by_order=True)
        assert said in str(refused.value)


@pytest.mark.slow
def test_a_fine_tuned_resnet_becomes_a_run_to_train_on(tmp_path, capsys):
    shapes = PUBLISHED["resnet18"] | {"fc.weight": (5, 512), "fc.bias": (5,)}
    state = {f"module.{name}": np.full(shape, 0.01, np.float32) for name, shape in shapes.items()}
    save_file(state, tmp_path / "net.safetensors")
    folder = tmp_path / "run"
    command = ["import-torch", "resnet18", str(tmp_path / "net.safetensors"), "--out", str(folder)]
    for option in (["--dataset", "fashion_mnist"], ["--class-weights", "balanced"]):
        assert main([*command, *option]) == 2
        assert f"leave {option[0]} to train or evaluate" in capsys.readouterr().err
    assert main(command) == 0
    assert "torchvision's network, 5 classes, 3 channels" in capsys.readouterr().out
    from jaxd2l import load_run

    run = load_run(folder)
    assert (run.classes, run.input_shape) == (tuple("01234"), (224, 224, 3))
    assert sum(a.size for a in jax.tree.leaves(run.params)) == PARAMETERS["resnet18"] - 995 * 513
    assert main(["evaluate", str(folder)]) == 65
    assert "--data" in capsys.readouterr().err
