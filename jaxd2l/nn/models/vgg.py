"""VGG: depth from repeated blocks (Simonyan & Zisserman 2015, arXiv:1409.1556; D2L sec_vgg)."""

import flax.linen as nn
import jax

from jaxd2l.nn.activation import relu
from jaxd2l.nn.conv import Conv
from jaxd2l.nn.linear import Dense, Flatten
from jaxd2l.nn.models.require_images import require_images
from jaxd2l.nn.pool import max_pool
from jaxd2l.nn.stochastic import Dropout

type ConvArch = tuple[tuple[int, int], ...]

# per block: convolutions, features
VGG11: ConvArch = ((1, 64), (1, 128), (2, 256), (2, 512), (2, 512))
VGG13: ConvArch = ((2, 64), (2, 128), (2, 256), (2, 512), (2, 512))
VGG16: ConvArch = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
VGG19: ConvArch = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))


class VGG(nn.Module):
    """Blocks of 3x3 convolutions, each block ended by a 2x2 maximum, then three fully connected layers.

    VGG-11 with the book's training width, `VGG(VGG11, width_divisor=4)`:

    | layer | output | parameters |
    |---|---|---|
    | input | (n, 224, 224, 1) | |
    | Conv_0, relu, max_pool 2x2 | (n, 112, 112, 16) | 160 |
    | Conv_1, relu, max_pool 2x2 | (n, 56, 56, 32) | 4,640 |
    | Conv_2, relu, Conv_3, relu, max_pool 2x2 | (n, 28, 28, 64) | 55,424 |
    | Conv_4, relu, Conv_5, relu, max_pool 2x2 | (n, 14, 14, 128) | 221,440 |
    | Conv_6, relu, Conv_7, relu, max_pool 2x2 | (n, 7, 7, 128) | 295,168 |
    | Flatten_0 | (n, 6272) | |
    | Dense_0, relu, dropout 0.5 | (n, 4096) | 25,694,208 |
    | Dense_1, relu, dropout 0.5 | (n, 4096) | 16,781,312 |
    | Dense_2 | (n, 10) | 40,970 |

    Total: 43,093,322 parameters. Every convolution is 3x3 with padding 1. In full width, with 3 channels and 1000
    classes: VGG-11 132,863,336; VGG-13 133,047,848; VGG-16 138,357,544; VGG-19 143,667,240.
    Weights Xavier-uniform, biases U(-1/sqrt(fan_in), 1/sqrt(fan_in)).

    Attributes:
        conv_arch: (convolutions, features) of each block.
        width_divisor: divides the features of every convolution; the fully connected layers keep their width.
        dropout: share of units dropped after each hidden fully connected layer.
    """

    conv_arch: ConvArch = VGG11
    width_divisor: int = 1
    num_classes: int = 10
    dense_features: tuple[int, ...] = (4096, 4096)
    dropout: float = 0.5

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(n, h, w, channels) to logits (n, num_classes).

        Raises:
            ValueError: x is not a batch of images of at least 32 pixels (2 to the number of blocks), or the divisor
                does not divide the features of a block.
        """
        if self.width_divisor < 1 or any(features % self.width_divisor for _, features in self.conv_arch):
            raise ValueError(
                f"width_divisor {self.width_divisor} does not divide the features of every block in {self.conv_arch}"
            )
        require_images(self, x, smallest=2 ** len(self.conv_arch))
        for num_convs, features in self.conv_arch:
            for _ in range(num_convs):
                x = relu(Conv(features // self.width_divisor, 3, padding=1)(x))
            x = max_pool(x, 2)
        x = Flatten()(x)
        for features in self.dense_features:
            x = Dropout(self.dropout)(relu(Dense(features)(x)), train=train)
        return Dense(self.num_classes)(x)
