import dataclasses

import pytest

from nvcodec.encode.sine import settings


@pytest.fixture
def quick(monkeypatch):
    """Presets of a few iterations."""
    for name, preset in settings.PRESETS.items():
        few = dataclasses.replace(preset, key_iterations=12, iterations=8)
        monkeypatch.setitem(settings.PRESETS, name, few)
