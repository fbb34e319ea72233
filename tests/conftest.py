"""What all tests share."""

from hypothesis import settings

# Times depend on what else the machine does; a slow moment is no failure.
settings.register_profile("no-deadline", parent=settings(), deadline=None)
settings.load_profile("no-deadline")
