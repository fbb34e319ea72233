"""What a layer's neurons put out together: which of them the others can stand in for."""

from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

# Part of the mean variance that is added to the variance of every neuron: few rows overstate how
# well neurons tell each other.
RIDGE = 0.1
# Neurons of a layer are eliminated one by one up to so many. Of more, groups leave, each one by one
# from so many times as many candidates, before all costs are taken anew.
MAX_STEPS, CANDIDATES = 256, 4


# A net that has diverged gives infinities here without a warning: its scores are refused later.


@dataclass(frozen=True)
class Moments:
    """Moments of the outputs of a hidden layer over rows.

    Attributes
    ----------
    mean : ndarray of shape (n_out,)
        Mean output of every neuron.
    covariance : ndarray of shape (n_out, n_out)
        Covariances of the outputs, in float64.
    """

    mean: np.ndarray
    covariance: np.ndarray


def output_moments(net, layers, dataset, batches):
    """Moments of the outputs of hidden layers, in evaluation mode.

    Parameters
    ----------
    net : skorch.NeuralNet
        Its module calls `layers` in a chain.
    layers : list of torch.nn.Linear
        Hidden layers and output layer.
    dataset : Dataset
        Takes an array of indices; those of a `TrainingData` count with their weights.
    batches : list of int ndarray of shape (batch_size,)
        Which rows, in the batches of the forward passes.

    Returns
    -------
    list of Moments
        One for every hidden layer.
    """
    weight = getattr(dataset, "sample_weight", None)
    if weight is not None:
        weight = np.asarray(weight, dtype=np.float64)[np.concatenate(batches)]
        weight = weight if weight.any() else None
    with _inputs(layers[1:]) as inputs, torch.no_grad():
        net.module_.eval()
        for rows in batches:
            net.infer(dataset[rows][0])
    return [_moments(torch.cat(h).cpu().double().numpy(), weight) for h in inputs]


@np.errstate(over="ignore", invalid="ignore")
def _moments(h, weight):
    mean = np.average(h, axis=0, weights=weight)
    centered = h - mean
    weighted = centered if weight is None else centered * weight[:, None]
    n_rows = len(h) if weight is None else weight.sum()
    return Moments(mean, centered.T @ weighted / n_rows)


@contextmanager
def _inputs(layers):
    """What each layer gets in forward passes, a list of tensors a layer that grows."""
    got = [[] for _ in layers]
    handles = [
        layer.register_forward_pre_hook(lambda _, args, taken=taken: taken.append(args[0]))
        for layer, taken in zip(layers, got, strict=True)
    ]
    try:
        yield got
    finally:
        for handle in handles:
            handle.remove()


@np.errstate(over="ignore", invalid="ignore")
def outgoing_weights(weights, rates):
    """Weights out of the neurons of every hidden layer, each times the gain of where it goes.

    The gain of a neuron is the root mean square of how much the logits change, over rows, when its
    pre-activation does, as it is with ReLU: it hands on all where it fires and nothing where it
    does not. Paths are taken as uncorrelated.

    Parameters
    ----------
    weights : list of ndarray of shape (n_out, n_in)
        Weights of the hidden layers and the output layer.
    rates : list of ndarray of shape (n_out,)
        Firing rates of the hidden layers.

    Returns
    -------
    list of ndarray of shape (n_next, n_out)
        One for every hidden layer, in float64; the squared norm of a column is the mean squared
        gain of the output of a neuron.
    """
    gain = np.ones(len(weights[-1]))
    found = []
    for weight, rate in zip(reversed(weights[1:]), reversed(rates), strict=True):
        found.append(gain[:, None] * weight.astype(np.float64))
        gain = np.sqrt(rate * np.square(found[-1]).sum(axis=0))
    return found[::-1]


