"""
=================================================================
Other graphs: what is masked here, Torch-Pruning takes out
=================================================================

From an ``nn.Sequential``, channels that do nothing leave by themselves. Around branches they stay,
masked: a channel that is added to others must leave all of them, or none. `Torch-Pruning
<https://github.com/VainF/Torch-Pruning>`_ (``pip install torch-pruning``) follows such dependencies
through any graph. So :class:`skactprune.Pruner` decides while the net trains, and Torch-Pruning
takes out what it has masked.
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

try:
    import torch_pruning as tp
except ImportError as error:
    raise SystemExit("This example needs Torch-Pruning: pip install torch-pruning") from error

# %%
# A residual net
# --------------
# What the second convolution of a block puts out is added to what the block got.


class Block(nn.Module):
    """Two convolutions beside a path on which nothing is done."""

    def __init__(self, width, inner):
        super().__init__()
        self.first, self.second = (
            nn.Conv2d(width, inner, 3, padding=1),
            nn.Conv2d(inner, width, 3, padding=1),
        )

    def forward(self, h):
        return torch.relu(h + self.second(torch.relu(self.first(h))))


class ResidualNet(nn.Module):
    """A stem, two blocks, and a linear layer on the means of the channels."""

    def __init__(self, width=8, inner=32):
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1)
        self.blocks = nn.Sequential(Block(width, inner), Block(width, inner))
        self.out = nn.Linear(width, 10)

    def forward(self, X):
        return self.out(self.blocks(torch.relu(self.stem(X))).mean((2, 3)))


# %%
# Masked while it trains
# ----------------------
# The stem and the ends of the blocks, which are added up, are left alone, so that all channels that
# die are within a block.

X, y = load_digits(return_X_y=True)
X = (X / 16).reshape(-1, 1, 8, 8).astype(np.float32)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
torch.manual_seed(0)
pruner = Pruner(
    FiringDeviation(granularity="neuron"),
    prune_fraction=0.75,
    ignored_layers=["stem", "blocks.0.second", "blocks.1.second"],
    random_state=0,
)
net = NeuralNetClassifier(
    ResidualNet,
    criterion=nn.CrossEntropyLoss,
    optimizer=torch.optim.Adam,
    lr=0.01,
    max_epochs=10,
    batch_size=64,
    verbose=0,
    callbacks=[("pruner", pruner)],
)
net.fit(X_train, y_train)
masked = net.module_.eval()

# %%
# Handed over
# -----------
# A channel without weights puts out a constant, its bias behind the nonlinearity. Torch-Pruning
# takes channels out with what they put out, so that this must be nothing: the bias becomes zero
# first, and a few more epochs would make up for what that changes.

with torch.no_grad():
    for name, mask in zip(pruner.layer_names_, pruner.masks_.current, strict=True):
        masked.get_submodule(name).bias[torch.from_numpy(~mask.any(axis=1))] = 0

rows = torch.from_numpy(X_test)
with torch.no_grad():
    before = masked(rows)
sizes = [tp.utils.count_ops_and_params(masked, rows[:1])]
for name, mask in zip(pruner.layer_names_, pruner.masks_.current, strict=True):
    graph = tp.DependencyGraph().build_dependency(masked, example_inputs=rows[:1])
    dead = np.flatnonzero(~mask.any(axis=1)).tolist()
    layer = masked.get_submodule(name)
    graph.get_pruning_group(layer, tp.prune_conv_out_channels, idxs=dead).prune()
sizes.append(tp.utils.count_ops_and_params(masked, rows[:1]))
with torch.no_grad():
    after = masked(rows)

# %%
# What it saves
# -------------
# The net puts out what it did when it was masked, with a part of the work.

print(f"largest difference: {float((after - before).abs().max()):.1e}")
print(f"test accuracy {100 * np.mean(after.argmax(1).numpy() == y_test):.1f} %")
for what, values in zip(("multiply-adds", "parameters"), zip(*sizes, strict=True), strict=True):
    print(f"{what}: {values[0]:.0f} masked, {values[1]:.0f} taken out")

figure, axes = plt.subplots(1, 2, figsize=(6, 3), layout="constrained")
for ax, what, values in zip(
    axes, ("multiply-adds", "parameters"), zip(*sizes, strict=True), strict=True
):
    ax.bar(["masked", "taken out"], values, color=["#7F7F7F", "#0072B2"])
    ax.set_title(what)
plt.show()
