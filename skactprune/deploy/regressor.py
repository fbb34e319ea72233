"""CompactMLPRegressor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from sklearn.base import RegressorMixin

from skactprune._array_api import as_numpy
from skactprune._docs import shares_docs
from skactprune.deploy.base import BaseCompactMLP, check_holds_model
from skactprune.deploy.files import FORMATS
from skactprune.nets.outputs import get_output, one_or_more

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from skactprune._types import MatrixLike
    from skactprune.deploy.onnx import Graph
    from skactprune.deploy.weights import CompactWeights
    from skactprune.nets.outputs import Output


@FORMATS.add("skactprune.CompactMLPRegressor")
@shares_docs
class CompactMLPRegressor(RegressorMixin, BaseCompactMLP):
    """What a fitted PrunedMLPRegressor predicts with, in a few small arrays and without torch.

    Made by :meth:`skactprune.PrunedMLPRegressor.compact`, :func:`skactprune.compact` or
    :func:`skactprune.load`, not by its constructor; frozen as `CompactMLPClassifier` is.

    Attributes
    ----------
    {weights_, coefs_, kernel_sizes_, intercepts_, activation_}
    out_activation_ : {"identity", "exp"}
        Activation of the output.
    {storage_, nbytes_, transform_layer_, n_components_, components_, inverse_coef_, projection_}
    {projection_offset_, unused_features_, n_layers_}
    n_outputs_ : int
        Number of targets.
    predicts_column_ : bool
        Whether a single target is predicted as an array of two dimensions.
    {n_features_in_, feature_names_in_, output_prefix_}

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import make_friedman1
    >>> from skactprune import PrunedMLPRegressor
    >>> X, y = make_friedman1(200, random_state=0)
    >>> net = PrunedMLPRegressor(max_iter=60, tol=0.1, random_state=0).fit(X, y / y.std())
    >>> model = net.compact()
    >>> np.allclose(model.predict(X), net.predict(X))
    True
    >>> net.compact("int8").nbytes_ < model.nbytes_ / 3
    True
    """

    @classmethod
    def of(
        cls,
        weights: CompactWeights,
        out_activation: Literal["identity", "exp"],
        *,
        output_prefix: str,
        feature_names: NDArray[Any] | None = None,
        predicts_column: bool = False,
    ) -> Self:
        """Model that computes with the given weights.

        Parameters
        ----------
        weights : skactprune.deploy.weights.CompactWeights
            What it computes with.
        out_activation : {"identity", "exp"}
            Activation of the output.
        output_prefix : str
            What the names of the columns of `transform` begin with.
        feature_names : ndarray of shape (n_features,), default=None
            Names of the features.
        predicts_column : bool, default=False
            Whether a single target is predicted as an array of two dimensions.

        Returns
        -------
        CompactMLPRegressor
        """
        model = cls()
        model.out_activation_, model.output_prefix_ = out_activation, output_prefix
        model.predicts_column_ = predicts_column
        return model.with_weights(weights, feature_names)

    def file_metadata(self) -> dict[str, Any]:
        """What files hold of it besides its weights.

        Returns
        -------
        dict
            Fit for JSON.

        Raises
        ------
        NotFittedError
            If it holds no model.
        """
        check_holds_model(self)
        # Where it is not said, a single target has one dimension.
        column = {"predicts_column": True} if self.predicts_column_ else {}
        return {"out_activation": self.out_activation_} | column

    @classmethod
    def of_file(cls, weights: CompactWeights, metadata: dict[str, Any]) -> Self:
        """Model of what a file holds, which is checked.

        Parameters
        ----------
        weights : skactprune.deploy.weights.CompactWeights
            What it computes with.
        metadata : dict
            Contains what `file_metadata` gave.

        Returns
        -------
        CompactMLPRegressor

        Raises
        ------
        ValueError
            If it gave no such activation, or a column for several targets.
        """
        if metadata["out_activation"] not in ("identity", "exp"):
            raise ValueError("its out_activation is invalid")
        column = metadata.get("predicts_column", False)
        if not isinstance(column, bool) or (column and weights.n_outputs != 1):
            raise ValueError("its predicts_column is invalid")
        return cls.of(weights, metadata["out_activation"], output_prefix="", predicts_column=column)

    def add_to_onnx(self, graph: Graph, rows: str) -> None:
        """Add what is predicted for rows to an ONNX graph.

        Parameters
        ----------
        graph : skactprune.deploy.onnx.Graph
            Graph.
        rows : str
            Name of the rows in it.
        """
        *_, logits = graph.layers(rows, self.weights_)
        self._output.onnx_link(graph, logits, "variable")
        graph.show("variable", graph.dtype, self.n_outputs_)

    def predict(self, X: MatrixLike) -> NDArray[Any]:
        """Predict targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Numbers in the dtype of the weights; of one dimension where there is one target, unless
            `predicts_column_` says otherwise.
        """
        shaped = np.asarray if self.predicts_column_ else one_or_more
        return self._of_rows(lambda rows: shaped(self._output.link(self.weights_.logits(rows))), X)

    def with_scaled_output(
        self, mean: NDArray[Any], scale: NDArray[Any], *, column: bool = False
    ) -> Self:
        """Model that predicts ``scale * y + mean`` where this one predicts y.

        Parameters
        ----------
        mean, scale : ndarray of shape (n_outputs,), float64
            What is added, and what is multiplied with.
        column : bool, default=False
            Whether a single target is predicted as an array of two dimensions.

        Returns
        -------
        CompactMLPRegressor

        Raises
        ------
        ValueError
            If that is no matter of its weights, as after an exponential; or if they would leave
            the range of their type.
        """
        if self.out_activation_ != "identity" and (mean.any() or (scale != 1).any()):
            raise ValueError(
                f"out_activation_={self.out_activation_!r}: only outputs of 'identity' can be "
                "scaled by the weights."
            )
        names = getattr(self, "feature_names_in_", None)
        model = self.with_weights(self.weights_.with_scaled_output(mean, scale), names)
        vars(model)["predicts_column_"] = column
        return model

    def compression_report(
        self, reference: Any, X: MatrixLike, y: ArrayLike | None = None
    ) -> dict[str, Any]:
        """Compare with the model that this one was made from.

        Parameters
        ----------
        reference : regressor
            The original, or a compact model of it with more precise weights.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to compare on.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Their targets, where known.

        Returns
        -------
        dict
            "storage" and "nbytes" of this model; "max_change" and "mean_change" of predictions,
            absolute; and with `y` "r2" and "reference_r2".
        """
        from sklearn.metrics import r2_score

        X, y = as_numpy(X, y)
        before, after = reference.predict(X), self.predict(X)
        change = np.abs(after.astype(np.float64) - before)
        report = {
            "storage": self.storage_,
            "nbytes": self.nbytes_,
            "max_change": float(change.max()),
            "mean_change": float(change.mean()),
        }
        if y is not None:
            report["r2"] = float(r2_score(y, after))
            report["reference_r2"] = float(r2_score(y, before))
        return report

    @property
    def _output(self) -> Output:
        return get_output(self.out_activation_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
