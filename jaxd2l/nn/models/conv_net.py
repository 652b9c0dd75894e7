"""A small network of convolutions with batch norm, for accuracy in minutes on a processor with two cores.

Pooling comes before batch norm and ReLU, which then see a quarter of the pixels: the largest of four and what a rising
function makes of it change places, so that only the statistics differ (the order of Keller Jordan 2024,
arXiv:2404.00498).
"""

import flax.linen as nn
import jax

from jaxd2l.nn.activation import relu
from jaxd2l.nn.batch_normalisation import BatchNorm
from jaxd2l.nn.conv import Conv
from jaxd2l.nn.linear import Dense, Flatten
from jaxd2l.nn.models.require_images import require_images
from jaxd2l.nn.pool import max_pool


class ConvNet(nn.Module):
    """Convolutions 3x3, each followed by a 2x2 maximum, batch norm and ReLU, and one fully connected layer.

    | layer | output | parameters |
    |---|---|---|
    | input | (n, 28, 28, 1) | |
    | Conv_0, max_pool 2x2, BatchNorm_0, relu | (n, 14, 14, 32) | 352 |
    | Conv_1, max_pool 2x2, BatchNorm_1, relu | (n, 7, 7, 64) | 18,560 |
    | Conv_2, max_pool 2x2, BatchNorm_2, relu | (n, 3, 3, 128) | 73,984 |
    | Flatten_0 | (n, 1152) | |
    | Dense_0 | (n, 10) | 11,530 |

    Total: 104,426 parameters. Every convolution has padding 1 and no bias, which batch norm would take away.
    Weights Xavier-uniform, biases U(-1/sqrt(fan_in), 1/sqrt(fan_in)).

    Attributes:
        features: of the convolutions.
    """

    num_classes: int = 10
    features: tuple[int, ...] = (32, 64, 128)

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(n, h, w, channels) to logits (n, num_classes).

        Raises:
            ValueError: x is not a batch of images of at least 8 pixels (2 to the number of convolutions).
        """
        require_images(self, x, smallest=2 ** len(self.features))
        for features in self.features:
            x = max_pool(Conv(features, 3, padding=1, use_bias=False)(x), 2)
            x = relu(BatchNorm()(x, train=train))
        return Dense(self.num_classes)(Flatten()(x))
