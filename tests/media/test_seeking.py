"""Pictures from a place on: what seeking gives is what reading on gives, or an error."""

import numpy as np
import pytest

from nvcodec.media.source import SourceError, open_source
from nvcodec.options import Reading
from tests.media import clips
from tests.media.clips import y4m_bytes

B_FRAMES = {"codec": "libx264", "options": {"g": "12", "bf": "3", "crf": "30"}}


def moving(count, width=48, height=32):
    """Pictures that differ from each other, and compress."""
    y, x = np.indices((height, width))
    luma = [(128 + 100 * np.sin((x + 3 * t) / 7 + y / 5)).astype(np.uint8) for t in range(count)]
    chroma = np.full((height // 2, width // 2), 128, np.uint8)
    return [(plane, chroma, chroma) for plane in luma]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("in.mkv", B_FRAMES),
        ("in.mp4", B_FRAMES),
        ("in.ts", B_FRAMES),
        ("in.avi", {"codec": "mpeg4", "options": {"g": "12"}}),
        ("in.y4m", None),
    ],
)
def test_seeking_is_exact_or_refused(tmp_path, name, options):
    path = tmp_path / name
    pictures = moving(40)
    if options is None:
        path.write_bytes(y4m_bytes(pictures, 48, 32))
    else:
        clips.encode(path, pictures, 48, 32, **options)
    whole = clips.read(path)[1]
    found = 0
    for first in (1, 12, 17, 39):
        with open_source(path) as source:
            try:
                planes = list(source.planes_from(whole[first].pts))
            except SourceError:
                continue
        assert len(planes) == len(whole) - first
        for picture, got in zip(whole[first:], planes, strict=True):
            clips.assert_same(picture, got)
        found += 1
    assert found >= 3


def test_a_filter_gets_the_frames_before(tmp_path):
    path = clips.encode(tmp_path / "in.mkv", moving(60), 48, 32, **B_FRAMES)
    reading = Reading(deinterlace=True)
    whole = clips.read(path, reading=reading)[1]
    with open_source(path, reading=reading) as source:
        for picture, got in zip(whole[48:], source.planes_from(whole[48].pts), strict=True):
            clips.assert_same(picture, got)


def test_a_time_that_no_picture_has(tmp_path):
    path = clips.encode(tmp_path / "in.mkv", moving(5), 48, 32)
    with open_source(path) as source, pytest.raises(SourceError, match="no frame at 17"):
        next(source.planes_from(17))
