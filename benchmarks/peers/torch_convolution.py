"""Peer of `layers.py --all-ways`: PyTorch's convolution and its two gradients, one at a time, when told to.

Each line of standard input is a JSON object with the sizes of a convolution (batch, image (h, w, c), kernel (kh, kw, c,
features), strides, padding) and a product, 0 forward, 1 input gradient, 2 filter gradient; the answer is the
milliseconds of one call. Channels come first, as PyTorch's users have them.
"""

import functools
import json
import sys
import time

import torch

LEAST = 0.05  # seconds that a measurement takes


@functools.lru_cache(maxsize=3)
def call(batch, image, kernel, strides, padding, product):
    """The product as a function without arguments."""
    (h, w, c), (kh, kw, _, features) = image, kernel
    x, weight = torch.randn(batch, c, h, w), torch.randn(features, c, kh, kw)

    def forward():
        return torch.nn.functional.conv2d(x, weight, None, strides, padding)

    if product == 0:
        return forward
    dy, wanted = torch.randn_like(forward()), [product == 1, product == 2, False]
    backward = torch.ops.aten.convolution_backward
    return lambda: backward(dy, x, weight, None, strides, padding, (1, 1), False, (0, 0), 1, wanted)


def milliseconds(function):
    """Of one call, over as many as make the measurement long enough; the first is not counted."""
    function()
    count, began = 0, time.perf_counter()
    while count == 0 or time.perf_counter() - began < LEAST:
        function()
        count += 1
    return 1e3 * (time.perf_counter() - began) / count


def main():
    """Answer until there is no further line."""
    print(torch.__version__, flush=True)
    with torch.no_grad():
        for line in sys.stdin:
            asked = json.loads(line)
            sizes = (tuple(asked[name]) for name in ("image", "kernel", "strides", "padding"))
            print(milliseconds(call(asked["batch"], *sizes, asked["product"])), flush=True)


if __name__ == "__main__":
    main()