@np.errstate(over="ignore", invalid="ignore")
def elimination_costs(covariance, outgoing):
    """Cost of removing neurons one after the other, always the one that costs least.

    A neuron that leaves is replaced by a linear function of those that stay, whose outgoing weights
    take it over. Its cost is what ridge regression leaves of its variance, the penalty included:
    ``1 / inv(C + λ I)[j, j] - λ``, times the squared norm of its outgoing weights (Hassibi & Stork
    1992, eq. 5, with the least-squares problem of the next layer for the loss). λ is `RIDGE` times
    the mean variance.

    Parameters
    ----------
    covariance : ndarray of shape (n, n)
        Covariances C of the outputs of the neurons.
    outgoing : ndarray of shape (n_next, n)
        Their outgoing weights.

    Returns
    -------
    ndarray of shape (n,)
        Costs that rise in the order in which neurons leave; NaN where anything is not finite.
    """
    n = len(covariance)
    if not (np.isfinite(covariance).all() and np.isfinite(outgoing).all()):
        return np.full(n, np.nan)
    ridge = _ridge(covariance)
    precision = np.linalg.inv(covariance + ridge * np.eye(n))
    outgoing = outgoing.T.astype(np.float64)
    left = np.arange(n)
    order, costs = [], []
    group = -(-n // MAX_STEPS)
    while len(left):
        cost = _costs(precision, outgoing, ridge)
        if group == 1:
            goes = np.array([cost.argmin()])
            costs.extend(cost[goes])
        else:
            cheap = np.argsort(cost, kind="stable")[: CANDIDATES * group]
            steps, step_costs = _one_by_one(
                precision[np.ix_(cheap, cheap)], outgoing[cheap], ridge, min(group, len(cheap))
            )
            goes = cheap[steps]
            costs.extend(step_costs)
        order.extend(left[goes])
        stays = np.ones(len(left), dtype=bool)
        stays[goes] = False
        crossed = precision[np.ix_(goes, stays)]
        told = np.linalg.solve(precision[np.ix_(goes, goes)], crossed)
        precision = precision[np.ix_(stays, stays)] - crossed.T @ told
        outgoing = outgoing[stays] - told.T @ outgoing[goes]
        left = left[stays]
    found = np.empty(n)
    # Later costs that are lower were not to be had before. Equal ones keep the order, but for
    # those of 0, which are as good as each other.
    found[order] = np.maximum.accumulate(costs) * (1 + 1e-9 * np.arange(n) / n)
    return found


def _costs(precision, outgoing, ridge):
    """Cost of each neuron if it is the next to leave."""
    # Rounding may take a little more than there is.
    told_not = np.maximum(1 / np.diag(precision) - ridge, 0)
    return np.square(outgoing).sum(axis=1) * told_not


def _one_by_one(precision, outgoing, ridge, n):
    """Which `n` of some neurons leave first, and the costs, all others of the layer staying."""
    left, order, costs = np.arange(len(precision)), [], []
    for _ in range(n):
        cost = _costs(precision, outgoing, ridge)
        j = int(cost.argmin())
        order.append(left[j])
        costs.append(cost[j])
        told = precision[j] / precision[j, j]
        outgoing = np.delete(outgoing - np.outer(told, outgoing[j]), j, axis=0)
        precision = np.delete(precision - np.outer(told, precision[j]), j, axis=0)
        precision, left = np.delete(precision, j, axis=1), np.delete(left, j)
    return order, costs


def take_over(moments, gone, outgoing, mask=None):
    """Let the neurons that stay stand in for those that leave, as well as they can on average.

    Parameters
    ----------
    moments : Moments
        Of the outputs of all neurons.
    gone : bool ndarray of shape (n,)
        Those that leave.
    outgoing : ndarray of shape (n_next, n)
        Outgoing weights.
    mask : bool ndarray of shape (n_next, n), default=None
        Outgoing weights that may change; None lets all of them.

    Returns
    -------
    weights : ndarray of shape (n_next, n)
        New outgoing weights by ridge regression; those of the neurons that leave are 0.
    biases : ndarray of shape (n_next,)
        To be added to the biases of the next layer, so that its mean stays.
    """
    stays = ~gone
    covariance = moments.covariance + _ridge(moments.covariance) * np.eye(len(gone))
    told = np.linalg.solve(covariance[np.ix_(stays, stays)], covariance[np.ix_(stays, gone)])
    change = outgoing[:, gone] @ told.T
    if mask is not None:
        change = change * mask[:, stays]
    weights = np.where(gone, 0.0, outgoing)
    weights[:, stays] += change
    return weights, outgoing[:, gone] @ moments.mean[gone] - change @ moments.mean[stays]


def _ridge(covariance):
    variance = np.trace(covariance) / max(len(covariance), 1)
    return RIDGE * variance or 1.0
