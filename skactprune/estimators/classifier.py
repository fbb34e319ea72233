"""PrunedMLPClassifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scipy.sparse import csr_matrix
from sklearn.base import ClassifierMixin

from skactprune._docs import shares_docs
from skactprune.estimators._classes import LearnsClasses

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skactprune._types import MatrixLike
    from skactprune.chunks import Chunks
    from skactprune.deploy.classifier import CompactMLPClassifier
    from skactprune.deploy.weights import CompactWeights


@shares_docs
class PrunedMLPClassifier(ClassifierMixin, LearnsClasses):
    """Multi-layer perceptron classifier that loses neurons while it learns.

    It trains as :class:`sklearn.neural_network.MLPClassifier` does. In `n_prune_rounds` rounds a
    `method` removes neurons, or single weights, until `prune_fraction` of the hidden weights is
    gone, and the net trains on; by default those neurons leave for which the others of their layer
    can best stand in, and single weights where a layer has become narrow. What remains is smaller,
    faster and of lower rank. As a transformer it gives its hidden representation.

    Parameters
    ----------
    {hidden_layer_sizes, activation, method, prune_fraction, prune_features, prune_output}
    {n_prune_rounds, trigger, min_neurons, n_components, components, transform_layer, whiten}
    {fit_inverse_transform, inverse_alpha, solver, alpha, weight_decay, batch_size, learning_rate}
    {learning_rate_init, power_t, max_iter, shuffle, random_state, tol, verbose, warm_start}
    {momentum, nesterovs_momentum, early_stopping, scoring, validation_fraction, beta_1, beta_2}
    {epsilon, n_iter_no_change, class_weight, dropout, dtype, device, net_params, init_estimator}
    {pretrain}

    Attributes
    ----------
    {classes_, multilabel_, net_, coefs_, intercepts_, masks_, live_neurons_, unused_features_}
    {factors_, sparsity_, activation_counts_, firing_rates_, pruning_history_, hidden_ranks_}
    {n_components_, components_, mean_, explained_variance_, explained_variance_ratio_}
    {singular_values_, inverse_coef_, inverse_intercept_, n_iter_, t_, loss_, loss_curve_}
    {best_loss_, validation_scores_, validation_loss_curve_, best_validation_score_, n_layers_}
    {n_outputs_, out_activation_, n_features_in_, feature_names_in_}

    References
    ----------
    Ganguli & Chong, "Activation-Based Pruning of Neural Networks", Algorithms 17(1):48, 2024.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from skactprune import PrunedMLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
    >>> clf = PrunedMLPClassifier(max_iter=100, early_stopping=True, random_state=0)
    >>> clf = clf.fit(X_train, y_train)
    >>> len(clf.live_neurons_[0]), round(clf.sparsity_, 2)
    (20, 0.8)
    >>> clf.score(X_test, y_test) > 0.9
    True
    >>> clf.transform(X_test).shape
    (450, 20)
    """

    def predict(self, X: MatrixLike | Chunks) -> Any:
        """Predict class labels.

        Parameters
        ----------
        X : {array-like, sparse matrix, Chunks} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        {ndarray, csr_matrix} of shape (n_samples,) or (n_samples, n_classes)
            Labels; of a multilabel net 0 or 1 for each, sparse where those of training were.
        """
        predicted = self._of_rows(self._predicted, X)
        return csr_matrix(predicted) if self._sparse_labels else predicted

    def predict_proba(self, X: MatrixLike | Chunks) -> NDArray[Any]:
        """Predict class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix, Chunks} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities, columns in the order of `classes_`, in the dtype of the weights; of a
            multilabel net those of each label.
        """
        return self._of_rows(lambda rows: self._task.output.link(self._logits(rows)), X)

    def predict_log_proba(self, X: MatrixLike | Chunks) -> NDArray[Any]:
        """Predict logarithms of class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix, Chunks} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of `classes_`.
        """
        return self._of_rows(lambda rows: self._task.output.log_link(self._logits(rows)), X)

    def _compacted(self, weights: CompactWeights, **about: Any) -> CompactMLPClassifier:
        from skactprune.deploy.classifier import CompactMLPClassifier

        about |= {"multilabel": self.multilabel_}
        return CompactMLPClassifier.of(weights, self.classes_.copy(), **about)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
