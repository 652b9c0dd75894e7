"""DenseNet: each convolution sees the outputs of all before (Huang et al. 2017, arXiv:1608.06993; D2L sec_densenet)."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxd2l.nn.activation import relu
from jaxd2l.nn.batch_normalisation import BatchNorm
from jaxd2l.nn.conv import Conv
from jaxd2l.nn.linear import Dense
from jaxd2l.nn.models.require_images import require_images
from jaxd2l.nn.pool import avg_pool, global_avg_pool, max_pool


class DenseBlock(nn.Module):
    """`num_convs` times: normalise, relu, 3x3 convolution, and append the new features to the channels."""

    num_convs: int
    growth: int

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(n, h, w, c) to (n, h, w, c + num_convs * growth)."""
        conv = partial(Conv, self.growth, 3, padding=1)
        for _ in range(self.num_convs):
            y = conv()(relu(BatchNorm()(x, train=train)))
            x = jnp.concatenate([x, y], axis=-1)
        return x


class Transition(nn.Module):
    """Normalise, relu, 1x1 convolution to half the channels, 2x2 mean: (n, h, w, c) to (n, h/2, w/2, c/2)."""

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Keeps the image and the channels from growing with the depth."""
        conv = Conv(x.shape[-1] // 2, 1)
        return avg_pool(conv(relu(BatchNorm()(x, train=train))), 2)


class DenseNet(nn.Module):
    """A stem, four dense blocks with transitions between them, and the mean over the image.

    | layer | output | parameters |
    |---|---|---|
    | input | (n, 96, 96, 1) | |
    | Conv_0 7x7, stride 2, padding 3, BatchNorm_0, relu | (n, 48, 48, 64) | 3,328 |
    | max_pool 3x3, stride 2, padding 1 | (n, 24, 24, 64) | |
    | DenseBlock_0 | (n, 24, 24, 192) | 130,048 |
    | Transition_0 | (n, 12, 12, 96) | 18,912 |
    | DenseBlock_1 | (n, 12, 12, 224) | 167,168 |
    | Transition_1 | (n, 6, 6, 112) | 25,648 |
    | DenseBlock_2 | (n, 6, 6, 240) | 185,728 |
    | Transition_2 | (n, 3, 3, 120) | 29,400 |
    | DenseBlock_3 | (n, 3, 3, 248) | 195,008 |
    | BatchNorm_1, relu, global_avg_pool | (n, 248) | 496 |
    | Dense_0 | (n, 10) | 2,490 |

    Total: 758,226 parameters. Weights Xavier-uniform, biases U(-1/sqrt(fan_in), 1/sqrt(fan_in)).

    Attributes:
        blocks: convolutions in each dense block.
        growth: features that each convolution adds.
        stem_features: features of the first convolution.
    """

    num_classes: int = 10
    blocks: tuple[int, ...] = (4, 4, 4, 4)
    growth: int = 32
    stem_features: int = 64

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(n, h, w, channels) to logits (n, num_classes).

        Raises:
            ValueError: x is not a batch of images of at least 29 pixels.
        """
        require_images(self, x, smallest=4 * 2 ** (len(self.blocks) - 1) - 3)
        x = Conv(self.stem_features, 7, stride=2, padding=3)(x)
        x = relu(BatchNorm()(x, train=train))
        x = max_pool(x, 3, stride=2, padding=1)
        for i, num_convs in enumerate(self.blocks):
            if i > 0:
                x = Transition()(x, train=train)
            x = DenseBlock(num_convs, self.growth)(x, train=train)
        x = relu(BatchNorm()(x, train=train))
        return Dense(self.num_classes)(global_avg_pool(x))
