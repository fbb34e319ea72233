"""How much is run, in the order of what verdicts need first."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Sizes of all experiments.

    Parameters
    ----------
    name : str
        "full" or "quick".
    seeds : int
        Seeds 0, 1, ... of everything.
    datasets : tuple of str
        Which images.
    n_rows : int or None
        Training rows; None takes all 54 000.
    max_epochs : int
        Upper limit of the authors' protocol.
    fractions : tuple of float
        Shares to prune.
    rounds : tuple of int
        Numbers of rounds.
    spectra_datasets : tuple of str
        Which images for the experiments on spectra and nuclear norms.
    spectra_epochs : int
        Upper limit of their epochs.
    nuclear_rounds : tuple of int
        Rounds whose effect is compared with that of nuclear norms.
    nuclear_alphas : tuple of float
        Strengths of the weighted nuclear norm in training to the end, the paper's first.
    default_epochs : int
        Epochs of the nets with the estimator's defaults.
    adam_epochs : int
        Epochs of the nets for dimensionality reduction.
    components : tuple of int
        Numbers of components to reduce to.
    neighbor_rows : int
        Training rows among which nearest neighbours are looked for.
    nca_rows : int
        Training rows of neighborhood components analysis.
    label_shares : tuple of float
        Shares of the training rows whose labels are known.
    label_epochs : tuple of int
        Upper limit of the epochs at each of these shares.
    lenet_compressions : tuple of int
        How many times smaller LeNet-300-100 gets, by weights that are not zero.
    lenet_epochs : int
        Epochs of its training.
    variant_shares : tuple of float
        Shares of the neurons of every layer that are left where firing deviation is compared.
    variant_rows : int
        Training rows there.
    variant_epochs : int
        Epochs there.
    score_seeds : int
        Seeds where the score of neurons is chosen, at the same sizes, rows and epochs.
    """

    name: str = "full"
    seeds: int = 5
    datasets: tuple[str, ...] = ("mnist", "fashion-mnist")
    n_rows: int | None = None
    max_epochs: int = 50
    fractions: tuple[float, ...] = (0.8, 0.85, 0.9)
    rounds: tuple[int, ...] = (5, 10)
    spectra_datasets: tuple[str, ...] = ("mnist", "fashion-mnist")
    spectra_epochs: int = 16
    nuclear_rounds: tuple[int, ...] = (1, 3, 5)
    nuclear_alphas: tuple[float, ...] = (1.0, 1e-3)
    default_epochs: int = 20
    adam_epochs: int = 10
    components: tuple[int, ...] = (2, 5, 10, 20, 50)
    neighbor_rows: int = 10_000
    nca_rows: int = 1000
    label_shares: tuple[float, ...] = (0.01, 0.1, 1.0)
    label_epochs: tuple[int, ...] = (500, 100, 12)
    lenet_compressions: tuple[int, ...] = (12, 20, 50, 68)
    lenet_epochs: int = 60
    variant_shares: tuple[float, ...] = (0.4, 0.2, 0.1)
    variant_rows: int = 12_000
    variant_epochs: int = 25
    score_seeds: int = 2


FULL = Settings()
QUICK = Settings(
    "quick",
    2,
    ("fashion-mnist",),
    10_000,
    20,
    (0.8, 0.9),
    (5,),
    spectra_epochs=10,
    default_epochs=10,
    components=(2, 10),
    neighbor_rows=2000,
    nca_rows=500,
    label_epochs=(200, 40, 10),
    lenet_compressions=(12, 50),
    lenet_epochs=12,
    variant_shares=(0.2, 0.1),
    variant_rows=6000,
    variant_epochs=15,
    score_seeds=1,
)
