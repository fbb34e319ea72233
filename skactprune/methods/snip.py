"""SNIP: pruning before training (Lee, Ajanthan & Torr, ICLR 2019)."""

from numbers import Integral

import numpy as np

from skactprune.methods.base import ScoredMethod
from skactprune.pruning.method import register


@register("snip")
class SNIP(ScoredMethod):
    """Remove, before the first step, the weights whose presence matters least to the loss.

    Let every weight be multiplied by an m of 1: its score is abs(dL/dm), which is
    ``abs(w * dL/dw)`` (equation 6 of the paper, whose division by the sum of all scores does not
    change their order). L is the loss of a sample of the training rows, with their sample weights,
    in evaluation mode and without the L2 penalty. All of `prune_fraction` goes at once: the number
    of rounds and the trigger do not matter, unless there are no rounds. Where training goes on,
    nothing is pruned unless more is asked for than before; then the rest goes by the weights and
    rows of that moment.

    Parameters
    ----------
    n_rows : int or None, default=100
        Size of the sample, which is drawn at random, whatever the targets; all rows for None, or
        where there are fewer. The authors take one batch, which has 100 rows for MNIST.
    {granularity}
    {scope}

    Notes
    -----
    Scores of different layers differ in size. Where few weights are to be left, "global" may leave
    hardly any of a layer, above all with ``granularity="neuron"``, which the paper does not have.

    References
    ----------
    Lee, Ajanthan & Torr, "SNIP: Single-shot network pruning based on connection sensitivity",
    ICLR 2019.
    """

    when = "before training"
    schedule = "one_shot"
    regrow = False

    def __init__(self, n_rows=100, granularity="weight", scope="global"):
        self.n_rows = n_rows
        self.granularity = granularity
        self.scope = scope

    def validated(self):
        """Return self after checking the options; see `Method.validated`."""
        n_rows = self.n_rows
        whole = isinstance(n_rows, Integral) and not isinstance(n_rows, bool)
        if n_rows is not None and not (whole and n_rows >= 1):
            raise ValueError(
                f"n_rows={n_rows!r} of {type(self).__name__} must be None or an integer of at "
                "least 1."
            )
        return super().validated()

    def begin(self, run):
        """Prune, if anything is left to be pruned."""
        super().begin(run)
        if run.pending:
            with run.round(len(run.shares)) as share:
                self.round(run, share)

    def scores(self, run):
        """abs(w * dL/dw)."""
        # Not `run.rows.sample`: a loss needs targets, which unlabelled rows do not have.
        n_training = len(run.rows.training)
        n_rows = n_training if self.n_rows is None else min(self.n_rows, n_training)
        rows = run.random_state.choice(n_training, n_rows, replace=False)
        pairs = zip(run.weights(), run.gradients(rows), strict=False)
        return [np.abs(weight * gradient) for weight, gradient in pairs]
