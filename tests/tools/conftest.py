import dataclasses

import pytest

from nvcodec.encode.sine import settings
from tests.cli.support import moving, y4m
from tests.synthetic import SMALL


@pytest.fixture
def quick(monkeypatch):
    """A small sine network and presets of a few iterations for encodes in this process."""
    monkeypatch.setattr(settings, "PAPER_SHAPE", SMALL)
    for name, preset in settings.PRESETS.items():
        few = dataclasses.replace(preset, key_iterations=12, iterations=8)
        monkeypatch.setitem(settings.PRESETS, name, few)


@pytest.fixture
def clip(tmp_path):
    """A file of six frames of 48x32 that move."""
    path = tmp_path / "clip.y4m"
    path.write_bytes(y4m(moving(6)))
    return path
