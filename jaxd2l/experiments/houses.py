"""House prices by K-fold cross-validation: the book's linear model, a grid of MLPs, scikit-learn's peers.

Source: D2L sec_kaggle_house.

Everything is chosen by out-of-fold error on the training file; the test file is predicted once, by the ensemble of
the k fold models (of each seed) of the chosen point. Errors are root mean squares of log(prediction) - log(price).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np
from jax.sharding import Mesh

from jaxd2l.data import DataError
from jaxd2l.data.houses import Houses
from jaxd2l.data.table import Table, apply_table, fit_table, typed
from jaxd2l.data.table.deviation import mean_and_deviation
from jaxd2l.nn.init import he_normal, torch_bias, torch_kernel
from jaxd2l.nn.linear import Dense
from jaxd2l.nn.models import MLP, Linear
from jaxd2l.selection.folds import Folds
from jaxd2l.selection.grid import Point, Schedule, choose, constant, cosine, grid
from jaxd2l.selection.kfold import CrossValidation, kfold
from jaxd2l.wording import counted

if TYPE_CHECKING:
    import pandas as pd

LIMIT = 3.0  # standard deviations at which a feature is capped, see `fit_table`
_LOG_RANGE = (-708.0, 709.0)  # whose exponentials are normal float64


class Family(NamedTuple):
    """Networks that differ in numbers only, and how they train.

    Attributes:
        name: what the report calls it.
        network: from dropout rate to network.
        points: the grid.
        seeds: trainings a point and fold.
        epochs, batch_size, schedule: as in `kfold`.
        limit: cap of the features, in standard deviations.
        log_target: learn the standardised logarithm of the price; False learns dollars, as the book does.
    """

    name: str
    network: Callable[[Any], nn.Module]
    points: tuple[Point, ...]
    seeds: tuple[int, ...] = (0,)
    epochs: int = 50
    batch_size: int = 64
    schedule: Schedule = cosine
    limit: float = LIMIT
    log_target: bool = True


class Prepared(NamedTuple):
    """Rows as each fold sees them.

    Attributes:
        folds: features by each fold's table, targets by each fold's centre and spread.
        tables: (k) what each fold estimated from its training rows.
        centre, spread: (k,) mean and deviation of the target over each fold's training rows.
        price: dollars (n,).
        log_target: whether the target is a logarithm.
    """

    folds: Folds
    tables: tuple[Table, ...]
    centre: np.ndarray
    spread: np.ndarray
    price: np.ndarray
    log_target: bool

    def dollars(self, output: np.ndarray, fold: int | np.ndarray) -> np.ndarray:
        """Turn outputs of one fold's model into finite prices; of at least one dollar where dollars are learned."""
        target = output.astype(np.float64) * self.spread[fold] + self.centre[fold]
        if self.log_target:
            return np.exp(np.clip(target, *_LOG_RANGE))
        return np.clip(target, 1.0, np.finfo(np.float64).max)


class Outcome(NamedTuple):
    """What one family came to.

    Attributes:
        name: the family's.
        point: the chosen point of the grid; None for a peer.
        scores: (g, s, k) log-RMSE of each training on its validation rows.
        choice: number of the chosen point.
        test_price: dollars that the ensemble predicts for the test rows (t,).
        test_log_rmse: on the test rows; None where their prices are not known.
        compile_seconds, seconds: compiling and training the whole grid.
        result: all curves and parameters; None for a peer.
    """

    name: str
    point: Point | None
    scores: np.ndarray
    choice: int
    test_price: np.ndarray
    test_log_rmse: float | None
    compile_seconds: float
    seconds: float
    result: CrossValidation | None = None

    @property
    def log_rmse(self) -> float:
        """Mean over seeds and folds at the chosen point."""
        return float(self.scores[self.choice].mean())

    @property
    def deviation(self) -> float:
        """Standard deviation over folds at the chosen point, of the mean over seeds."""
        return float(self.scores[self.choice].mean(axis=0).std(ddof=1))


def small_mlp(dropout: float | jax.Array) -> MLP:
    """One hidden layer of 16 units: more of them fit 1,172 training rows better and the others worse."""
    return MLP(hidden=(16,), num_outputs=1, dropout=(dropout,), kernel_init=he_normal)


def linear(dropout: float | jax.Array) -> Linear:
    """Linear regression from small weights; it has nothing to drop."""
    return Linear()


class TorchLinear(nn.Module):
    """Linear regression from PyTorch's initial weights, as the book's."""

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """(n, features) to (n, 1); `train` changes nothing."""
        return Dense(1, kernel_init=torch_kernel, bias_init=torch_bias)(x)


