import dataclasses

import pytest

from nvcodec.encode.sine import settings
from tests.synthetic import SMALL


@pytest.fixture
def quick(monkeypatch):
    """A small sine network and presets of a few iterations for nvenc in this process."""
    make_quick(monkeypatch)


def make_quick(monkeypatch):
    monkeypatch.setattr(settings, "PAPER_SHAPE", SMALL)
    for name, preset in settings.PRESETS.items():
        few = dataclasses.replace(preset, key_iterations=12, iterations=8)
        monkeypatch.setitem(settings.PRESETS, name, few)
