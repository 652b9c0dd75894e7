"""The script: a network as the book writes it in PyTorch, layer by layer, and how it is trained."""

from collections.abc import Mapping
from importlib import resources
from typing import Any

import flax.linen as nn

from jaxd2l.interop.torch_layout import weights_of
from jaxd2l.nn import avg_pool, max_pool, relu, sigmoid, tanh
from jaxd2l.nn.batch_normalisation import BatchNorm
from jaxd2l.nn.loss import cross_entropy
from jaxd2l.nn.models import MLP, LeNet, Linear, SoftmaxRegression
from jaxd2l.train import Recipe
from jaxd2l.train.optimizer.rules import name_of
from jaxd2l.wording import counted

_ACTIVATIONS = {relu: "nn.ReLU()", sigmoid: "nn.Sigmoid()", tanh: "nn.Tanh()"}
_DRAWN = "Initial weights, the order of the examples and the masks of dropout"
_POOLS = {avg_pool: "nn.AvgPool2d(2)", max_pool: "nn.MaxPool2d(2)"}


def require_network(network: nn.Module) -> None:
    """Refuse a network that the book does not write as a plain `nn.Sequential`.

    Raises:
        ValueError: naming it.
    """
    if not isinstance(network, Linear | SoftmaxRegression | MLP | LeNet):
        raise ValueError(
            f"no twin of {type(network).__name__} is written; there are those of linear, softmax, mlp, dropout_mlp, "
            "lenet, lenet_relu, lenet_conv_relu and lenet_bn"
        )


def layers_of(network: nn.Module, input_shape: tuple[int, ...]) -> list[str]:
    """The network as the expressions of an `nn.Sequential`, in order.

    Raises:
        ValueError: it is none of those that the book writes so.
    """
    require_network(network)
    shapes = {weight.name: weight.torch_shape for weight in weights_of(network, input_shape)}
    lines: list[str] = []

    def dense() -> str:
        outputs, inputs = shapes[f"{len(lines)}.weight"]
        return f"nn.Linear({inputs}, {outputs})"

    match network:
        case Linear():
            lines.append(dense())
        case SoftmaxRegression():
            lines.append("nn.Flatten()")
            lines.append(dense())
        case MLP():
            lines.append("nn.Flatten()")
            for i in range(len(network.hidden)):
                lines.append(dense())
                lines.append(_of(_ACTIVATIONS, network.activation))
                if network.dropout:
                    lines.append(f"Dropout({network.dropout[i]})" if network.dropout[i] else "nn.Identity()")
            lines.append(dense())
        case LeNet():
            norm = network.normalisation is BatchNorm
            for padding in (network.padding, 0):
                features, channels, *window = shapes[f"{len(lines)}.weight"]
                lines.append(f"nn.Conv2d({channels}, {features}, {window[0]}, padding={padding})")
                lines += [f"nn.BatchNorm2d({features})"] if norm else []
                lines += [_of(_ACTIVATIONS, network.conv_activation), _of(_POOLS, network.pool)]
            lines.append("nn.Flatten()")
            for features in network.dense_features:
                lines.append(dense())
                lines += [f"nn.BatchNorm1d({features})"] if norm else []
                lines.append(_of(_ACTIVATIONS, network.dense_activation))
            lines.append(dense())
    return lines


def script_of(recipe: Recipe, input_shape: tuple[int, ...], *, name: str, seed: int) -> str:
    """The whole script.

    Args:
        recipe: what is trained.
        input_shape: of one example.
        name: of the files, without suffix.
        seed: of the run.

    Raises:
        ValueError: see `layers_of`.
    """
    layers = layers_of(recipe.model, input_shape)
    drops = any(layer.startswith("Dropout") for layer in layers)
    images, labels = recipe.image_size is not None, recipe.loss is cross_entropy
    parts = {
        "recipe": recipe.name,
        "dataset": recipe.dataset,
        "source": recipe.source or "Dive into Deep Learning",
        "file": f"{name}.py",
        "data": f"{name}.npz",
        "drawn": _DRAWN if drops else "Initial weights and the order of the examples",
        "seed": str(seed),
        "layers": "\n".join(f"    {layer}," for layer in layers),
        "optimizer": _optimizer(recipe),
        "schedule": _schedule(recipe),
        "decay": repr(recipe.weight_decay),
        "inputs": "batch.to(dtype) / 255" if images else "batch.to(dtype)",
        "targets": 'data["y"]).long()' if labels else 'data["y"]).to(dtype)',
        "loss": "F.cross_entropy(net(x), y)" if labels else "F.mse_loss(net(x), y) / 2",
        "dropout": _asset("dropout.txt") if drops else "",
        "draw": _asset("draw.txt") if drops else "",
    }
    text = _asset("script.txt")
    for key, part in parts.items():
        text = text.replace(f"<<{key}>>", part)
    return text


def _optimizer(recipe: Recipe) -> str:
    match name_of(recipe.optimizer):
        case "sgd":
            more = f", momentum={recipe.momentum}" if recipe.momentum else ""
            more += ", nesterov=True" if recipe.nesterov else ""
            return f"torch.optim.SGD(groups, lr={recipe.learning_rate}{more})"
        case "adam":
            return f"torch.optim.Adam(groups, lr={recipe.learning_rate})"
        case "adamw":
            return f"torch.optim.AdamW(groups, lr={recipe.learning_rate})"
        case other:
            raise ValueError(f"no twin of optimizer {other} is written; take sgd, adam or adamw")


def _schedule(recipe: Recipe) -> str:
    if recipe.course.is_constant:
        return "constant"
    warm = f", {recipe.warmup:g} epochs of warm-up" if recipe.warmup else ""
    return f"{recipe.schedule} over {counted(recipe.epochs, 'epoch')}{warm}"


def _of(table: Mapping[Any, str], function: Any) -> str:
    if function not in table:
        raise ValueError(
            f"no twin of {getattr(function, '__name__', function)} is written; there are those of "
            f"{', '.join(getattr(one, '__name__', '') for one in table)}"
        )
    return table[function]


def _asset(name: str) -> str:
    return resources.files("jaxd2l.export.twin").joinpath("assets", name).read_text(encoding="utf-8")
