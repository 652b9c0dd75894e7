"""A small 3-D convolution network for video or volumes: the window moves along depth or time too."""

import flax.linen as nn
import jax

from jaxd2l.nn.activation import relu
from jaxd2l.nn.conv import Conv
from jaxd2l.nn.linear import Dense
from jaxd2l.nn.models.require_images import require_images
from jaxd2l.nn.pool import global_avg_pool, max_pool


class Conv3DNet(nn.Module):
    """3x3x3 convolutions, each followed by a maximum that halves depth, height and width; then the mean over all.

    | layer | output | parameters |
    |---|---|---|
    | input | (n, 8, 28, 28, 1) | |
    | Conv_0 3x3x3, padding 1, relu, max_pool 2x2x2 | (n, 4, 14, 14, 8) | 224 |
    | Conv_1 3x3x3, padding 1, relu, max_pool 2x2x2 | (n, 2, 7, 7, 16) | 3,472 |
    | global_avg_pool | (n, 16) | |
    | Dense_0 | (n, 10) | 170 |

    Total: 3,866 parameters. Weights Xavier-uniform, biases U(-1/sqrt(fan_in), 1/sqrt(fan_in)).

    Attributes:
        features: of each convolution.
    """

    num_classes: int = 10
    features: tuple[int, ...] = (8, 16)

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(n, d, h, w, channels) to logits (n, num_classes); `train` changes nothing.

        Raises:
            ValueError: x is not a batch of volumes of at least 4 (2 to the number of convolutions) along each axis.
        """
        require_images(self, x, smallest=(2 ** len(self.features),) * 3)
        for features in self.features:
            x = max_pool(relu(Conv(features, 3, padding=1)(x)), 2)
        return Dense(self.num_classes)(global_avg_pool(x))
