"""The library as estimators of scikit-learn: pipelines, searches and cross-validation over any recipe or network.

- `JaxClassifier`, `JaxRegressor`: train by `jaxd2l.train.fit`, answer by `jaxd2l.prediction.Predictor`
- `TABLE`: the recipe that an estimator has where none is given

Needs the extra `sklearn`.
"""

try:
    import sklearn  # noqa: F401
except ImportError as error:
    raise ImportError("estimators need scikit-learn: pip install 'jaxd2l[sklearn]'", name="sklearn") from error

from jaxd2l.sklearn.classifier import JaxClassifier
from jaxd2l.sklearn.recipe import TABLE
from jaxd2l.sklearn.regressor import JaxRegressor
from jaxd2l.sklearn.workers import share_cores

share_cores()

__all__ = ["TABLE", "JaxClassifier", "JaxRegressor"]
