"""scikit-learn's own checks, on the real class."""

import pytest
from sklearn.base import clone
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from skrgvae import HierarchicalSparseEncoder

# No method of minibatches gives the same bits for a weight of two as for two rows; scikit-learn
# expects MiniBatchKMeans to fail these as well. tests/test_weights.py compares distributions.
NOT_EXACT = "minibatches: weighted and repeated rows agree in distribution only"
EXPECTED_FAILURES = {
    f"check_sample_weight_equivalence_on_{kind}_data": NOT_EXACT for kind in ("dense", "sparse")
}


@parametrize_with_checks(
    [HierarchicalSparseEncoder()], expected_failed_checks=lambda _: EXPECTED_FAILURES
)
def test_check_estimator(estimator, check):
    # No other expected failures: a check that can't pass is a bug. (Where SCIPY_ARRAY_API is not
    # set, scikit-learn itself skips its array API check.)
    check(estimator)


# Checks that scikit-learn runs over its own estimators, but not in `check_estimator`.
MORE_CHECKS = (
    "check_param_validation",
    "check_dataframe_column_names_consistency",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    # scikit-learn's names for the two are not formed alike.
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
    "check_inplace_ensure_writeable",
)


# The checks of set_output transform an array after a fit on a data frame, at which every estimator
# of scikit-learn warns.
@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
@pytest.mark.filterwarnings("ignore:X has feature names, but:UserWarning")
@pytest.mark.parametrize("name", MORE_CHECKS)
def test_further_common_checks(name):
    check = getattr(estimator_checks, name, None)
    if check is None:
        pytest.skip(f"this version of scikit-learn has no {name}")
    # They look at containers, names and messages, which the length of training does not change.
    estimator = HierarchicalSparseEncoder(max_iter=10)
    check(type(estimator).__name__, clone(estimator))
