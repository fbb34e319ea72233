"""What all tests share."""

from functools import partial

import pytest
import torch
from hypothesis import settings

from skactprune.inspection import rivals
from skactprune.nets.net import LeanLoop

# Times depend on what else the machine does; a slow moment is no failure.
settings.register_profile("no-deadline", parent=settings(), deadline=None)
settings.load_profile("no-deadline")

# The nets here are tiny: a second thread only waits, and where cores are shared it waits long.
torch.set_num_threads(1)


@pytest.fixture(params=["explicit", "autograd"])
def both_steps(request, monkeypatch):
    """Run a test twice: with the step that is chosen, and with all nets trained by autograd."""
    monkeypatch.setattr(LeanLoop, "explicit_steps", request.param == "explicit")


@pytest.fixture(scope="module")
def quick_rivals():
    """Let rivals of the nets learn no longer than these do in tests."""
    with pytest.MonkeyPatch.context() as patch:
        for boosting in ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"):
            patch.setattr(rivals, boosting, partial(getattr(rivals, boosting), max_iter=2))
        patch.setattr(rivals, "NCA_ROWS", 100)
        yield


def pytest_collection_modifyitems(items):
    """Let nets lose nearly all that they know: those of tests are tiny.

    What is said of it is tested in ``test_collapse.py``.
    """
    for item in items:
        item.add_marker(
            pytest.mark.filterwarnings("ignore:(?s).*Take a lower prune_fraction"), append=False
        )
