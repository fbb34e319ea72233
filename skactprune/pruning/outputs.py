"""What a layer's neurons put out together: which of them the others can stand in for."""

from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

# Part of the mean variance that is added to the variance of every neuron: few rows overstate how
# well neurons tell each other.
RIDGE = 0.1
# Neurons are eliminated one by one up to so many, then in groups.
MAX_STEPS = 256


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
    pre-activation does: it hands nothing on where it does not fire. Paths are taken as
    uncorrelated.

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


def elimination_costs(covariance, outgoing):
    """Cost of removing neurons one after the other, always the one that costs least.

    A neuron that leaves is replaced by the best linear function of those that stay, whose outgoing
    weights take it over. What it costs is the mean squared error that this leaves behind:
    ``1 / inv(covariance)[j, j]``, the part of its variance that the others do not tell, times the
    squared norm of its outgoing weights (Hassibi & Stork 1993, eq. 5, with the least-squares
    problem of the next layer for the loss).

    Parameters
    ----------
    covariance : ndarray of shape (n, n)
        Covariances of the outputs of the neurons.
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
    precision = np.linalg.inv(_regularized(covariance))
    outgoing = outgoing.T.astype(np.float64)
    left = np.arange(n)
    order, costs = [], []
    group = -(-n // MAX_STEPS)
    while len(left):
        cost = np.square(outgoing).sum(axis=1) / np.diag(precision)
        goes = np.argsort(cost, kind="stable")[:group]
        order.extend(left[goes])
        costs.extend(cost[goes])
        stays = np.ones(len(left), dtype=bool)
        stays[goes] = False
        crossed = precision[np.ix_(goes, stays)]
        told = np.linalg.solve(precision[np.ix_(goes, goes)], crossed)
        precision = precision[np.ix_(stays, stays)] - crossed.T @ told
        outgoing = outgoing[stays] - told.T @ outgoing[goes]
        left = left[stays]
    found = np.empty(n)
    # Later costs that are lower were not to be had before; equal ones keep their order.
    found[order] = np.maximum.accumulate(costs) * (1 + 1e-9 * np.arange(n) / n)
    return found


def take_over(moments, gone, outgoing):
    """Let the neurons that stay stand in for those that leave, as well as they can on average.

    Parameters
    ----------
    moments : Moments
        Of the outputs of all neurons.
    gone : bool ndarray of shape (n,)
        Those that leave.
    outgoing : ndarray of shape (n_next, n)
        Outgoing weights.

    Returns
    -------
    weights : ndarray of shape (n_next, n)
        New outgoing weights; those of the neurons that leave are 0.
    biases : ndarray of shape (n_next,)
        To be added to the biases of the next layer.
    """
    covariance, stays = _regularized(moments.covariance), ~gone
    told = np.linalg.solve(covariance[np.ix_(stays, stays)], covariance[np.ix_(stays, gone)])
    change = outgoing[:, gone] @ told.T
    weights = np.where(gone, 0.0, outgoing)
    weights[:, stays] += change
    return weights, outgoing[:, gone] @ moments.mean[gone] - change @ moments.mean[stays]


def _regularized(covariance):
    variance = np.trace(covariance) / max(len(covariance), 1)
    return covariance + (RIDGE * variance or 1.0) * np.eye(len(covariance))
