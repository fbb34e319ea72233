"""How large the benchmarks are."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Settings:
    """Sizes of all cases; a stored case is only used again where they are the same.

    Parameters
    ----------
    name : str
        "full" or "quick".
    threads : int
        Threads of every library, in this process and in those that it starts.
    alternations : int
        How often every side of a comparison runs, in turn with the others.
    image_rows : int
        Training rows of Fashion-MNIST, for one epoch and what is held against one.
    shrink_rows, shrink_epochs : int
        Rows and epochs of fits in which the net shrinks.
    fit_epochs : int
        Epochs of the dense fits on images and on the wide table.
    digits_epochs : int
        Epochs of the fits on digits.
    wide_rows : int
        Rows of the synthetic table.
    predict_rows : int
        Rows of one large prediction.
    one_row_calls : int
        Predictions of one row behind every measured time.
    model_rows : int
        Rows that the models are fitted on whose predictions or files are measured.
    widths : tuple of int
        Neurons of the hidden layers of the nets that grow.
    width_rows : int
        Rows that these are trained on.
    table_rows : tuple of int
        Rows of the tables that grow.
    rounds : tuple of int
        Numbers of pruning rounds.
    """

    name: str = "full"
    threads: int = 2
    alternations: int = 7
    image_rows: int = 60_000
    shrink_rows: int = 20_000
    shrink_epochs: int = 10
    fit_epochs: int = 1
    digits_epochs: int = 20
    wide_rows: int = 100_000
    predict_rows: int = 10_000
    one_row_calls: int = 500
    model_rows: int = 5_000
    widths: tuple[int, ...] = (128, 256, 512, 1024, 2048, 4096)
    width_rows: int = 2_048
    table_rows: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    rounds: tuple[int, ...] = (1, 2, 5, 10)


FULL = Settings()
QUICK = replace(
    FULL,
    name="quick",
    alternations=3,
    image_rows=20_000,
    shrink_rows=5_000,
    digits_epochs=5,
    wide_rows=20_000,
    one_row_calls=200,
    model_rows=2_000,
    widths=(128, 512, 1024),
    table_rows=(10_000, 50_000),
    rounds=(1, 5),
)
