"""AlexNet (Krizhevsky et al. 2012, doi:10.1145/3065386; D2L sec_alexnet), as the book simplifies it."""

import flax.linen as nn
import jax

from jaxd2l.nn.activation import relu
from jaxd2l.nn.conv import Conv
from jaxd2l.nn.linear import Dense, Flatten
from jaxd2l.nn.models.require_images import require_images
from jaxd2l.nn.pool import max_pool
from jaxd2l.nn.stochastic import Dropout

# features, window, stride, padding, and whether a 3x3 maximum with stride 2 follows
CONV_ARCH = (
    (96, 11, 4, 1, True),
    (256, 5, 1, 2, True),
    (384, 3, 1, 1, False),
    (384, 3, 1, 1, False),
    (256, 3, 1, 1, True),
)


class AlexNet(nn.Module):
    """Five convolutions and two wide fully connected layers: LeNet's plan, larger, with ReLU, maxima and dropout.

    | layer | output | parameters |
    |---|---|---|
    | input | (n, 224, 224, 1) | |
    | Conv_0 11x11, stride 4, padding 1, relu | (n, 54, 54, 96) | 11,712 |
    | max_pool 3x3, stride 2 | (n, 26, 26, 96) | |
    | Conv_1 5x5, padding 2, relu | (n, 26, 26, 256) | 614,656 |
    | max_pool 3x3, stride 2 | (n, 12, 12, 256) | |
    | Conv_2 3x3, padding 1, relu | (n, 12, 12, 384) | 885,120 |
    | Conv_3 3x3, padding 1, relu | (n, 12, 12, 384) | 1,327,488 |
    | Conv_4 3x3, padding 1, relu | (n, 12, 12, 256) | 884,992 |
    | max_pool 3x3, stride 2 | (n, 5, 5, 256) | |
    | Flatten_0 | (n, 6400) | |
    | Dense_0, relu, dropout 0.5 | (n, 4096) | 26,218,496 |
    | Dense_1, relu, dropout 0.5 | (n, 4096) | 16,781,312 |
    | Dense_2 | (n, 10) | 40,970 |

    Total: 46,764,746 parameters. Weights Xavier-uniform, biases U(-1/sqrt(fan_in), 1/sqrt(fan_in)).

    Attributes:
        conv_arch: per convolution: features, window, stride, padding, whether a maximum follows.
        dropout: share of units dropped after each hidden fully connected layer.
    """

    num_classes: int = 10
    conv_arch: tuple[tuple[int, int, int, int, bool], ...] = CONV_ARCH
    dense_features: tuple[int, ...] = (4096, 4096)
    dropout: float = 0.5

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(n, h, w, channels) to logits (n, num_classes).

        Raises:
            ValueError: x is not a batch of images of at least 65 pixels.
        """
        require_images(self, x, smallest=65)
        for features, window, stride, padding, pooled in self.conv_arch:
            x = relu(Conv(features, window, stride=stride, padding=padding)(x))
            if pooled:
                x = max_pool(x, 3, stride=2)
        x = Flatten()(x)
        for features in self.dense_features:
            x = Dropout(self.dropout)(relu(Dense(features)(x)), train=train)
        return Dense(self.num_classes)(x)
