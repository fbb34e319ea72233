"""What a case gets: sizes, data, a folder for files, and the way to compare sides."""

from functools import cached_property

from benchmarks import data
from benchmarks.timing import alternate


class Bench:
    """Workbench of the cases, one after the other.

    Parameters
    ----------
    settings : Settings
        How large everything is.
    folder : pathlib.Path
        For files that are not kept.
    """

    def __init__(self, settings, folder):
        self.settings, self.folder = settings, folder
        self.begin()

    def begin(self, advance=lambda share: None):
        """Begin a case; `advance` is told the share of it that was just done."""
        self._advance, self._parts = advance, 1

    def expect(self, parts):
        """Say how often the case will call `alternate`, for the progress bar."""
        self._parts = parts

    def alternate(self, sides, warm_up=True, alternations=None):
        """Measure sides in turn; see `benchmarks.timing.alternate`."""
        alternations = alternations or self.settings.alternations
        share = 1 / (self._parts * alternations)
        return alternate(sides, alternations, warm_up, lambda: self._advance(share))

    @cached_property
    def images(self):
        """Rows of Fashion-MNIST; see `benchmarks.data.images`."""
        settings = self.settings
        return data.images(max(settings.image_rows, settings.shrink_rows, settings.model_rows))

    def training_images(self, n_rows):
        """The first `n_rows` training rows and labels."""
        X, y, _, _ = self.images
        return X[:n_rows], y[:n_rows]

    @property
    def image_source(self):
        """Name of the images."""
        return self.images[3]
