"""PrunedMLPTransformer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sklearn.utils.multiclass import unique_labels

from skactprune._docs import shares_docs
from skactprune.estimators._classes import LearnsClasses

if TYPE_CHECKING:
    from skactprune._types import MatrixLike
    from skactprune.deploy.transformer import CompactMLPTransformer
    from skactprune.deploy.weights import CompactWeights
    from skactprune.estimators.classifier import PrunedMLPClassifier


@shares_docs
class PrunedMLPTransformer(LearnsClasses):
    """Supervised reduction by the hidden representation of a pruned multi-layer perceptron.

    The net is that of :class:`PrunedMLPClassifier`, and so is `transform`, but it predicts nothing:
    for the middle of a pipeline, where :class:`sklearn.decomposition.PCA` or
    :class:`sklearn.neighbors.NeighborhoodComponentsAnalysis` might stand, and nobody is to take it
    for a classifier. Its targets are classes.

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
    {n_components_}
    {components_, mean_, explained_variance_, explained_variance_ratio_, singular_values_}
    {inverse_coef_, inverse_intercept_, n_iter_, t_, loss_, loss_curve_, best_loss_}
    {validation_scores_, validation_loss_curve_, best_validation_score_, n_layers_, n_outputs_}
    {out_activation_, n_features_in_, feature_names_in_}

    See Also
    --------
    PrunedMLPClassifier : The same, with `predict`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skactprune import PrunedMLPTransformer
    >>> X, y = load_iris(return_X_y=True)
    >>> reduce = PrunedMLPTransformer(n_components=2, learning_rate_init=0.01, random_state=0)
    >>> model = make_pipeline(StandardScaler(), reduce, LogisticRegression()).fit(X, y)
    >>> model.score(X, y) > 0.95
    True
    >>> model[:-1].transform(X).shape
    (150, 2)
    """

    @property
    def _predictor(self) -> type[PrunedMLPClassifier]:
        from skactprune.estimators.classifier import PrunedMLPClassifier

        return PrunedMLPClassifier

    def _classes_to_come(self, classes: Any, y: MatrixLike) -> Any:
        is_first = classes is None and not hasattr(self, "classes_")
        return unique_labels(y) if is_first else classes

    def _compacted(self, weights: CompactWeights, **about: Any) -> CompactMLPTransformer:
        from skactprune.deploy.transformer import CompactMLPTransformer

        return CompactMLPTransformer.of(weights, **about)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
