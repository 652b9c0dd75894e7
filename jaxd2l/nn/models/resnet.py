"""Residual networks: each block learns what to add to its input (He et al. 2016, arXiv:1512.03385; D2L sec_resnet)."""

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax

from jaxd2l.nn.activation import relu
from jaxd2l.nn.batch_normalisation import BatchNorm
from jaxd2l.nn.conv import Conv
from jaxd2l.nn.linear import Dense
from jaxd2l.nn.models.require_images import require_images
from jaxd2l.nn.pool import global_avg_pool, max_pool


class Residual(nn.Module):
    """Two 3x3 convolutions around which the input passes: relu(x + norm(conv(relu(norm(conv(x)))))).

    Where the stride or the features change, a 1x1 convolution (Conv_2) makes the input fit; the paper normalises it
    too (`shortcut_norm`), the book does not.
    """

    features: int
    stride: int = 1
    use_bias: bool = True
    shortcut_norm: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(n, h, w, c) to (n, h / stride, w / stride, features), odd sizes rounded up."""
        conv = partial(Conv, use_bias=self.use_bias)
        y = conv(self.features, 3, stride=self.stride, padding=1)(x)
        y = relu(BatchNorm()(y, train=train))
        y = conv(self.features, 3, padding=1)(y)
        y = BatchNorm()(y, train=train)
        if x.shape != y.shape:
            x = conv(self.features, 1, stride=self.stride)(x)
            x = BatchNorm()(x, train=train) if self.shortcut_norm else x
        return relu(x + y)


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride), 1x1 back to four times `features`; with `groups`, the block of ResNeXt.

    ResNeXt (Xie et al. 2017, arXiv:1611.05431) widens the middle to `groups` blocks of `group_width * features / 64`
    channels that do not see one another. Where the shape changes, Conv_3 and BatchNorm_3 make the input fit.
    """

    features: int
    stride: int = 1
    groups: int = 1
    group_width: int = 64

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(n, h, w, c) to (n, h / stride, w / stride, 4 * features), odd sizes rounded up."""
        conv = partial(Conv, use_bias=False)
        width = self.features * self.group_width // 64 * self.groups
        y = relu(BatchNorm()(conv(width, 1)(x), train=train))
        y = conv(width, 3, stride=self.stride, padding=1, groups=self.groups)(y)
        y = relu(BatchNorm()(y, train=train))
        y = BatchNorm()(conv(4 * self.features, 1)(y), train=train)
        if x.shape != y.shape:
            x = BatchNorm()(conv(4 * self.features, 1, stride=self.stride)(x), train=train)
        return relu(x + y)


class ResNet(nn.Module):
    """A stem, four stages of residual blocks that halve the image and double the features, and the mean over the image.

    ResNet-18 as the book has it, `resnet18()`:

    | layer | output | parameters |
    |---|---|---|
    | input | (n, 96, 96, 1) | |
    | Conv_0 7x7, stride 2, padding 3, BatchNorm_0, relu | (n, 48, 48, 64) | 3,328 |
    | max_pool 3x3, stride 2, padding 1 | (n, 24, 24, 64) | |
    | Residual_0, Residual_1 | (n, 24, 24, 64) | 148,224 |
    | Residual_2 (stride 2), Residual_3 | (n, 12, 12, 128) | 525,952 |
    | Residual_4 (stride 2), Residual_5 | (n, 6, 6, 256) | 2,100,480 |
    | Residual_6 (stride 2), Residual_7 | (n, 3, 3, 512) | 8,395,264 |
    | global_avg_pool | (n, 512) | |
    | Dense_0 | (n, 10) | 5,130 |

    Total: 11,178,378 parameters. As the papers have them (no bias before a norm, shortcuts normalised), with 3
    channels and 1000 classes: ResNet-34 21,797,672; ResNet-50 25,557,032; ResNeXt-50 (32 groups of 4) 25,028,904.
    Weights Xavier-uniform, biases U(-1/sqrt(fan_in), 1/sqrt(fan_in)).

    Attributes:
        block: called as `block(features, stride=stride)`, gives the module of one block.
        stages: blocks in each stage.
        width: features of the first stage.
        use_bias: whether the stem's convolution has a bias.
    """

    block: Callable[..., nn.Module] = Residual
    stages: tuple[int, ...] = (2, 2, 2, 2)
    num_classes: int = 10
    width: int = 64
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(n, h, w, channels) to logits (n, num_classes), for images of any size.

        Raises:
            ValueError: x is not a batch of images.
        """
        require_images(self, x, smallest=1)
        x = Conv(self.width, 7, stride=2, padding=3, use_bias=self.use_bias)(x)
        x = relu(BatchNorm()(x, train=train))
        x = max_pool(x, 3, stride=2, padding=1)
        for stage, num_blocks in enumerate(self.stages):
            for i in range(num_blocks):
                stride = 2 if stage > 0 and i == 0 else 1
                x = self.block(self.width * 2**stage, stride=stride)(x, train=train)
        return Dense(self.num_classes)(global_avg_pool(x))


# Made once, so that equal networks compare equal and share one compilation.
PAPER_RESIDUAL = partial(Residual, use_bias=False, shortcut_norm=True)
RESNEXT_BLOCK = partial(Bottleneck, groups=32, group_width=4)


def resnet18(num_classes: int = 10) -> ResNet:
    """The book's ResNet-18: biases in the convolutions, shortcuts without a norm."""
    return ResNet(Residual, (2, 2, 2, 2), num_classes)


def resnet34(num_classes: int = 10) -> ResNet:
    """ResNet-34 as in the paper (and in torchvision)."""
    return ResNet(PAPER_RESIDUAL, (3, 4, 6, 3), num_classes, use_bias=False)


def resnet50(num_classes: int = 10) -> ResNet:
    """ResNet-50 of bottlenecks with the stride on the 3x3 convolution, as in torchvision."""
    return ResNet(Bottleneck, (3, 4, 6, 3), num_classes, use_bias=False)


def resnext50(num_classes: int = 10) -> ResNet:
    """ResNeXt-50 with 32 groups of width 4."""
    return ResNet(RESNEXT_BLOCK, (3, 4, 6, 3), num_classes, use_bias=False)
