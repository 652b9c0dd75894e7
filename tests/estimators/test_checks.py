"""Every check that scikit-learn has for estimators, none of them expected to fail."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from jaxd2l.sklearn import JaxClassifier, JaxRegressor


@pytest.mark.slow
@pytest.mark.usefixtures("unoptimised")
@parametrize_with_checks([JaxClassifier(), JaxRegressor()])
def test_scikit_learns_check_passes(estimator, check):
    check(estimator)
