"""How each method is run: what all have in common, and what is its own."""

from benchmarks.reproduce import runner
from benchmarks.reproduce.lenet import ALPHA, BATCH, DROPOUT, FADING, RATE, ROUNDS, fraction
from benchmarks.reproduce.training import schedule
from skactprune import PrunedMLPClassifier
from skactprune.methods import METHODS

# All weights over those that are left: 80, 90, 95 and 98 % gone.
COMPRESSIONS = (5, 10, 20, 50)
FULL = runner.Settings(
    dataset="mnist",
    seeds=5,
    n_rows=None,
    hidden=(300, 100),
    epochs=60,
    compressions=COMPRESSIONS,
    only=None,
    device="cpu",
)
QUICK = FULL.but(seeds=1, n_rows=6000, epochs=10, compressions=(10, 50))
DENSE, SEPARATOR = "dense", ", "
WEIGHTS = {"method__granularity": "weight", "method__scope": "global"}
# Times the epochs.
LONGER = {"epochs": 4}
NEURONS = {"method__granularity": "neuron", "method__scope": "layer"}
# Parameters of the estimator, those of `benchmarks.reproduce.lenet`. Others are compared on
# validation rows by ``python -m benchmarks.methods choose``.
# A name that is not that of a method has it under "method". Where nothing is said of a choice, it
# is that of earlier experiments.
OWN = {
    "activation": WEIGHTS | {"method__schedule": "cubic"},
    "activation_magnitude": WEIGHTS | {"method__schedule": "cubic"},
    "activation_surgeon": WEIGHTS,
    "firing_deviation": WEIGHTS | {"method__schedule": "cubic"},
    # Of seven settings at 10x, none has clearly less error; pixels have gates in the paper, too.
    "l0": {"prune_features": 0.66},
    "magnitude": WEIGHTS | {"method__schedule": "cubic"},
    "random": {"method__granularity": "weight", "method__scope": "layer"},
    # Of eleven settings, the least error at 20x and 50x together, but for what seeds may do.
    "snip": {"dropout": (0.2, 0.0, 0.0)},
    # Of six settings at 68x that leave the output layer alone, the least error.
    "variational_dropout": {"dropout": (0.2, 0.0, 0.0), "method__strength": 0.3},
    "activation_surgeon, neurons": {"method": "activation_surgeon"} | NEURONS,
    "activation_surgeon, neurons and pixels": {
        "method": "activation_surgeon",
        "method__granularity": "neuron",
        "method__scope": "global",
        "prune_features": 0.87,
        # Of five settings, the least error at 28x.
        "dropout": (0.2, 0.1, 0.0),
    },
    # The paper prunes 62 % of the output layer. Of seven settings at 68x, the least error.
    "variational_dropout, output layer": {
        "method": "variational_dropout",
        "method__strength": 0.3,
        "dropout": (0.2, 0.0, 0.0),
        "prune_output": 0.6,
    },
    # The authors of L0 and RigL train 200 epochs.
    "snip, longer": {"method": "snip", "dropout": (0.2, 0.0, 0.0)} | LONGER,
    "l0, longer": {"method": "l0", "prune_features": 0.66} | LONGER,
    "rigl, longer": {"method": "rigl"} | LONGER,
    "magnitude, neurons": {"method": "magnitude"} | NEURONS,
    "random, neurons": {"method": "random"} | NEURONS,
}
# Ways that are run at the compressions of their marks alone, unless they are asked for.
AT_MARKS = ("variational_dropout, output layer", "snip, longer", "l0, longer", "rigl, longer")


def system(name):
    """Method of a way of the lineup, whatever its parameters; other names are their own."""
    return lineup().get(name, {}).get("method", name)


def lineup():
    """Parameters by name: every registered method, and further ways of some."""
    found = {name: {"method": name} | OWN.get(name, {}) for name in METHODS}
    return found | {name: params for name, params in OWN.items() if name not in found}


def asked(compression, sizes, params):
    """Share of the hidden weights to prune, beside features and weights of the output layer."""
    parts = (params.get(name, 0.0) for name in ("prune_features", "prune_output"))
    return fraction(compression, sizes, *parts)


def told(params):
    """Parameters besides the method, as text; rows of other parameters are of other runs."""
    own = {name: value for name, value in params.items() if name != "method"}
    return SEPARATOR.join(f"{name}={value!r}" for name, value in sorted(own.items())) or "-"


def estimator(settings, fraction, seed, params):
    """The net as all methods train it; `params` override anything, and may nest.

    Of them, "epochs" is how many times as long as the others it trains.
    """
    params = dict(params)
    epochs = settings.epochs * params.pop("epochs", 1)
    how = {
        "prune_fraction": fraction,
        "n_prune_rounds": ROUNDS,
        "learning_rate_init": RATE,
        "alpha": ALPHA,
        "batch_size": BATCH,
        "dropout": DROPOUT,
        "device": settings.device,
        "random_state": seed,
    }
    how |= schedule(epochs, FADING)
    return PrunedMLPClassifier(settings.hidden, **how).set_params(**params)
