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
    """

    name: str = "full"
    seeds: int = 5
    datasets: tuple[str, ...] = ("mnist", "fashion-mnist")
    n_rows: int | None = None
    max_epochs: int = 50
    fractions: tuple[float, ...] = (0.8, 0.85, 0.9)
    rounds: tuple[int, ...] = (5, 10)


FULL = Settings()
QUICK = Settings("quick", 2, ("fashion-mnist",), 10_000, 20, (0.8, 0.9), (5,))
