"""CompactMLPTransformer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from skactprune.deploy.base import BaseCompactMLP, check_holds_model
from skactprune.deploy.files import FORMATS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skactprune.deploy.onnx import Graph
    from skactprune.deploy.weights import CompactWeights


@FORMATS.add("skactprune.CompactMLPTransformer")
class CompactMLPTransformer(BaseCompactMLP):
    """What a fitted PrunedMLPTransformer transforms with, without torch.

    Made and used as a :class:`skactprune.CompactMLPClassifier`, whose attributes it has, but for
    those of classes and of the output: it predicts nothing.

    Attributes
    ----------
    weights_ : skactprune.deploy.weights.CompactWeights
        All that it computes with.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skactprune import PrunedMLPTransformer
    >>> X, y = load_iris(return_X_y=True)
    >>> net = PrunedMLPTransformer(n_components=2, max_iter=60, tol=0.05, random_state=0)
    >>> model = net.fit(X, y).compact()
    >>> model.transform(X).shape
    (150, 2)
    """

    @classmethod
    def of(
        cls,
        weights: CompactWeights,
        *,
        output_prefix: str,
        feature_names: NDArray[Any] | None = None,
    ) -> Self:
        """Model that computes with the given weights.

        Parameters
        ----------
        weights : skactprune.deploy.weights.CompactWeights
            What it computes with.
        output_prefix : str
            What the names of the columns of `transform` begin with.
        feature_names : ndarray of shape (n_features,), default=None
            Names of the features.

        Returns
        -------
        CompactMLPTransformer
        """
        model = cls()
        model.output_prefix_ = output_prefix
        return model.with_weights(weights, feature_names)

    def file_metadata(self) -> dict[str, Any]:
        """What files hold of it besides its weights: nothing.

        Returns
        -------
        dict

        Raises
        ------
        NotFittedError
            If it holds no model.
        """
        check_holds_model(self)
        return {}

    @classmethod
    def of_file(cls, weights: CompactWeights, metadata: dict[str, Any]) -> Self:
        """Model of what a file holds.

        Parameters
        ----------
        weights : skactprune.deploy.weights.CompactWeights
            What it computes with.
        metadata : dict
            Not used.

        Returns
        -------
        CompactMLPTransformer
        """
        return cls.of(weights, output_prefix="")

    def add_to_onnx(self, graph: Graph, rows: str) -> None:
        """Add what is computed of rows to an ONNX graph.

        Parameters
        ----------
        graph : skactprune.deploy.onnx.Graph
            Graph.
        rows : str
            Name of the rows in it.

        Raises
        ------
        ValueError
            If it shows no hidden layer.
        """
        self._check_transforms()
        graph.represent(rows, self.weights_)
