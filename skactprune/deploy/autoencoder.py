"""CompactAutoencoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from skactprune._docs import shares_docs
from skactprune.deploy.files import FORMATS
from skactprune.deploy.transformer import CompactMLPTransformer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from skactprune.deploy.onnx import Graph
    from skactprune.deploy.weights import CompactWeights


@FORMATS.add("skactprune.CompactAutoencoder")
@shares_docs
class CompactAutoencoder(CompactMLPTransformer):
    """Encoder and decoder of a fitted PrunedAutoencoder, without torch.

    Made by :meth:`skactprune.PrunedAutoencoder.compact`, :func:`skactprune.compact` or
    :func:`skactprune.load`, not by its constructor; frozen as `CompactMLPClassifier` is. Scalers in
    front of it stay where they are, for what it makes of codes is scaled as what it has learned.

    Attributes
    ----------
    {weights_, coefs_, kernel_sizes_, intercepts_}
    activation_ : tuple of str
        Activations of all hidden layers; that of the code is "identity".
    {storage_, nbytes_, transform_layer_, unused_features_, n_layers_}
    n_outputs_ : int
        Number of features that are reconstructed.
    {n_features_in_, feature_names_in_, output_prefix_}

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skactprune import PrunedAutoencoder
    >>> X, _ = load_iris(return_X_y=True)
    >>> model = PrunedAutoencoder(tol=1, random_state=0).fit(X).compact()
    >>> model.inverse_transform(model.transform(X)).shape
    (150, 4)
    """

    folds_scalers = False

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
        CompactAutoencoder

        Raises
        ------
        ValueError
            If no layer is the code.
        """
        if not isinstance(weights.transform_layer, int):
            raise ValueError("its transform_layer is invalid")
        return cls.of(weights, output_prefix="")

    def add_to_onnx(self, graph: Graph, rows: str) -> None:
        """Add codes and reconstructions of rows to an ONNX graph.

        Parameters
        ----------
        graph : skactprune.deploy.onnx.Graph
            Graph.
        rows : str
            Name of the rows in it.
        """
        layers = list(graph.layers(rows, self.weights_))
        for name, value, width in (
            ("code", layers[self.transform_layer_], self.n_components_),
            ("reconstruction", layers[-1], self.n_outputs_),
        ):
            graph.add("Identity", [value], name)
            graph.show(name, graph.dtype, width)

    def inverse_transform(self, X: ArrayLike) -> NDArray[Any]:
        """Rows that the decoder makes of codes, as of the original estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, as `transform` returns them.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Reconstructed rows: all features, also where the model takes those alone that it uses.

        Raises
        ------
        ValueError
            If the codes have another number of columns.
        """
        self._check_transforms()
        return self._decoded(self.weights_.decode, X, self.n_components_, self.weights_.dtype)
