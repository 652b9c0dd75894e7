"""Training: one way through, compiled; knows data's types and a model only as `model.apply`.

- `Recipe`, `Published`: what decides a run
- `fit`, `Run`, `EpochResult`, `Judged`, `best_epoch`, `DivergenceError`: train it
- `Progress`: where a run stands, enough to go on from there
- `check_dataset`: what `fit` refuses before anything is traced
- `evaluate`: judge parameters
- `compile_program`, `Program`: compile once, train many seeds
- `TrainState`, `Keys`, `run_keys`, `init_state`: what changes while training, and its randomness
- `make_step`, `make_judge`, `make_epoch`, `make_evaluation`, `Batch`, `Tally`, `Objective`: the pure functions below
- `sgd`, `adam`, `adamw`: optimizers with their hyperparameters in the state; schedules are in `train.optimizer`

What a run costs is in `jaxd2l.cost`; many runs as one program are in `jaxd2l.selection`.
"""

from jaxd2l.catalogue import Published
from jaxd2l.train.check_data import check_dataset
from jaxd2l.train.epoch import empty_tally, make_epoch, make_evaluation
from jaxd2l.train.evaluation import evaluate
from jaxd2l.train.loop import fit
from jaxd2l.train.optimizer import adam, adamw, kernels_only, sgd, with_hyperparameters
from jaxd2l.train.program import Program, compile_program
from jaxd2l.train.recipe import Recipe
from jaxd2l.train.results import DivergenceError, EpochResult, Judged, Progress, Run, best_epoch
from jaxd2l.train.state import Keys, TrainState, init_state, run_keys
from jaxd2l.train.step import Batch, Objective, Tally, make_judge, make_step

__all__ = [
    "Batch",
    "DivergenceError",
    "EpochResult",
    "Judged",
    "Keys",
    "Objective",
    "Program",
    "Progress",
    "Published",
    "Recipe",
    "Run",
    "Tally",
    "TrainState",
    "adam",
    "adamw",
    "best_epoch",
    "check_dataset",
    "compile_program",
    "empty_tally",
    "evaluate",
    "fit",
    "init_state",
    "kernels_only",
    "make_epoch",
    "make_evaluation",
    "make_judge",
    "make_step",
    "run_keys",
    "sgd",
    "with_hyperparameters",
]
