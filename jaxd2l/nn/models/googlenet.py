"""GoogLeNet: parallel windows of several sizes (Szegedy et al. 2015, arXiv:1409.4842; D2L sec_googlenet)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxd2l.nn.activation import relu
from jaxd2l.nn.conv import Conv
from jaxd2l.nn.linear import Dense
from jaxd2l.nn.models.require_images import require_images
from jaxd2l.nn.pool import global_avg_pool, max_pool

type Paths = tuple[int, tuple[int, int], tuple[int, int], int]

# per stage, per Inception block: features of the four paths
STAGES: tuple[tuple[Paths, ...], ...] = (
    ((64, (96, 128), (16, 32), 32), (128, (128, 192), (32, 96), 64)),
    (
        (192, (96, 208), (16, 48), 64),
        (160, (112, 224), (24, 64), 64),
        (128, (128, 256), (24, 64), 64),
        (112, (144, 288), (32, 64), 64),
        (256, (160, 320), (32, 128), 128),
    ),
    ((256, (160, 320), (32, 128), 128), (384, (192, 384), (48, 128), 128)),
)


class Inception(nn.Module):
    """Four paths over the same image, side by side in the channels: the sum of the last features of each.

    | path | layers, each with relu |
    |---|---|
    | 1 | Conv_0 1x1 |
    | 2 | Conv_1 1x1, Conv_2 3x3 padding 1 |
    | 3 | Conv_3 1x1, Conv_4 5x5 padding 2 |
    | 4 | max_pool 3x3 stride 1 padding 1, Conv_5 1x1 |

    The 1x1 convolutions before the wide windows cut the channels, and with them the cost.
    """

    paths: Paths

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(n, h, w, c) to (n, h, w, features of the four paths)."""

        def conv(features: int, window: int, x: jax.Array) -> jax.Array:
            return relu(Conv(features, window, padding=window // 2)(x))

        one, (reduce3, three), (reduce5, five), pooled = self.paths
        path1 = conv(one, 1, x)
        path2 = conv(three, 3, conv(reduce3, 1, x))
        path3 = conv(five, 5, conv(reduce5, 1, x))
        path4 = conv(pooled, 1, max_pool(x, 3, stride=1, padding=1))
        return jnp.concatenate([path1, path2, path3, path4], axis=-1)


class GoogLeNet(nn.Module):
    """A stem, nine Inception blocks in three stages, and the mean over the image.

    | layer | output | parameters |
    |---|---|---|
    | input | (n, 96, 96, 1) | |
    | Conv_0 7x7, stride 2, padding 3, relu | (n, 48, 48, 64) | 3,200 |
    | max_pool 3x3, stride 2, padding 1 | (n, 24, 24, 64) | |
    | Conv_1 1x1, relu | (n, 24, 24, 64) | 4,160 |
    | Conv_2 3x3, padding 1, relu | (n, 24, 24, 192) | 110,784 |
    | max_pool 3x3, stride 2, padding 1 | (n, 12, 12, 192) | |
    | Inception_0 | (n, 12, 12, 256) | 163,696 |
    | Inception_1 | (n, 12, 12, 480) | 388,736 |
    | max_pool 3x3, stride 2, padding 1 | (n, 6, 6, 480) | |
    | Inception_2 | (n, 6, 6, 512) | 376,176 |
    | Inception_3 | (n, 6, 6, 512) | 449,160 |
    | Inception_4 | (n, 6, 6, 512) | 510,104 |
    | Inception_5 | (n, 6, 6, 528) | 605,376 |
    | Inception_6 | (n, 6, 6, 832) | 868,352 |
    | max_pool 3x3, stride 2, padding 1 | (n, 3, 3, 832) | |
    | Inception_7 | (n, 3, 3, 832) | 1,043,456 |
    | Inception_8 | (n, 3, 3, 1024) | 1,444,080 |
    | global_avg_pool | (n, 1024) | |
    | Dense_0 | (n, 10) | 10,250 |

    Total: 5,977,530 parameters. Without the paper's auxiliary classifiers, as in the book.
    Weights Xavier-uniform, biases U(-1/sqrt(fan_in), 1/sqrt(fan_in)).
    """

    num_classes: int = 10
    stages: tuple[tuple[Paths, ...], ...] = STAGES

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(n, h, w, channels) to logits (n, num_classes), for images of any size; `train` changes nothing.

        Raises:
            ValueError: x is not a batch of images.
        """
        require_images(self, x, smallest=1)
        x = relu(Conv(64, 7, stride=2, padding=3)(x))
        x = max_pool(x, 3, stride=2, padding=1)
        x = relu(Conv(64, 1)(x))
        x = relu(Conv(192, 3, padding=1)(x))
        for stage in self.stages:
            x = max_pool(x, 3, stride=2, padding=1)
            for paths in stage:
                x = Inception(paths)(x)
        return Dense(self.num_classes)(global_avg_pool(x))
