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
# A page that scrolls is no cut: blocks that stayed or moved by one distance leave at most this part
# of the change.
_MOVED_SHARE = 0.25
_REACH = 160
"""Most samples that a page is taken to have scrolled by."""


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
        self._luma: Plane | None = None
        self._usual = 1.0

    def starts_scene(self, luma: Plane) -> bool:
        """Take the next luma plane (the same size in all calls)."""
        means = _block_means(luma) / self._scale
        last, self._last = self._last, means
        before, self._luma = self._luma, luma
        if last is None or before is None:
            return True
        changes = np.abs(means - last)
        change = float(changes.mean())
        cut = change > _LEAST_CHANGE and change > _CHANGE_RATIO * self._usual
        if cut and any(
            _moved_change(new, old, parts) / self._scale < _MOVED_SHARE * change
            for new, old, parts in ((luma, before, changes), (luma.T, before.T, changes.T))
        ):
            # What the pictures usually change by is not known from one that moved.
            return False
        if cut:
            self._usual = 1.0
        else:
            self._usual = max(1.0, _MEMORY * self._usual + (1 - _MEMORY) * change)
        return cut


def _moved_change(luma: Plane, before: Plane, changes: npt.NDArray[np.float32]) -> float:
    """The mean change of the 8 x 8 blocks of a page that moved along its columns.

    Each block either stayed or moved; all that moved did so by the same distance. `changes` are
    those of the blocks if all stayed, in 8 bits.
    """
    height = luma.shape[0]
    # Where nothing changed is no part of what moves.
    moving = np.repeat(changes.mean(0) > 1, _BLOCK)[: luma.shape[1]]
    lines = [plane[:, : len(moving)][:, moving].mean(1) for plane in (luma, before)]
    reach = min(_REACH, height // 2)
    distances = [d for d in range(-reach, reach + 1) if d]
    if not distances or not moving.any():
        return np.inf
    errors = [
        np.abs(
            lines[0][max(0, -d) : height - max(0, d)] - lines[1][max(0, d) : height + min(0, d)]
        ).mean()
        for d in distances
    ]
    distance = distances[int(np.argmin(errors))]
    stayed = np.abs(_block_means(luma) - _block_means(before))
    # Rows that come from outside stay where they are.
    shifted = before.copy()
    if distance > 0:
        shifted[:-distance] = before[distance:]
    else:
        shifted[-distance:] = before[:distance]
    moved = np.abs(_block_means(luma) - _block_means(shifted))
    return float(np.minimum(stayed, moved).mean())


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
