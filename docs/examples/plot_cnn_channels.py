"""
==============================================
Channels of a convolutional net
==============================================

:class:`skactprune.Pruner` is a skorch callback: it prunes any module while it trains, by the same
methods. In a convolution a channel is what a neuron is in a linear layer; it fires wherever in the
picture its pre-activation is positive. Channels that do nothing any more leave an
``nn.Sequential`` when the fit is over, and with them the work that they were.
"""

import numpy as np
import torch
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from skorch import NeuralNetClassifier
from torch import nn

from skactprune import Pruner
from skactprune.methods import FiringDeviation

# %%
# A small net
# -----------
# Two convolutions, and a linear layer on what the second puts out.

X, y = load_digits(return_X_y=True)
X = (X / 16).reshape(-1, 1, 8, 8).astype(np.float32)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)


def trained(*callbacks):
    """Net after a fit, from the same initial weights each time."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 16, 10),
    )
    net = NeuralNetClassifier(
        module,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=0.005,
        max_epochs=15,
        batch_size=64,
        verbose=0,
        callbacks=list(callbacks),
    )
    return net.fit(X_train, y_train)


pruner = Pruner(FiringDeviation(granularity="neuron"), prune_fraction=0.8, random_state=0)
nets = {"dense": trained(), "pruned": trained(("pruner", pruner))}
for row in pruner.history_:
    print(f"round {row['round']}, epoch {row['epoch']}: channels left {row['live_neurons']}")

# %%
# What is left
# ------------


def size(net):
    """Parameters of a net."""
    return sum(parameter.numel() for parameter in net.module_.parameters())


for name, net in nets.items():
    convolutions = [layer for layer in net.module_ if isinstance(layer, nn.Conv2d)]
    print(
        f"{name}: channels {[layer.out_channels for layer in convolutions]}, "
        f"{size(net)} parameters, test accuracy {100 * net.score(X_test, y_test):.1f} %"
    )

# %%
# What channels see
# -----------------
# What the first layer puts out for four test rows: in the dense net the channels that the pruned
# one has kept, and as many of the others, and what the pruned net has made of its own. Besides
# these it may have one that is the same everywhere: next to padded zeros, no bias can stand for the
# constants of channels that have left, and one stays in place of all.

mask = pruner.masks_.full()[0]
kept = np.flatnonzero(mask.any(axis=1))
gone = np.setdiff1d(np.arange(len(mask)), kept)[: len(kept)]
own = np.searchsorted(pruner.masks_.live[0], kept)
rows = [int(np.flatnonzero(y_test == digit)[0]) for digit in (0, 3, 4, 7)]
seen = torch.from_numpy(X_test[rows])
with torch.no_grad():
    maps = {name: torch.relu(net.module_[0](seen)).numpy() for name, net in nets.items()}
blocks = [
    ("dense: those that stay", maps["dense"][:, kept]),
    ("dense: some that leave", maps["dense"][:, gone]),
    ("pruned", maps["pruned"][:, own]),
]
widths = [1, *(block.shape[1] for _, block in blocks)]
figure, axes = plt.subplots(
    len(rows), len(widths), figsize=(9, 4.5), width_ratios=widths, layout="constrained"
)
for line, picture, *of_blocks in zip(axes, X_test[rows], *(b for _, b in blocks), strict=True):
    line[0].imshow(picture[0], cmap="gray_r")
    for ax, channels in zip(line[1:], of_blocks, strict=True):
        strip = np.pad(channels, ((0, 0), (0, 0), (0, 1)), constant_values=np.nan)
        ax.imshow(np.hstack(list(strip))[:, :-1], cmap="cividis", vmin=0)
for ax in axes.ravel():
    ax.set_axis_off()
for ax, title in zip(axes[0], ["row", *(title for title, _ in blocks)], strict=True):
    ax.set_title(title, fontsize=10)
figure.get_layout_engine().set(wspace=0.08)
plt.show()

# %%
# :doc:`/auto_examples/plot_torch_pruning` is for graphs with branches, and :doc:`/channels`
# measures time on larger pictures.
