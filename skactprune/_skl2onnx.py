"""Fitted models of this package within what skl2onnx converts."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline

from skactprune import deploy, estimators
from skactprune.deploy.onnx import Graph
from skactprune.deploy.scalers import flat_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# What holds the steps of which skl2onnx makes parts of a graph, and up to which of them
# scikit-learn calls `transform`.
TRANSFORMING_STEPS = {
    Pipeline: ("steps", -1),
    FeatureUnion: ("transformer_list", None),
    ColumnTransformer: ("transformers_", None),
}


def register_onnx_converters() -> None:
    """Let skl2onnx convert the estimators and compact models of this package.

    From then on ``skl2onnx.to_onnx`` and ``skl2onnx.convert_sklearn`` know them wherever they stand
    in a pipeline, a ColumnTransformer or an ensemble. Outputs are those of `to_onnx`, and of
    classifiers what the option ``zipmap`` of skl2onnx makes of them: True, False or "columns". A
    net is computed in the type of its weights; its outputs have the type of its input, float32
    where that is of integers. A net whose `transform` a pipeline, FeatureUnion or ColumnTransformer
    calls is converted as that; of one at the end convert ``compact(model, output="transform")``.

    Raises
    ------
    ImportError
        If the package skl2onnx is missing.

    See Also
    --------
    to_onnx : Convert nets, alone or with scalers in front, without skl2onnx.

    Notes
    -----
    What is in front of a net is computed as skl2onnx does, in the types that it is told.

    Examples
    --------
    >>> import skl2onnx
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import RobustScaler
    >>> from skactprune import PrunedMLPClassifier, register_onnx_converters
    >>> X, y = load_iris(return_X_y=True)
    >>> net = PrunedMLPClassifier(max_iter=40, tol=0.1, random_state=0)
    >>> model = make_pipeline(RobustScaler(), net).fit(X, y)
    >>> register_onnx_converters()
    >>> proto = skl2onnx.to_onnx(model, X[:1], options={"zipmap": False})
    >>> [output.name for output in proto.graph.output]
    ['label', 'probabilities']
    """
    try:
        import skl2onnx
        from skl2onnx._parse import sklearn_parsers_map
    except ImportError as error:
        raise ImportError(
            "register_onnx_converters needs the package skl2onnx: pip install 'skactprune[onnx]'"
        ) from error
    for cls in _convertible():
        # With these options skl2onnx has a parser for classifiers; it knows labels, not indices.
        how: dict[str, Any] = {"options": {"zipmap": [True, False, "columns"], "nocl": [False]}}
        if not issubclass(cls, ClassifierMixin):
            how = {"parser": _parse}
        alias = f"Skactprune{cls.__name__}"
        skl2onnx.update_registered_converter(cls, alias, _set_types, _convert, **how)
    for cls, where in TRANSFORMING_STEPS.items():
        parser = sklearn_parsers_map[cls]
        if not isinstance(parser, _StepsAsTransformers):
            skl2onnx.update_registered_parser(cls, _StepsAsTransformers(parser, *where))


def _convertible() -> Iterator[type[BaseEstimator]]:
    """Classes of this package that become part of a graph."""
    for home in (deploy, estimators):
        for value in map(home.__dict__.get, home.__all__):
            if isinstance(value, type) and issubclass(value, BaseEstimator):
                yield value


class _StepsAsTransformers:
    """Parser for which our nets, where `transform` is called, are transformers.

    Else skl2onnx would hand on what they predict.
    """

    def __init__(self, parser: Callable[..., Any], attribute: str, end: int | None) -> None:
        self.parser, self.attribute, self.end = parser, attribute, end

    def __call__(
        self,
        scope: Any,
        model: Any,
        inputs: list[Any],
        custom_parsers: dict[Any, Any] | None = None,
    ) -> Any:
        steps = getattr(model, self.attribute)
        known = [
            (name, _transforming(step), *columns) for name, step, *columns in steps[: self.end]
        ]
        if any(new[1] is not old[1] for new, old in zip(known, steps, strict=False)):
            model = copy(model)
            setattr(model, self.attribute, known + steps[len(known) :])
        return self.parser(scope, model, inputs, custom_parsers=custom_parsers)


def _transforming(step: Any) -> Any:
    """A step that is, or ends in, one of our nets, as what transforms alone; others as they are."""
    found = getattr(step, "best_estimator_", step)
    flat = [flat for _, flat in flat_steps([("", found)])]
    is_ours = bool(flat) and hasattr(flat[-1], "compact")
    return deploy.compact(found, output="transform") if is_ours else step


def _graph(operator: Any) -> Graph:
    """Nodes of the model of an operator, whose inputs are called input_0, input_1 ..."""
    import onnx

    model = operator.raw_operator.compact()
    graph = Graph(onnx, model.weights_.dtype)
    columns = [graph.cast(f"input_{i}", graph.dtype) for i in range(len(operator.inputs))]
    rows = columns[0] if len(columns) == 1 else graph.add("Concat", columns, axis=1)
    model.add_to_onnx(graph, rows)
    return graph


def _parse(scope: Any, model: Any, inputs: list[Any], custom_parsers: Any = None) -> list[Any]:
    """Variables for the outputs of what is no classifier."""
    import skl2onnx
    from skl2onnx.common.data_types import guess_tensor_type

    operator = scope.declare_local_operator(skl2onnx.get_model_alias(type(model)), model)
    operator.inputs = inputs
    for name, *_ in _graph(operator).outputs:
        kind = guess_tensor_type(inputs[0].type)
        operator.outputs.append(scope.declare_local_variable(name, kind))
    return operator.outputs


def _set_types(operator: Any) -> None:
    from skl2onnx.common import data_types as types
    from skl2onnx.common.utils import check_input_and_output_types

    graph, inputs, model = _graph(operator), operator.inputs, operator.raw_operator
    numbers = [types.FloatTensorType, types.DoubleTensorType]
    numbers += [types.Int64TensorType, types.BooleanTensorType]
    check_input_and_output_types(operator, good_input_types=numbers)
    widths = [variable.get_second_dimension() for variable in inputs]
    if None not in widths and sum(widths) != model.n_features_in_:
        raise ValueError(
            f"{type(model).__name__} expects {model.n_features_in_} features, but what stands "
            f"before it has {sum(widths)} columns in ONNX."
        )
    of_numbers = type(types.guess_tensor_type(inputs[0].type))
    others = {"i": types.Int64TensorType, "O": types.StringTensorType}
    for variable, (_, dtype, shape) in zip(operator.outputs, graph.outputs, strict=True):
        kind = others.get(dtype.kind, of_numbers)
        variable.set_type(kind([inputs[0].get_first_dimension(), *shape]))


def _convert(scope: Any, operator: Any, container: Any) -> None:
    graph = _graph(operator)
    helper = graph.onnx.helper
    names = {f"input_{i}": variable.full_name for i, variable in enumerate(operator.inputs)}

    def named(name: str) -> str:
        if name not in names:
            names[name] = scope.get_unique_variable_name(name)
        return names[name]

    def add(kind: str, inputs: Iterable[str], outputs: list[str], **attributes: Any) -> None:
        name = scope.get_unique_operator_name(kind)
        container.add_node(kind, [*map(named, inputs)], outputs, name=name, **attributes)

    for tensor in graph.constants:
        tensor.name = named(tensor.name)
        container.initializers.append(tensor)
    for node in graph.nodes:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        add(node.op_type, node.input, [*map(named, node.output)], **attributes)
    for (name, dtype, _), variable in zip(graph.outputs, operator.outputs, strict=True):
        if dtype.kind == "f":
            kind = variable.type.to_onnx_type().tensor_type.elem_type
            add("Cast", [name], [variable.full_name], to=kind)
        else:
            add("Identity", [name], [variable.full_name])
