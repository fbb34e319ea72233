"""One record for each meaning of what the output layer gives, in numpy and ONNX.

That two classes have one output, and more classes and labels one each, is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from scipy.special import log_expit

from skactprune._register import Register
from skactprune.nets.activations import get_activation

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    T = TypeVar("T", bound="Output")

OUTPUTS = Register("out_activation")


class Graph(Protocol):
    """What nodes are added to; values are known by their names."""

    dtype: np.dtype[Any]

    def add(
        self, operator: str, inputs: list[str], output: str | None = None, **attributes: Any
    ) -> str:
        """Add a node, and return the name of its output."""

    def constant(self, name: str, array: NDArray[Any]) -> str:
        """Add a constant, and return its name."""

    def cast(self, value: str, dtype: np.dtype[Any], output: str | None = None) -> str:
        """Add a conversion to another type."""


@dataclass(frozen=True)
class Output:
    """What is made of the numbers of the output layer, the logits.

    Attributes
    ----------
    name : str
        What the register calls it.
    width : callable
        Takes the number of targets, for a classifier of its classes; returns that of outputs.
    link : callable
        Takes logits of shape (n_samples, n_outputs); returns what is predicted of them: for a
        classifier probabilities of shape (n_samples, n_classes).
    onnx_link : callable
        The same as nodes of a graph: takes the graph, which has methods `add`, `cast` and
        `constant` and the `dtype` of the logits, and the names of the logits and of the result.
    activation : str or None
        What scikit-learn's `out_activation_` calls it; None where that is the name.
    """

    name: str
    width: Callable[[int], int]
    link: Callable[[NDArray[Any]], NDArray[Any]]
    onnx_link: Callable[[Graph, str, str], None]
    activation: str | None = None


@dataclass(frozen=True, kw_only=True)
class ClassOutput(Output):
    """Output of a classifier, which has more.

    Attributes
    ----------
    log_link : callable
        As `link`, but returns the logarithms, also of what rounds to 0.
    predict : callable
        Takes logits and class labels; returns the most probable class of every row, of shape
        (n_samples,), or which labels it has, of shape (n_samples, n_classes).
    onnx_predict : callable
        The same as nodes of a graph: takes the graph, the name of the logits, the class labels and
        the name of the result; returns the sizes of its dimensions after the first.
    """

    log_link: Callable[[NDArray[Any]], NDArray[Any]]
    predict: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]
    onnx_predict: Callable[[Graph, str, NDArray[Any], str], tuple[int, ...]]


def add_output(output: T) -> T:
    """Make an `Output` known by its name, and return it.

    Parameters
    ----------
    output : Output
        Record of a name that is not taken.

    Returns
    -------
    Output

    Raises
    ------
    ValueError
        If another record has the name.
    """
    return OUTPUTS.add(output.name)(output)


def get_output(output: str | Output) -> Output:
    """Record of a name.

    Parameters
    ----------
    output : str or Output
        A known name, or the record itself.

    Returns
    -------
    Output

    Raises
    ------
    ValueError
        For an unknown name; the message lists the known ones.
    """
    return OUTPUTS.look_up(output)


def output_for_classes(n_classes: int, multilabel: bool = False) -> ClassOutput:
    """Output of a classifier of `n_classes` classes, of which a row has one, or any number."""
    if multilabel:
        return MULTILABEL
    return LOGISTIC if n_classes == 2 else SOFTMAX


def is_multilabel_net(net: Any) -> bool:
    """Whether a fitted classifier, of scikit-learn too, tells which labels a row has."""
    sees_each = getattr(net, "out_activation_", None) == "logistic"
    return getattr(net, "multilabel_", sees_each and net.coefs_[-1].shape[1] > 1)


def output_of_classifier(n_outputs: int) -> ClassOutput:
    """Output of a classifier of one class a row whose output layer has `n_outputs` neurons."""
    return LOGISTIC if n_outputs == LOGISTIC.width(2) else SOFTMAX


# -- one column, the logit of the second of two classes --------------------------------------


def _one(n_classes: int) -> int:
    return 1


def _logistic(logits: NDArray[Any]) -> NDArray[Any]:
    probabilities = np.empty((len(logits), 2), logits.dtype)
    positive = get_activation("logistic").apply(logits[:, 0].copy())
    probabilities[:, 1] = positive
    np.subtract(1, positive, out=probabilities[:, 0])
    return probabilities


def _log_logistic(logits: NDArray[Any]) -> NDArray[Any]:
    return log_expit(np.hstack([-logits, logits]))


def _positive(logits: NDArray[Any], classes: NDArray[Any]) -> NDArray[Any]:
    return classes[(logits[:, 0] > 0).astype(np.intp)]


def _onnx_logistic(graph: Graph, logits: str, result: str) -> None:
    positive = graph.add("Sigmoid", [logits])
    negative = graph.add("Sub", [graph.constant("one", np.ones(1, graph.dtype)), positive])
    graph.add("Concat", [negative, positive], result, axis=1)


def _onnx_above_zero(graph: Graph, logits: str, result: str | None = None) -> str:
    above = graph.add("Greater", [logits, graph.constant("zero", np.zeros(1, graph.dtype))])
    return graph.cast(above, np.dtype(np.int64), result)


def _onnx_positive(
    graph: Graph, logits: str, classes: NDArray[Any], result: str
) -> tuple[int, ...]:
    columns = [_onnx_above_zero(graph, logits), graph.constant("column", np.array([-1]))]
    index = graph.add("Reshape", columns)
    graph.add("Gather", [graph.constant("classes", classes), index], result)
    return ()


LOGISTIC = add_output(
    ClassOutput(
        name="logistic",
        width=_one,
        link=_logistic,
        onnx_link=_onnx_logistic,
        log_link=_log_logistic,
        predict=_positive,
        onnx_predict=_onnx_positive,
    )
)


# -- one column for each class ----------------------------------------------------------------


def _one_each(n_targets: int) -> int:
    return n_targets


def _softmax(logits: NDArray[Any]) -> NDArray[Any]:
    columns = _below_zero(logits)
    np.exp(columns, out=columns)
    columns /= columns.sum(axis=0)
    return np.ascontiguousarray(columns.T)


def _log_softmax(logits: NDArray[Any]) -> NDArray[Any]:
    columns = _below_zero(logits)
    columns -= np.log(np.exp(columns).sum(axis=0))
    return np.ascontiguousarray(columns.T)


def _below_zero(logits: NDArray[Any]) -> NDArray[Any]:
    """Logits less the largest of their row, a class a row: numpy is slow to reduce short rows."""
    columns = logits.T.copy()
    columns -= columns.max(axis=0)
    return columns


def _largest(logits: NDArray[Any], classes: NDArray[Any]) -> NDArray[Any]:
    return classes[logits.argmax(axis=1)]


def _onnx_softmax(graph: Graph, logits: str, result: str) -> None:
    graph.add("Softmax", [logits], result, axis=1)


def _onnx_largest(graph: Graph, logits: str, classes: NDArray[Any], result: str) -> tuple[int, ...]:
    index = graph.add("ArgMax", [logits], axis=1, keepdims=0)
    graph.add("Gather", [graph.constant("classes", classes), index], result)
    return ()


SOFTMAX = add_output(
    ClassOutput(
        name="softmax",
        width=_one_each,
        link=_softmax,
        onnx_link=_onnx_softmax,
        log_link=_log_softmax,
        predict=_largest,
        onnx_predict=_onnx_largest,
    )
)


# -- one column for each label, of which a row has any number ---------------------------------


def _each_logistic(logits: NDArray[Any]) -> NDArray[Any]:
    return get_activation("logistic").apply(logits.copy())


def _each_positive(logits: NDArray[Any], classes: NDArray[Any]) -> NDArray[Any]:
    return (logits > 0).astype(np.int64)


def _onnx_each_logistic(graph: Graph, logits: str, result: str) -> None:
    graph.add("Sigmoid", [logits], result)


def _onnx_each_positive(
    graph: Graph, logits: str, classes: NDArray[Any], result: str
) -> tuple[int, ...]:
    _onnx_above_zero(graph, logits, result)
    return (len(classes),)


MULTILABEL = add_output(
    ClassOutput(
        name="multilabel",
        width=_one_each,
        link=_each_logistic,
        onnx_link=_onnx_each_logistic,
        log_link=log_expit,
        predict=_each_positive,
        onnx_predict=_onnx_each_positive,
        activation="logistic",
    )
)


# -- numbers, one column for each target ------------------------------------------------------


def _same(logits: NDArray[Any]) -> NDArray[Any]:
    return logits


def _onnx_same(graph: Graph, logits: str, result: str) -> None:
    graph.add("Identity", [logits], result)


def _onnx_exp(graph: Graph, logits: str, result: str) -> None:
    graph.add("Exp", [logits], result)


def one_or_more(values: NDArray[Any]) -> NDArray[Any]:
    """Predictions of shape (n_samples,) where there is one column of them, else as they are."""
    return values[:, 0] if values.shape[1] == 1 else values


add_output(Output("identity", width=_one_each, link=_same, onnx_link=_onnx_same))
add_output(Output("exp", width=_one_each, link=np.exp, onnx_link=_onnx_exp))
