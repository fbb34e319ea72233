"""What a method of pruning is to the run that it acts on."""

from __future__ import annotations

from functools import partial
from pickle import loads
from typing import TYPE_CHECKING, Literal, NoReturn, Self, TypeVar

import cloudpickle
from sklearn.base import BaseEstimator

from skactprune._constructors import NamedConstructor
from skactprune._html import LinksToDocs
from skactprune._register import Register, TakesNames
from skactprune.pruning.schedules import SCHEDULES

if TYPE_CHECKING:
    from collections.abc import Callable

    from skactprune.pruning.run import Run

    T = TypeVar("T")

METHODS = Register("method", home="skactprune.methods")
# Moments at which a method may prune.
WHEN = ("before training", "while training", "in rounds", "after training")


class Method(TakesNames, NamedConstructor, LinksToDocs, BaseEstimator):
    """A way of pruning; base class of all methods. Every hook does nothing unless overridden.

    A method is an object like scikit-learn's: its parameters are those of ``__init__`` and are not
    changed, and what it notes in training has a name that ends in an underscore. It acts on a
    `skactprune.pruning.run.Run`. Each training works on a new object with the same parameters, so
    that what must outlive it, in pickles for instance, belongs into a probe; see
    `skactprune.pruning.probes.base.Probe`.

    Attributes
    ----------
    schedule : str or callable
        Share of what is asked for that is gone after each round; see `skactprune.schedules`.
    when : {"before training", "while training", "in rounds", "after training"}
        The moment at which it prunes, for `skactprune.methods.available`.
    keeps_factors : bool
        Whether weights that an earlier fit has factored stay a product while it trains.
    """

    registers = {"schedule": SCHEDULES}
    schedule: str | Callable[[int, int], float] = "geometric"
    when = "in rounds"
    keeps_factors = False

    @property
    def removes(self) -> str:
        """What leaves together, in the plural; a method without granularity may say it itself."""
        granularity = getattr(self, "granularity", "weight")
        return "neurons" if granularity == "auto" else f"{granularity}s"

    @property
    def own_threshold(self) -> str | None:
        """What decides how much goes in place of `prune_fraction`, which must be None then.

        Returns
        -------
        str or None
            Option and value, "quality=1.0" for instance, as messages name it; None where no
            threshold of the method's own is set, so that a fraction must be given.
        """
        return None

    def validated(self) -> Self:
        """Return self after checking the parameters.

        Raises
        ------
        ValueError
            Naming the parameter, its value and what is allowed.
        """
        return self

    def schedule_to(self, target: float | None) -> str | Callable[[int, int], float]:
        """Schedule of the rounds that are to reach a target.

        Parameters
        ----------
        target : float or None
            Share of the hidden weights that is to be gone in the end; None where a threshold of the
            method's own decides.

        Returns
        -------
        str or callable
        """
        return self.schedule

    def acts_on(self, hook: Literal["on_gradient", "on_step"]) -> bool:
        """Whether a hook does anything in the coming epoch.

        Parameters
        ----------
        hook : {"on_gradient", "on_step"}
            Its name.

        Returns
        -------
        bool
        """
        return getattr(type(self), hook) is not getattr(Method, hook)

    def plan(self, run: Run) -> None:
        """Raise ValueError where the net cannot be pruned as far as ``run.target`` asks."""

    def plan_features(self, run: Run) -> None:
        """Raise ValueError where features cannot be removed as far as ``run.features`` asks."""
        if run.features:
            run.refuse_features("removes no features")

    def plan_output(self, run: Run) -> None:
        """Raise ValueError where single weights of the output layer cannot leave for good."""

    def begin(self, run: Run) -> None:
        """Act before the first step, whenever training starts or goes on.

        What the method needs it watches here. Pruning before training belongs here, too.
        """

    def on_gradient(self, run: Run) -> None:
        """Act after the backward pass of a batch, before the optimizer's step."""

    def on_step(self, run: Run) -> None:
        """Act after the optimizer's step; masked weights are set to zero afterwards."""

    def on_epoch(self, run: Run) -> None:
        """Act at the end of an epoch, before a round that may follow."""

    def round(self, run: Run, share: float) -> None:
        """Prune.

        Parameters
        ----------
        run : Run
            The run.
        share : float
            Share of ``run.target`` that is to be gone afterwards, in [0, 1]; where that is None,
            share of what the method's own threshold asks for.
        """

    def end(self, run: Run) -> None:
        """Act when training has ended; see ``run.goes_on``."""


def get_method(method: str | Method) -> Method:
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
    found = METHODS.make(method)
    if not isinstance(found, Method):
        raise TypeError(f"method={method!r} must be a name or a Method, not {type(method)}.")
    return found


def register(name: str) -> Callable[[T], T]:
    """Class decorator: make a `Method` known as ``method=name``.

    Parameters
    ----------
    name : str
        The name, not taken yet.

    Raises
    ------
    TypeError
        If `name` is no string, or what is decorated no class of a `Method`.
    ValueError
        If another class has the name.
    """
    if not isinstance(name, str):
        raise TypeError(f"name={name!r} must be a string.")

    def add(cls: T) -> T:
        if not (isinstance(cls, type) and issubclass(cls, Method)):
            raise TypeError(f"method={name!r} must be a class derived from Method, not {cls!r}.")
        return METHODS.add(name)(cls)

    return add


def outside_methods() -> dict[str, bytes | str]:
    """Classes that were registered outside of this package, for other processes.

    Returns
    -------
    dict of str to bytes or str
        Pickles of the classes, by value where another process could not import them; of those
        that cannot be pickled, why.
    """
    found = {}
    for name in METHODS:
        try:
            cls = METHODS.look_up(name)
            if not cls.__module__.startswith("skactprune."):
                found[name] = cloudpickle.dumps(cls)
        except Exception as error:
            # Most estimators have another method, and are none the worse for it.
            found[name] = f"{type(error).__name__}: {error}"
    return found


def know_methods(outside: dict[str, bytes | str]) -> None:
    """Make names known that another process knew; classes are read when they are asked for.

    Parameters
    ----------
    outside : dict of str to bytes or str
        From `outside_methods`.
    """
    for name, told in outside.items():
        make = partial(_refuse, name, told) if isinstance(told, str) else partial(loads, told)
        METHODS.defer(name, make)


def _refuse(name: str, why: str) -> NoReturn:
    raise ValueError(
        f"method={name!r} was registered in another process, and could not be pickled there: "
        f"{why}. Put its class into a module that both import."
    )
