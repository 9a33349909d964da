"""Pictures to groups: where a group ends and where a key group begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from nvcodec.media.source import SourceError
from nvcodec.picture import Picture, Plane

_BLOCK = 8
# A cut changes the 8 x 8 block means by at least this many levels of 8 bits on average, and by this
# many times what the pictures before it changed by.
_LEAST_CHANGE = 16.0
_CHANGE_RATIO = 4.0
_MEMORY = 0.8


@dataclass(frozen=True)
class PictureGroup:
    """Consecutive pictures that are coded together; a key group starts afresh."""

    pictures: tuple[Picture, ...]
    key: bool


class SceneCuts:
    """Tells whether a luma plane starts a new scene, given the planes before it.

    `bit_depth` is that of their samples.
    """

    def __init__(self, bit_depth: int = 8) -> None:
        self._scale = np.float32(1 << (bit_depth - 8))
        self._last: npt.NDArray[np.float32] | None = None
        self._usual = 1.0

    def starts_scene(self, luma: Plane) -> bool:
        """Take the next luma plane (the same size in all calls)."""
        means = _block_means(luma) / self._scale
        last, self._last = self._last, means
        if last is None:
            return True
        change = float(np.abs(means - last).mean())
        cut = change > _LEAST_CHANGE and change > _CHANGE_RATIO * self._usual
        if cut:
            self._usual = 1.0
        else:
            self._usual = max(1.0, _MEMORY * self._usual + (1 - _MEMORY) * change)
        return cut


def _block_means(luma: Plane) -> npt.NDArray[np.float32]:
    """Means of 8 x 8 blocks, float32 (rows, columns); a smaller plane is one block across."""
    rows, columns = (max(1, size // _BLOCK) for size in luma.shape)
    height, width = (min(size, _BLOCK) for size in luma.shape)
    # Sums of strided slices take a sixth of the time of a mean over two axes.
    lines = np.zeros((rows, columns * width), np.uint32)
    for k in range(height):
        lines += luma[k : rows * height : height, : columns * width]
    sums = np.zeros((rows, columns), np.uint32)
    for k in range(width):
        sums += lines[:, k::width]
    return sums.astype(np.float32) / np.float32(height * width)


def group_pictures(
    pictures: Iterable[Picture],
    group_frames: int,
    key_frames: int,
    key_interval: Fraction,
    time_base: Fraction,
    bit_depth: int = 8,
) -> Iterator[PictureGroup]:
    """Cut pictures into groups of at most `group_frames`, key groups of at most `key_frames`.

    A key group begins at the first picture, at scene cuts, and at the first group boundary at
    least `key_interval` seconds after the last key group began. A SourceError of `pictures` is
    raised after the group of the pictures before it.
    """
    cuts = SceneCuts(bit_depth)
    pending: list[Picture] = []
    key_pts: int | None = None
    key = False
    failure: SourceError | None = None
    following = iter(pictures)
    while True:
        try:
            picture = next(following, None)
        except SourceError as error:
            failure = error
            break
        if picture is None:
            break
        cut = cuts.starts_scene(picture.planes[0])
        if pending and cut:
            yield PictureGroup(tuple(pending), key)
            pending = []
        if not pending:
            pts = picture.pts
            key = cut or key_pts is None or (pts - key_pts) * time_base >= key_interval
            if key:
                key_pts = pts
        pending.append(picture)
        if len(pending) == (key_frames if key else group_frames):
            # Given on at once: a group need not wait for the picture after it.
            yield PictureGroup(tuple(pending), key)
            pending = []
    if pending:
        yield PictureGroup(tuple(pending), key)
    if failure is not None:
        raise failure
