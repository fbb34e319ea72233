"""scikit-learn's own checks, on what a compact model can be held to."""

from compact_nets import QUICK, random_model
from sklearn.utils.estimator_checks import parametrize_with_checks

from skactprune import CompactMLPClassifier, PrunedMLPClassifier


class Refitted(CompactMLPClassifier):
    """A compact model that `fit` makes, so that the checks can look at all it does afterwards."""

    def __sklearn_clone__(self):
        return Refitted()

    def fit(self, X, y):
        clf = PrunedMLPClassifier((30, 10), **(QUICK | {"max_iter": 30}))
        self.__dict__.update(clf.fit(X, y).compact().__dict__)
        return self


@parametrize_with_checks([Refitted()])
def test_model_behaves_as_a_fitted_estimator(estimator, check):
    check(estimator)


REASONS = {
    "fit does not look at the data, and so does not refuse any": """
        check_classifiers_one_label_sample_weights check_classifiers_regression_target
        check_classifiers_train check_complex_data check_estimator_sparse_array
        check_estimator_sparse_matrix check_estimators_empty_data_messages
        check_estimators_nan_inf check_fit1d check_supervised_y_no_nan""",
    "fits data with another number of features than the model has": """
        check_classifier_data_not_an_array check_classifiers_classes check_classifiers_one_label
        check_dict_unchanged check_dtype_object check_estimators_dtypes check_estimators_pickle
        check_f_contiguous_array_estimator check_fit_idempotent check_fit_score_takes_y
        check_methods_sample_order_invariance check_methods_subset_invariance
        check_pipeline_consistency check_supervised_y_2d check_transformer_data_not_an_array
        check_transformer_general check_transformer_preserve_dtypes""",
    "a clone is fitted before fit": """
        check_estimators_unfitted check_fit_check_is_fitted check_n_features_in
        check_n_features_in_after_fitting check_no_attributes_set_in_init""",
}
EXPECTED = {check: reason for reason, checks in REASONS.items() for check in checks.split()}


@parametrize_with_checks([random_model()], expected_failed_checks=lambda _: EXPECTED)
def test_frozen_model_passes_what_does_not_ask_it_to_learn(estimator, check):
    check(estimator)
