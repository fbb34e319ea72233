"""Warnings that point at the user's line."""

import inspect
import warnings
from types import FrameType

# A context manager runs what is ours from there.
PASSED_OVER = {"skactprune", "sklearn", "skorch", "contextlib"}


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the innermost line that is neither ours nor scikit-learn's nor skorch's.

    How many decorators, pipelines and callbacks lie in between differs from call to call, so that
    no fixed ``stacklevel`` would do.

    Parameters
    ----------
    message : str
        What to say.
    category : type, default=UserWarning
        Class of the warning.
    """
    level, frame = 2, inspect.currentframe()
    frame = frame and frame.f_back
    while frame and frame.f_back and _package(frame) in PASSED_OVER:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
