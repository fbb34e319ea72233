"""Fitted models as ONNX graphs."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.utils.validation import check_is_fitted

import skactprune
from skactprune.deploy.atomic import write_atomically
from skactprune.deploy.scalers import flat_steps, shift_and_scale
from skactprune.nets.activations import per_layer

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator
    from types import ModuleType

    import onnx
    from numpy.typing import NDArray
    from onnx import NodeProto, TensorProto

    from skactprune.deploy.weights import CompactWeights
    from skactprune.nets.outputs import ClassOutput

# Old enough for most runtimes in use; nothing newer is needed.
OPSET, IR_VERSION = 17, 8


def to_onnx(
    model: Any,
    path: str | bytes | os.PathLike[str] | None = None,
    *,
    input_dtype: Literal["float32", "float64"] | None = None,
) -> onnx.ModelProto:
    """Convert a fitted model to ONNX.

    Names and types are those of skl2onnx with ``zipmap=False``: one input "X" of shape (n_rows,
    n_features), any number of rows; the outputs "label", int64 or string, of shape (n_rows,), or
    (n_rows, n_classes) of a multilabel net, and "probabilities" of shape (n_rows, n_classes); or
    "variable", of shape (n_rows, n_outputs) of a regressor and (n_rows, `n_components_`) of a
    transformer; or of an autoencoder "code" of shape (n_rows, n_components) and "reconstruction" of
    shape (n_rows, n_features). Labels that are bools, or floats without a fraction, become int64.

    Parameters
    ----------
    model : estimator or compact model of this package, or Pipeline
        Fitted; of a TransformedTargetRegressor take what `compact` makes of it. The steps of a
        pipeline in front of the last may be StandardScaler, MinMaxScaler with ``clip=False``,
        "passthrough" and pipelines of these; pipelines with others skl2onnx converts after
        `register_onnx_converters`. Of the `transform` of what predicts, too, convert
        ``compact(model, output="transform")``.
    path : str, bytes or path-like, default=None
        File to write, atomically; None writes none.
    input_dtype : {"float32", "float64"}, default=None
        Type of the input; None takes that of the weights, in which the net is computed and its
        outputs are given. Scalers are computed in float64.

    Returns
    -------
    onnx.ModelProto
        The ONNX model.

    Raises
    ------
    ImportError
        If the package onnx is missing.
    TypeError
        If the model, or a step of the pipeline, cannot be converted.
    NotFittedError
        If the model is not fitted.
    ValueError
        For another `input_dtype`, or class labels that neither are strings nor have the same value
        as an int64.
    OSError
        If the file cannot be written, or `path` is a directory, pipe, device or socket, which is
        left as it is.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skactprune import PrunedMLPClassifier, to_onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = PrunedMLPClassifier(max_iter=40, tol=0.1, random_state=0).fit(X, y)
    >>> proto = to_onnx(clf, input_dtype="float32")
    >>> [output.name for output in proto.graph.output]
    ['label', 'probabilities']
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError(
            "to_onnx needs the package onnx: pip install 'skactprune[onnx]'"
        ) from error
    *before, (_, last) = flat_steps([("", model)])
    # Only our own estimators have this method; scikit-learn's MLPs have other outputs, too.
    if not hasattr(last, "compact"):
        raise TypeError(
            f"to_onnx converts estimators and compact models of this package, and pipelines that "
            f"end in one, got {type(last).__name__}."
        )
    check_is_fitted(last)
    last = last.compact()
    dtype = last.weights_.dtype
    kind = dtype if input_dtype is None else np.dtype(input_dtype)
    if kind.name not in ("float32", "float64"):
        raise ValueError(f"input_dtype={kind.name!r} must be 'float32' or 'float64'.")
    graph = Graph(onnx, dtype)
    scalers = [step for step in before if step[1] not in (None, "passthrough")]
    last.add_to_onnx(graph, graph.scale("X", kind, scalers))
    proto = graph.model(kind, last.n_features_in_)
    if path is not None:
        write_atomically(path, proto.SerializeToString())
    return proto


