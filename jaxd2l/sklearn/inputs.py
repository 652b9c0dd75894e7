"""What is given as `X` to stored examples: a table's rows as float32, pictures as they are, flattened or not."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

ABSENT = "no_validation"


def checked(
    estimator: Any, X: Any, y: Any = ABSENT, *, reset: bool = False, **options: Any
) -> tuple[np.ndarray, np.ndarray | None]:
    """Refuse what scikit-learn's estimators refuse, count the features and keep their names.

    Args:
        estimator: whose `image_shape` says whether flat rows are pictures.
        X: a table (n, features), or pictures (n, height, width), (n, height, width, channels) or flattened.
        y: targets, where it is a training.
        reset: whether the estimator is to know these features, or knows them already.
        **options: of `sklearn.utils.check_X_y`.

    Returns:
        `X` of any real numbers, in the shape that was given, and `y` where there is one.

    Raises:
        ValueError: no rows of finite numbers, another number of features than was trained on, or others by name.
    """
    given = {} if isinstance(y, str) and y == ABSENT else {"y": y}
    if y is None and is_pictures(X, estimator.image_shape):
        raise ValueError(f"{type(estimator).__name__} requires y to be passed, but the target y is None")
    deep = _axes(X) > 2
    options = {"dtype": "numeric", **(options if given else {})}
    if deep:
        options |= {"allow_nd": True, "ensure_2d": False}  # which would count the rows of a picture as its features
    found = validate_data(estimator, X, **given, reset=reset, **options)
    x, y = found if given else (found, None)
    if not deep:
        return x, y
    features = math.prod(x.shape[1:])
    if reset:
        estimator.n_features_in_ = features
    elif features != estimator.n_features_in_:
        raise ValueError(
            f"X has {features} features, but {type(estimator).__name__} is expecting {estimator.n_features_in_} "
            "features as input"
        )
    return x, y


def is_pictures(X: Any, image_shape: Sequence[int] | None) -> bool:
    """Whether rows are pictures: they have more than one axis, or it is said which they had."""
    return image_shape is not None or _axes(X) > 2


def _axes(X: Any) -> int:
    return len(getattr(X, "shape", ()) or np.shape(np.asarray(X)))


def as_stored(x: np.ndarray, image_shape: Sequence[int] | None, dtype: np.dtype | None = None) -> np.ndarray:
    """Rows as they are trained on: pictures of bytes stay bytes, all else becomes float32.

    Args:
        x: real numbers (n, ...).
        image_shape: of a flattened picture.
        dtype: what was trained on; None in a training.

    Returns:
        (n, features), or (n, height, width, channels).

    Raises:
        ValueError: another shape, or numbers that the type cannot hold.
    """
    pictures = is_pictures(x, image_shape)
    if image_shape is not None:
        features = math.prod(x.shape[1:])
        if features != math.prod(image_shape):
            raise ValueError(
                f"X has {features} features, but image_shape {tuple(image_shape)} has {math.prod(image_shape)}"
            )
        x = x.reshape(len(x), *image_shape)
    if pictures and x.ndim == 3:
        x = x[..., np.newaxis]
    if dtype is None:
        dtype = np.dtype(np.uint8 if pictures and x.dtype == np.uint8 else np.float32)
    if dtype == np.uint8 and x.dtype != np.uint8 and not (x.min() >= 0 and x.max() <= 255 and (x == np.rint(x)).all()):
        raise ValueError(
            f"X is {x.dtype} from {x.min():g} to {x.max():g}, but the estimator was trained on bytes; give whole "
            "numbers from 0 to 255"
        )
    return _narrowed(x, dtype, "X")


def as_values(y: np.ndarray) -> np.ndarray:
    """Targets (n,) or (n, k) as float32 (n, k).

    Raises:
        ValueError: a number that float32 cannot hold.
    """
    return _narrowed(y.reshape(len(y), -1), np.dtype(np.float32), "y")


def _narrowed(a: np.ndarray, dtype: np.dtype, name: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        narrow = a.astype(dtype)
    if dtype == np.float32 and not np.isfinite(narrow).all():
        raise ValueError(f"{name} holds numbers beyond float32, in which networks compute; scale it down")
    return narrow
