"""What all tests share."""

import torch
from hypothesis import settings

# Times depend on what else the machine does; a slow moment is no failure.
settings.register_profile("no-deadline", parent=settings(), deadline=None)
settings.load_profile("no-deadline")

# The nets here are tiny: a second thread only waits, and where cores are shared it waits long.
torch.set_num_threads(1)