class Graph:
    """Nodes and constants, as they are added; values are known by their names.

    Parameters
    ----------
    onnx : module
        The package.
    dtype : dtype
        Type that the net is computed in.

    Attributes
    ----------
    nodes : list of onnx.NodeProto
        Nodes, in an order in which they can be computed.
    constants : list of onnx.TensorProto
        Weights and the like.
    outputs : list of tuple
        Name, dtype, object for strings, and shape, without the rows, of each value that is shown.
    """

    def __init__(self, onnx: ModuleType, dtype: np.dtype[Any]) -> None:
        self.onnx: Any = onnx
        self.dtype = dtype
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self.outputs: list[tuple[str, np.dtype[Any], tuple[int, ...]]] = []

    def add(
        self, operator: str, inputs: list[str], output: str | None = None, **attributes: Any
    ) -> str:
        output = output or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, name: str, array: NDArray[Any]) -> str:
        self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def cast(self, value: str, dtype: np.dtype[Any], output: str | None = None) -> str:
        kind = self.onnx.helper.np_dtype_to_tensor_dtype(dtype)
        return self.add("Cast", [value], output, to=kind)

    def scale(self, value: str, dtype: np.dtype[Any], steps: Iterable[tuple[str, Any]]) -> str:
        """Add scalers, which compute in float64, and the conversion to the type of the net."""
        for i, (name, scaler) in enumerate(steps):
            if (known := shift_and_scale(scaler)) is None:
                raise TypeError(
                    f"The step {name!r} is a {type(scaler).__name__}; to_onnx converts only "
                    "StandardScaler and MinMaxScaler(clip=False) in front of the net. After "
                    "skactprune.register_onnx_converters() skl2onnx converts others, too."
                )
            if dtype != np.float64:
                value, dtype = self.cast(value, np.dtype(np.float64)), np.dtype(np.float64)
            value = self.add("Sub", [value, self.constant(f"mean_{i}", known[0])])
            value = self.add("Div", [value, self.constant(f"scale_{i}", known[1])])
        return value if dtype == self.dtype else self.cast(value, self.dtype)

    def layers(self, value: str, weights: CompactWeights) -> Iterator[str]:
        """Add layers, one after the other, as their outputs are asked for."""
        hidden = per_layer(weights.activation, len(weights.kernels) - 1)
        for i, (kernel, b) in enumerate(zip(weights.kernels, weights.intercepts, strict=True)):
            if isinstance(kernel, tuple):
                left, kernel = kernel
                value = self.add("MatMul", [value, self.constant(f"factor_{i}", left)])
            names = [self.constant(f"coef_{i}", kernel), self.constant(f"intercept_{i}", b)]
            value = self.add("Gemm", [value, *names])
            if i < len(hidden) and (operator := hidden[i].onnx_operator) is not None:
                value = self.add(operator, [value])
            yield value

    def classify(
        self, rows: str, weights: CompactWeights, output: ClassOutput, classes: NDArray[Any]
    ) -> None:
        """Add the outputs of a classifier; the label is taken from the logits, as by `predict`."""
        labels = _labels(classes)
        *_, logits = self.layers(rows, weights)
        output.onnx_link(self, logits, "probabilities")
        self.show("label", labels.dtype, *output.onnx_predict(self, logits, labels, "label"))
        self.show("probabilities", self.dtype, len(labels))

    def represent(self, rows: str, weights: CompactWeights) -> None:
        """Add the output of a transformer."""
        shown = weights.check_shows()
        n_layers = len(weights.kernels) - 1 if shown == "all" else shown + 1
        outputs = list(islice(self.layers(rows, weights), n_layers))
        value = outputs[-1]
        if shown == "all":
            value = self.add("Concat", outputs, axis=1)
        if weights.components is not None:
            projection = self.constant("projection", weights.components.projection)
            offset = self.constant("projection_offset", weights.components.offset)
            value = self.add("Gemm", [value, projection, offset])
        self.add("Identity", [value], "variable")
        self.show("variable", self.dtype, weights.n_components)

    def show(self, name: str, dtype: np.dtype[Any], *shape: int) -> None:
        """Let a value be an output."""
        self.outputs.append((name, dtype, shape))

    def _described(
        self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]
    ) -> onnx.ValueInfoProto:
        helper, is_number = self.onnx.helper, dtype.kind != "O"
        kind = helper.np_dtype_to_tensor_dtype(dtype) if is_number else self.onnx.TensorProto.STRING
        return helper.make_tensor_value_info(name, kind, ("n_rows", *shape))

    def model(self, input_dtype: np.dtype[Any], n_features: int) -> onnx.ModelProto:
        helper = self.onnx.helper
        rows = self._described("X", input_dtype, (n_features,))
        shown = [self._described(*output) for output in self.outputs]
        graph = helper.make_graph(self.nodes, "skactprune", [rows], shown, self.constants)
        proto = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="skactprune",
            producer_version=skactprune.__version__,
        )
        self.onnx.checker.check_model(proto, full_check=True)
        return proto


def _labels(classes: NDArray[Any]) -> NDArray[Any]:
    """Labels as strings or int64, if they are none the less the same."""
    values = classes.tolist()
    if all(type(value) is str for value in values):
        if all(_is_unicode(value) for value in values):
            return np.array(values, dtype=object)
    elif classes.dtype.kind in "biuf" and all(_fits_int64(value) for value in values):
        return classes.astype(np.int64)
    raise ValueError(
        f"Class labels must be strings, or integers, bools or floats with the value of an int64, "
        f"to be converted to ONNX, got dtype {classes.dtype}: {classes!r}."
    )


def _fits_int64(value: float) -> bool:
    return -(2**63) <= value < 2**63 and int(value) == value


def _is_unicode(value: str) -> bool:
    # Half of a surrogate pair, as in names of files that are no text, has no place in a protobuf.
    return not any("\ud800" <= character <= "\udfff" for character in value)
