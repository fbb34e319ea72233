"""What a recipe is, and the register of their names."""

from sklearn.base import BaseEstimator

from skactprune.pruning._lookup import look_up
from skactprune.pruning.criteria import get_criterion
from skactprune.pruning.schedules import cumulative_shares
from skactprune.pruning.selection import GRANULARITIES, SCOPES

_REGISTER = {}


def register(name):
    """Class decorator: make a `Method` known as ``method=name``.

    Parameters
    ----------
    name : str
        The name, not taken yet.

    Raises
    ------
    ValueError
        If another class has the name.
    """

    def add(cls):
        if _REGISTER.get(name, cls) is not cls:
            raise ValueError(f"name={name!r} is taken by {_REGISTER[name].__name__}.")
        _REGISTER[name] = cls
        return cls

    return add


def get_method(method):
    """Method of a name with its default options, or the `Method` itself.

    Parameters
    ----------
    method : str or Method
        A registered name or an object.

    Returns
    -------
    Method

    Raises
    ------
    ValueError
        For an unknown name; the message lists the known ones.
    TypeError
        For anything that is neither a string nor a `Method`.
    """
    found = look_up(method, _REGISTER, "method")
    if isinstance(method, str):
        return found()
    if not isinstance(found, Method):
        raise TypeError(f"method={method!r} must be a name or a Method, not {type(method)}.")
    return found


class Method(BaseEstimator):
    """A recipe: the parts that a `Pruner` puts together. Base class of all methods.

    Subclasses have the parameters that they let users choose. Those that are not a parameter keep
    the values below.

    Attributes
    ----------
    criterion : str or callable
        What is scored.
    granularity : {"neuron", "weight"}
        What leaves together.
    scope : {"layer", "global"}
        The same share of every layer, or the lowest scores of all layers.
    schedule : str or callable
        Share of `prune_fraction` that is gone after each round.
    regrow : bool
        Whether pruned weights, set to zero, may be learned again.
    reset_counts : bool
        Whether firing counts restart after each round.
    counting : {"training", "sample"}
        Count in training's own forward passes, or on `sample_size` rows after each epoch.
    sample_size : int
        Rows for ``counting="sample"``, and for covariances of outputs.
    refit : bool
        Whether the neurons of a layer that stay take over from those that leave, by ridge
        regression for the weights of the next layer. Needs a criterion that sees the outputs.
    whole_net : bool
        Whether `prune_fraction` is taken of all weights of the net and counts only the weights
        that were ranked out, not those of neurons that died of it.
    """

    criterion = "activation"
    granularity = "neuron"
    scope = "layer"
    schedule = "geometric"
    regrow = False
    reset_counts = False
    counting = "training"
    sample_size = 32
    refit = False
    whole_net = False

    @property
    def counts(self):
        """Whether activations must be counted."""
        return get_criterion(self.criterion).counts

    @property
    def inputs(self):
        """Whether layers must know how much their inputs vary."""
        return get_criterion(self.criterion).inputs

    @property
    def outputs(self):
        """Whether layers must know the covariances of their outputs and their outgoing weights."""
        return get_criterion(self.criterion).outputs

    def score(self, layer):
        """Scores of the weights of a layer; see `skactprune.pruning.criteria`."""
        return get_criterion(self.criterion)(layer)

    def validated(self):
        """Return self after checking the options.

        Raises
        ------
        ValueError
            Naming the option, its value and what is allowed.
        """
        get_criterion(self.criterion)
        cumulative_shares(self.schedule, 1)
        for name, allowed in (
            ("granularity", GRANULARITIES),
            ("scope", SCOPES),
            ("counting", ("training", "sample")),
            ("regrow", (True, False)),
            ("reset_counts", (True, False)),
            ("refit", (True, False)),
        ):
            value = getattr(self, name)
            if value not in allowed:
                raise ValueError(
                    f"{name}={value!r} of {type(self).__name__} must be one of {list(allowed)}."
                )
        if self.refit and not self.outputs:
            raise ValueError(
                f"refit=True of {type(self).__name__} needs a criterion that is registered as "
                "seeing the outputs."
            )
        return self


class ScorePruning(Method):
    """Pruning in rounds by any criterion.

    Parameters
    ----------
    criterion : str or callable, default="activation"
        A name, or a function of a `skactprune.pruning.criteria.LayerState` that returns scores
        of shape (n_out, n_in), or (n_out, 1) for scores of neurons. Low scores go first. Those of
        weights that are left must be finite.
    granularity : {"neuron", "weight"}, default="neuron"
        What leaves together. The score of a neuron is the mean over its incoming weights.
    scope : {"layer", "global"}, default="layer"
        The same share of every layer, or the lowest scores of all layers.
    schedule : {"geometric", "cubic", "linear", "one_shot"} or callable, default="geometric"
        Share of `prune_fraction` that is gone after each round.
    regrow : bool, default=False
        Whether pruned weights, set to zero, may be learned again.
    reset_counts : bool, default=False
        Whether firing counts restart after each round.
    """

    def __init__(
        self,
        criterion="activation",
        granularity="neuron",
        scope="layer",
        schedule="geometric",
        regrow=False,
        reset_counts=False,
    ):
        self.criterion = criterion
        self.granularity = granularity
        self.scope = scope
        self.schedule = schedule
        self.regrow = regrow
        self.reset_counts = reset_counts
