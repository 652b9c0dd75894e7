"""Day 14 and 15: LeNet with sigmoid and with ReLU."""

from typing import Any

import jax.numpy as jnp

from jaxd2l.claims import stored, trained
from jaxd2l.claims.claim import Claim, seeds
from jaxd2l.claims.comparison import one_more_curve, one_more_seed, within
from jaxd2l.nn import max_pool

LENET = (
    *(
        (2.316, 0.103, 0.166),
        (1.327, 0.482, 0.568),
        (0.843, 0.668, 0.674),
        (0.700, 0.727, 0.698),
        (0.635, 0.753, 0.762),
    ),
    *(
        (0.590, 0.771, 0.753),
        (0.549, 0.789, 0.793),
        (0.515, 0.803, 0.778),
        (0.492, 0.813, 0.754),
        (0.469, 0.823, 0.822),
    ),
)
CONV_RELU = (
    *(
        (1.152, 0.557, 0.694),
        (0.619, 0.763, 0.694),
        (0.492, 0.816, 0.778),
        (0.434, 0.838, 0.833),
        (0.392, 0.854, 0.851),
    ),
    *(
        (0.367, 0.864, 0.833),
        (0.346, 0.871, 0.788),
        (0.333, 0.875, 0.857),
        (0.317, 0.882, 0.863),
        (0.308, 0.885, 0.870),
    ),
)


def _lenet(day: int, says: str, notes: tuple[float, ...], name: str) -> Claim:
    """Loss and accuracies after the last epoch: of the kept seeds, or trained again with `--full`."""
    return Claim(
        "lenet",
        day,
        says,
        notes,
        lambda: stored.last(name),
        one_more_seed,
        again=lambda trainings: seeds(trainings.over_seeds(name)[:, -1]),
        stored=stored.provenance(name),
    )


def _curve(day: int, says: str, table: Any, name: str, variant: str) -> Claim:
    """Ten epochs, of the seeds that `jaxd2l diagnose` keeps."""
    kept = stored.many("lenet", variant)
    return Claim(
        "lenet",
        day,
        says,
        table,
        lambda: kept,
        one_more_curve,
        again=lambda trainings: trainings.over_seeds(name, number=len(kept)),
        stored=stored.provenance_of_many("lenet", variant),
    )


CLAIMS = (
    Claim("lenet", 14, "LeNet has two convolutions and three dense layers.", [2, 3], lambda: trained.layers("lenet")),
    Claim(
        "lenet",
        14,
        "Its dense layers have 120, 84 and 10 outputs.",
        [120, 84, 10],
        lambda: [shape[1] for shape in trained.kernels("lenet") if len(shape) == 2],
    ),
    Claim(
        "lenet",
        14,
        "A 2x2 pool with stride 2 halves each side.",
        [14, 14],
        lambda: list(max_pool(jnp.ones((1, 28, 28, 1)), 2).shape[1:3]),
    ),
    _lenet(14, "LeNet, rate .9: loss, training and test accuracy.", LENET[-1], "lenet"),
    _curve(14, "The notes' table of all ten epochs, as a curve.", LENET, "lenet", "right"),
    Claim(
        "lenet",
        15,
        "All ReLU at rate .9 hardly converges: best test accuracy of any seed and epoch (chance is .1).",
        None,
        lambda: float(stored.curves("lenet_relu_at_0.9")[..., 2].max()),
        within(0.005),
        truth=0.1,
        again=lambda trainings: float(trainings.over_seeds("lenet_relu", 0.9)[..., 2].max()),
        stored=stored.provenance("lenet_relu_at_0.9"),
    ),
    _lenet(15, "All ReLU, rate .1.", (0.332, 0.877, 0.863), "lenet_relu"),
    _lenet(15, "ReLU in the convolutions alone (rate .9; the notes name none).", CONV_RELU[-1], "lenet_conv_relu"),
    _curve(15, "The notes' table of all ten epochs, as a curve.", CONV_RELU, "lenet_conv_relu", "relu_in_convolutions"),
)
