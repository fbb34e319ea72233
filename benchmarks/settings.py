"""How large the benchmarks are."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Settings:
    """Sizes of all cases; a stored case is only used again where they are the same."""

    name: str = "full"
    # Of every library, in this process and in those that it starts; None sets nothing.
    threads: int | None = None
    # How often every side of a comparison runs, in turn with the others.
    alternations: int = 7
    # Rows of Fashion-MNIST for one epoch and what is held against one.
    image_rows: int = 60_000
    # Of fits in which the net shrinks.
    shrink_rows: int = 20_000
    shrink_epochs: int = 10
    # Of the dense fits on images and on the synthetic table, and on digits.
    fit_epochs: int = 1
    digits_epochs: int = 20
    table_epochs: int = 200
    wide_rows: int = 100_000
    # Of the table that a search is made on, and epochs of its fits there and on digits.
    search_rows: int = 20_000
    search_epochs: tuple[int, int] = (5, 20)
    # Of one large prediction; predictions of one row behind every measured time.
    predict_rows: int = 10_000
    one_row_calls: int = 500
    # That models are fitted on whose predictions or files are measured.
    model_rows: int = 5_000
    # Neurons of the hidden layers of the nets that grow, rows of the tables that grow.
    widths: tuple[int, ...] = (128, 256, 512, 1024, 2048, 4096)
    width_rows: int = 2_048
    table_rows: tuple[int, ...] = (10_000, 100_000)
    # Numbers of pruning rounds.
    rounds: tuple[int, ...] = (1, 2, 5, 10)


FULL = Settings()
SMALL = {"image_rows": 20_000, "shrink_rows": 5_000, "wide_rows": 20_000, "model_rows": 2_000}
SMALL |= {"widths": (128, 512, 1024), "table_rows": (10_000, 50_000), "rounds": (1, 5)}
SMALL |= {"digits_epochs": 5, "table_epochs": 50, "one_row_calls": 200}
SMALL |= {"search_rows": 2_000, "search_epochs": (2, 5)}
QUICK = replace(FULL, name="quick", alternations=3, **SMALL)
