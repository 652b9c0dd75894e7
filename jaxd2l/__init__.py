"""Dive into Deep Learning's models and experiments as pure functions on JAX and Flax Linen.

    recipe = jaxd2l.find("lenet")                                 what to train and how; jaxd2l.RECIPES has all
    data = jaxd2l.load_data(recipe)                               what on; your own: jaxd2l.Dataset, jaxd2l.Examples
    run = jaxd2l.fit(recipe, data, run_dir="runs/a", resume=True) train it; without run_dir nothing is kept
    jaxd2l.load_run("runs/a").predict(images)                     open a run again, finished or interrupted
    jaxd2l.evaluate, jaxd2l.sweep, jaxd2l.kfold                   judge weights; many trainings as one program
    jaxd2l.diagnose("lenet", text)                                is a curve normal, and if not, what was done?
    jaxd2l.JaxClassifier, jaxd2l.JaxRegressor                     any of it as estimators of scikit-learn

`jaxd2l.Recipe` is an experiment of your own. The rooms: `nn` (layers, `nn.models`), `data`, `train`, `cost`,
`selection`, `run_folder`, `interop`, `report`, `prediction`, `export`, `frozen`, `web`, `experiments`, `claims`,
`diagnosis`, and `sklearn`, which needs the extra of that name. A name is imported when first used.
"""

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_ROOMS = (
    "claims",
    "cost",
    "data",
    "diagnosis",
    "experiments",
    "export",
    "frozen",
    "interop",
    "nn",
    "prediction",
    "recipes",
    "report",
    "run_folder",
    "selection",
    "train",
    "web",
)
_NAMES = {
    "jaxd2l.data": ("DataError", "Dataset", "Examples"),
    "jaxd2l.diagnosis": ("diagnose",),
    "jaxd2l.recipes": ("RECIPES", "find", "load_data"),
    "jaxd2l.prediction": ("TrainedRun", "load_run"),
    "jaxd2l.run_folder": ("KeptRun", "fit"),
    "jaxd2l.selection.cross_validation": ("cross_validate",),
    "jaxd2l.selection.kfold": ("kfold",),
    "jaxd2l.selection.sweep": ("sweep",),
    "jaxd2l.train": ("DivergenceError", "EpochResult", "Recipe", "Run", "evaluate"),
}
_ESTIMATORS = (
    "JaxClassifier",
    "JaxRegressor",
)  # of the extra `sklearn`; not in `__all__`, since `*` is to work without it
_PLACE = {name: module for module, names in _NAMES.items() for name in names}
_PLACE |= dict.fromkeys(_ESTIMATORS, "jaxd2l.sklearn")

if TYPE_CHECKING:
    from jaxd2l.data import DataError, Dataset, Examples
    from jaxd2l.diagnosis import diagnose
    from jaxd2l.prediction import TrainedRun, load_run
    from jaxd2l.recipes import RECIPES, find, load_data
    from jaxd2l.run_folder import KeptRun, fit
    from jaxd2l.selection.cross_validation import cross_validate
    from jaxd2l.selection.kfold import kfold
    from jaxd2l.selection.sweep import sweep
    from jaxd2l.sklearn import JaxClassifier as JaxClassifier
    from jaxd2l.sklearn import JaxRegressor as JaxRegressor
    from jaxd2l.train import DivergenceError, EpochResult, Recipe, Run, evaluate

__all__ = [
    "RECIPES",
    "DataError",
    "Dataset",
    "DivergenceError",
    "EpochResult",
    "Examples",
    "KeptRun",
    "Recipe",
    "Run",
    "TrainedRun",
    "cross_validate",
    "diagnose",
    "evaluate",
    "find",
    "fit",
    "kfold",
    "load_data",
    "load_run",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS or name == "sklearn":
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _PLACE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACE[name]), name)


def __dir__() -> list[str]:
    optional = (*_ESTIMATORS, "sklearn") if importlib.util.find_spec("sklearn") else ()
    return sorted([*__all__, *_ROOMS, *optional, "__version__"])
