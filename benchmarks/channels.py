"""``python -m benchmarks.channels``: what a small CNN saves when its dead channels are cut out.

Three nets of the same draws are trained on rows of Fashion-MNIST: one that is not pruned, one of
which channels are masked, and one of which they leave. What they save is counted, and their
predictions are timed in turn, in one process.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from skorch import NeuralNetClassifier
from torch import nn

from benchmarks import machine
from benchmarks.pages import markdown
from benchmarks.timing import alternate, clock_calls, threads
from skactprune import Pruner
from skactprune.datasets import load_dataset

NAME = "channels"
FRACTION, ROWS, EPOCHS, PREDICTED, ALTERNATIONS, CALLS = 0.8, 2000, 3, 200, 15, 2


def cnn():
    """Two convolutions, each followed by a normalization, and a linear layer."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 49, 10),
    )


def fitted(X, y, fraction, cut):
    """Net after a fit of which the first epochs end with a round."""
    torch.manual_seed(0)
    return NeuralNetClassifier(
        cnn,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=0.002,
        batch_size=64,
        max_epochs=EPOCHS,
        train_split=None,
        verbose=0,
        callbacks=[("pruner", Pruner("firing_deviation", fraction, cut=cut, random_state=0))],
    ).fit(X, y)


def multiply_adds(module, rows):
    """Products that layers sum for each row, counted in a forward pass."""
    counts = []

    def hear(layer, inputs, output):
        n_positions = output[0, 0].numel()
        counts.append(n_positions * layer.weight.numel())

    layers = [part for part in module if isinstance(part, (nn.Conv2d, nn.Linear))]
    handles = [layer.register_forward_hook(hear) for layer in layers]
    with torch.no_grad():
        module.eval()(rows[:1])
    for handle in handles:
        handle.remove()
    return sum(counts)


def measure():
    """A row for each net."""
    X, X_test, y, y_test = load_dataset("fashion-mnist")
    X, X_test = (Z.reshape(-1, 1, 28, 28).astype(np.float32) for Z in (X[:ROWS], X_test))
    nets = {
        "dense": fitted(X, y[:ROWS], 0, True),
        "masked": fitted(X, y[:ROWS], FRACTION, False),
        "cut": fitted(X, y[:ROWS], FRACTION, True),
    }
    rows = torch.from_numpy(X_test[:PREDICTED])

    @torch.no_grad()
    def predict(module):
        return module(rows)

    modules = {name: net.module_.eval() for name, net in nets.items()}
    sides = {
        name: clock_calls(lambda module=module: predict(module), CALLS)
        for name, module in modules.items()
    }
    seconds = alternate(sides, ALTERNATIONS)
    outputs = {name: predict(module) for name, module in modules.items()}
    largest = outputs["masked"].abs().max()
    return [
        {
            "net": name,
            "channels": [part.out_channels for part in module if isinstance(part, nn.Conv2d)],
            "parameters": sum(p.numel() for p in module.parameters()),
            "multiply_adds": multiply_adds(module, rows),
            "accuracy": float((nets[name].predict(X_test) == y_test).mean()),
            "from_masked": float((outputs[name] - outputs["masked"]).abs().max() / largest),
            "ratios": [a / b for a, b in zip(seconds[name], seconds["dense"], strict=True)],
        }
        for name, module in modules.items()
    ]


def text(found):
    """The page."""
    facts = found["machine"]
    rows = [
        {
            "net": row["net"],
            "channels": ", ".join(map(str, row["channels"])),
            "parameters": str(row["parameters"]),
            "multiply-adds a row": str(row["multiply_adds"]),
            "time to predict / dense": "{:.2f} ({:.2f} to {:.2f})".format(
                *np.quantile(row["ratios"], [0.5, 0.25, 0.75])
            ),
            "test accuracy %": f"{100 * row['accuracy']:.1f}",
            "largest difference from masked": f"{row['from_masked']:.0e}",
        }
        for row in found["rows"]
    ]
    return "\n\n".join(
        [
            "# A small CNN without its dead channels",
            "Written by `python -m benchmarks.channels`.",
            f"A CNN of two convolutions, two batch normalizations and a linear layer, trained for "
            f"{EPOCHS} epochs on {ROWS} rows of Fashion-MNIST: dense, and with {FRACTION:.0%} of "
            'the weights of its convolutions removed by `Pruner("firing_deviation")`, masked '
            "(`cut=False`) and cut. "
            f"Times are those of a forward pass of {PREDICTED} rows, in turn in one process, with "
            f"{found['threads']} thread{'s' * (found['threads'] != 1)} of torch: the median of "
            f"{ALTERNATIONS} ratios, and their quartiles. The difference is that of the outputs, "
            "as a share of the largest.",
            markdown(pd.DataFrame(rows)),
            f"Measured on {facts['processor']}, {facts['cores']} cores, with torch "
            f"{facts['versions']['torch']}, while other processes used the machine.",
        ]
    )


def main(argv=None):
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.channels", description=__doc__)
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: 1)")
    parser.add_argument("--output", type=Path, default=Path("docs"), help="folder")
    args = parser.parse_args(argv)
    with threads(args.threads):
        found = {"threads": args.threads, "machine": machine.facts(), "rows": measure()}
    for suffix, content in ((".json", json.dumps(found, indent=1)), (".md", text(found))):
        (args.output / f"{NAME}{suffix}").write_text(content + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
