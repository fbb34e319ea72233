"""What a training run is to do: parameters that were checked, a method, a trigger and a run."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from sklearn.utils._param_validation import Interval, validate_parameter_constraints
from torch import nn

from skactprune._warnings import warn
from skactprune.nets.batches import batch_weight
from skactprune.nets.net import LeanLoop
from skactprune.pruning import surgery
from skactprune.pruning.choice import found_zeros, is_chain, layout_of
from skactprune.pruning.method import get_method
from skactprune.pruning.requirements import check_not_compiled
from skactprune.pruning.run import Run
from skactprune.pruning.schedules import cumulative_shares
from skactprune.pruning.triggers import MOST_ROUNDS, get_trigger

if TYPE_CHECKING:
    from collections.abc import Callable

    from skorch import NeuralNet

    from skactprune.nets.accuracy import RunningAccuracy, RunningR2
    from skactprune.nets.tally import Tally
    from skactprune.pruning.method import Method
    from skactprune.pruning.passes import Trace

CONSTRAINTS = {
    "prune_fraction": [Interval(Real, 0, 1, closed="left"), None],
    "prune_features": [Interval(Real, 0, 1, closed="left")],
    "prune_output": [Interval(Real, 0, 1, closed="left")],
    "n_prune_rounds": [Interval(Integral, 0, MOST_ROUNDS, closed="both")],
    "min_neurons": ["array-like", Interval(Integral, 1, None, closed="left")],
    "random_state": ["random_state"],
    "ignored_layers": [list, tuple, str, nn.Module, None],
    "layer_fractions": [dict, None],
    "cut": ["boolean"],
    "sample_weight": [callable, None],
}


def planned(
    net: NeuralNet,
    params: dict[str, Any],
    state: dict[str, Any] | None = None,
    trace: Trace | None = None,
) -> tuple[Method, Any, Run]:
    """Method, trigger and run for a net.

    Parameters
    ----------
    net : skorch.NeuralNet
        Initialized net.
    params : dict
        Parameters of a `Pruner`.
    state : dict, default=None
        What `Pruner.state` gave; training goes on from there, with these parameters.
    trace : Trace, default=None
        What the module does with a batch, where that is known.

    Returns
    -------
    method : Method
        A copy that may note things.
    trigger : EpochTrigger, ScoreTrigger or object
        When.
    run : Run
        Where it stands.

    Raises
    ------
    ValueError
        For parameters outside their range, and what cannot be done with this net.
    """
    validate_parameter_constraints(CONSTRAINTS, params, "Pruner")
    check_not_compiled(net.module_)
    method = get_method(params["method"])
    # A method notes things in training, and a parameter must not change in fit.
    method = type(method)(**method.get_params(deep=False)).validated()
    trigger = get_trigger(params["trigger"])
    # Numbers of numpy may be too small for what is computed from them.
    fraction, fractions = params["prune_fraction"], params["layer_fractions"]
    check_one_measure(method, params)
    fraction = None if fraction is None else float(fraction)
    features, output = float(params["prune_features"]), float(params["prune_output"])
    check_knows_ends(net.module_, prune_features=features, prune_output=output)
    n_rounds = int(params["n_prune_rounds"])
    layout = layout_of(net.module_, trace, params["ignored_layers"], fractions)
    wanted = fraction != 0 or features or output or any((fractions or {}).values())
    shares = cumulative_shares(method.schedule, n_rounds if wanted else 0)
    run = Run(net, repr(params["method"]), params["random_state"], layout)
    if state is not None:
        run.load(state["run"])
        if not method.keeps_factors:
            _forget_factors(run)
    elif not is_chain(net.module_):
        _take_zeros(run)
    target, features, output = (fraction, features, output) if shares else (0.0, 0.0, 0.0)
    run.ask(target, shares, params["min_neurons"], method.own_threshold, features, output)
    if shares:
        method.plan(run)
    if run.features or run.dropped.any():
        method.plan_features(run)
    if run.output:
        method.plan_output(run)
    return method, trigger, run


def _forget_factors(run: Run) -> None:
    """Count weights that were factored as they are: training is to make others of them."""
    if any(run.masks.sizes):
        run.masks = run.masks.replaced(run.masks.current)
        run.fraction_done = run.masks.sparsity


def _take_zeros(run: Run) -> None:
    """Take what is zero in the layers for pruned, and warn of it."""
    state = surgery.what_was_cut(run.net.module_, run.layout.names)
    if state is not None:
        run.masks = run.masks.load(state)
        run.layout = run.layout.of_shapes(run.masks.shapes)
    masks = found_zeros(run.net.module_, run.layout)
    run.masks = run.masks.replaced(
        [found & mask for found, mask in zip(masks, run.masks.current, strict=True)]
    )
    if not run.masks.sparsity:
        return
    run.fraction_done = run.masks.sparsity
    named = zip(run.layout.names, run.masks.full(), strict=True)
    warn(
        "Pruner takes weights that are zero when training starts for pruned before, as those "
        "that were cut out, and keeps them at zero: "
        f"{', '.join(repr(name) for name, mask in named if not mask.all())}; the sparsity is "
        f"{run.masks.sparsity:.3f}. Where they are to be trained, leave their layers out with "
        "ignored_layers or give them small values."
    )


def check_knows_ends(module: nn.Module, **shares: float) -> None:
    """Raise ValueError where features or weights of outputs are to leave an unknown module."""
    for name, share in shares.items():
        if share and not is_chain(module):
            raise ValueError(
                f"{name}={share!r} must be 0 for {type(module).__name__}: only of the nets of this "
                "package's estimators it is known what reads the features, and what gives the "
                "outputs."
            )


def check_one_measure(method: Method, params: dict[str, Any]) -> None:
    """Raise ValueError unless either a fraction or the method's own threshold says how much goes.

    Parameters
    ----------
    method : Method
        The method.
    params : dict
        Parameters of a `Pruner`. ``prune_fraction=0`` is for any method: nothing is pruned.
    """
    fraction, own, label = params["prune_fraction"], method.own_threshold, params["method"]
    if fraction is None and own is None:
        raise ValueError(
            f"prune_fraction=None needs a method that has a threshold of its own set; "
            f"method={label!r} has none, so that prune_fraction must be a number in [0, 1)."
        )
    if own is None or fraction == 0:
        return
    if fraction is not None:
        raise ValueError(
            f"{own} of method={label!r} decides how much is pruned, so that "
            f"prune_fraction={fraction!r} must be None (or 0, which prunes nothing)."
        )
    if params["layer_fractions"]:
        raise ValueError(
            f"{own} of method={label!r} decides how much is pruned, so that "
            f"layer_fractions={params['layer_fractions']!r} must be None."
        )


def hook_matters(
    hook: str,
    method: Method,
    run: Run,
    score: RunningAccuracy | RunningR2 | None,
    tallies: list[Tally] | None,
) -> bool:
    """Whether there is anything to be done in a hook of skorch in the coming epoch.

    Parameters
    ----------
    hook : str
        Its name.
    method : Method
        Acts in some of them.
    run : Run
        Watches in some.
    score : RunningAccuracy, RunningR2 or None
        Score of training, where it is taken.
    tallies : list of Tally or None
        From `step_tallies`.

    Returns
    -------
    bool
    """
    if hook == "on_grad_computed":
        return bool(run.shares) and method.acts_on("on_gradient")
    watches = run.watches and tallies is None
    if hook == "on_batch_begin":
        return watches
    if hook == "on_batch_end":
        return watches or score is not None or method.acts_on("on_step")
    return True


def step_tallies(
    method: Method,
    run: Run,
    score: RunningAccuracy | RunningR2 | None,
    sample_weight: Callable[..., Any] | None,
) -> list[Tally] | None:
    """Tallies that a net's own steps add to, where nothing else is to be done for a batch.

    Parameters
    ----------
    method, run, score
        As for `hook_matters`.
    sample_weight : callable or None
        What gives the weights of a batch.

    Returns
    -------
    list of skactprune.nets.tally.Tally or None
    """
    acts = method.acts_on("on_step") or method.acts_on("on_gradient")
    if acts or score is not None or sample_weight not in (None, batch_weight):
        return None
    return run.tallies() if isinstance(run.net, LeanLoop) else None


def unlabeled_rows(net: NeuralNet, unlabeled: Any) -> Any:
    """Rows without labels as a dataset, or None.

    Parameters
    ----------
    net : skorch.NeuralNet
        Net that makes datasets.
    unlabeled : array, tensor, Dataset or None
        The rows.

    Returns
    -------
    Dataset or None

    Raises
    ------
    ValueError
        If there is none.
    """
    if unlabeled is None:
        return None
    try:
        dataset = net.get_dataset(unlabeled)
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"unlabeled must be rows as the net takes them, or a Dataset, not "
            f"{type(unlabeled).__name__}: {error}"
        ) from error
    if not len(dataset):
        raise ValueError("unlabeled has no rows; it must have at least one, or be None.")
    return dataset
