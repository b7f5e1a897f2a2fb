"""Property tests have no time limit per example: the machine may be busy."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("streams", deadline=None)
settings.load_profile("streams")
