"""Optimizers and schedules: optax's own, with the numbers that a sweep varies as arrays in the state.

- `sgd`, `adam`, `adamw`, `OPTIMIZERS`: the rules that the command line knows by name; `clipped`, `kernels_only`
- `HyperparametersInState`, `bound`, `with_hyperparameters`: learning rate and weight decay in the state
- `SCHEDULES`, `Course`, `scheduled`: how the learning rate goes over the updates
"""

from jaxd2l.train.optimizer.in_state import Factory, HyperparametersInState, Rate, bound, with_hyperparameters
from jaxd2l.train.optimizer.rules import OPTIMIZERS, adam, adamw, clipped, kernels_only, sgd
from jaxd2l.train.optimizer.schedule import SCHEDULES, Course, scheduled

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "Course",
    "Factory",
    "HyperparametersInState",
    "Rate",
    "adam",
    "adamw",
    "bound",
    "clipped",
    "kernels_only",
    "scheduled",
    "sgd",
    "with_hyperparameters",
]