BOOK = Family(
    "linear, the book's recipe",
    lambda dropout: TorchLinear(),
    grid((5.0,)),
    seeds=(0, 1, 2, 3, 4),
    epochs=100,
    schedule=constant,
    limit=float("inf"),
    log_target=False,
)
LINEAR = Family("linear", linear, grid((0.01, 0.03), (0.0, 0.003, 0.01, 0.03)))
SMALL_MLP = Family("mlp", small_mlp, grid((0.003, 0.01), (0.003, 0.01, 0.03), (0.0, 0.1, 0.3)), seeds=(0, 1))
FAMILIES = (BOOK, LINEAR, SMALL_MLP)


def log_rmse(predicted: np.ndarray, price: np.ndarray) -> float:
    """Root mean squared difference of logarithms; 0.1 is an error of about 10%."""
    return float(np.sqrt(np.mean((np.log(predicted) - np.log(price)) ** 2)))


def prepare(houses: Houses, fold: np.ndarray, *, limit: float = LIMIT, log_target: bool = True) -> Prepared:
    """Estimate a table and the target's scale from each fold's training rows, and apply them to all rows.

    Tables of different folds may know different categories; the narrower ones are padded with columns of zeros.

    Args:
        houses: with prices.
        fold: (n,) from `assign_folds`.
        limit: cap of the features, in standard deviations.
        log_target: see `Family`.

    Raises:
        ValueError: houses without prices.
        DataError: a fold's training rows hold nothing to learn from.
        ArithmeticError: prices beyond float32.
    """
    if houses.price is None:
        raise ValueError("training houses need prices")
    k = int(fold.max()) + 1
    target = np.log(houses.price) if log_target else houses.price
    features = typed(houses.features)  # what a column is must not differ from fold to fold
    with houses.named():
        tables = tuple(_fold_table(features[fold != j], j, limit) for j in range(k))
        x = padded_rows(tables, features)
    scales = [mean_and_deviation(target[fold != j]) if log_target else (0.0, 1.0) for j in range(k)]
    centre, spread = np.array(scales).T
    spread = np.where(spread > 0, spread, 1.0)  # all prices equal, up to rounding
    scaled = (target[None] - centre[:, None]) / spread[:, None]
    if (largest := float(np.abs(scaled).max())) > float(np.finfo(np.float32).max):
        raise ArithmeticError(f"every point of the grid diverged: targets up to {largest:.3g} are beyond float32")
    y = scaled.astype(np.float32)
    return Prepared(Folds(x, y[..., None], fold), tables, centre, spread, houses.price, log_target)


def padded_rows(tables: tuple[Table, ...], features: "pd.DataFrame") -> np.ndarray:
    """Apply each fold's table to all rows: (k, n, d), d the width of the widest."""
    width = max(len(table.names) for table in tables)
    rows = [apply_table(table, features).x for table in tables]
    return np.stack([np.pad(x, ((0, 0), (0, width - x.shape[1]))) for x in rows])


def cross_validate(family: Family, train: Houses, test: Houses, fold: np.ndarray, mesh: Mesh | None = None) -> Outcome:
    """Train the family's grid on every fold, on the devices of `mesh`, choose, and predict the test rows.

    Raises:
        ArithmeticError: every point diverged.
        DataError: the test file's columns differ from the training file's.
    """
    prepared = prepare(train, fold, limit=family.limit, log_target=family.log_target)
    with test.named():  # columns that differ are refused before anything trains
        test_rows = padded_rows(prepared.tables, test.features)
    result = kfold(
        family.network,
        prepared.folds,
        family.points,
        epochs=family.epochs,
        batch_size=min(family.batch_size, *(int((fold != j).sum()) for j in range(len(prepared.tables)))),
        seeds=family.seeds,
        schedule=family.schedule,
        mesh=mesh,
    )
    scores = result.scores(
        lambda output, rows: log_rmse(prepared.dollars(output[:, 0], fold[rows]), prepared.price[rows])
    )
    choice = choose(scores)
    members = result.predict(choice, test_rows)[..., 0]  # (s, k, t)
    price = ensemble([prepared.dollars(members[s, j], j) for s in range(len(members)) for j in range(members.shape[1])])
    return Outcome(
        name=family.name,
        point=family.points[choice],
        scores=scores,
        choice=choice,
        test_price=price,
        test_log_rmse=None if test.price is None else log_rmse(price, test.price),
        compile_seconds=result.compile_seconds,
        seconds=result.seconds,
        result=result,
    )


def _fold_table(features: "pd.DataFrame", fold: int, limit: float) -> Table:
    try:
        return fit_table(features, limit=limit)
    except DataError as error:
        where = f"fold {fold}, {counted(len(features), 'training row')}"
        raise DataError(f"{where}: {error}; use fewer folds or more rows") from error


def ensemble(prices: list[np.ndarray]) -> np.ndarray:
    """Average logarithms, the scale on which the error is measured."""
    return np.exp(np.mean(np.log(prices), axis=0))
