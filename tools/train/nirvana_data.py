"""Training data of the nirvana network: clips and the paths of their blocks.

    python -m tools.train.nirvana_data FOLDER CLIP...
    python -m tools.train.nirvana_data FOLDER PHOTOS/*.mkv --weight 1.3
    python -m tools.train.nirvana_data HELD CLIP... --as-is

FOLDER gets a file for each clip, and for those versions of it that are large and long enough: half
the size, every second frame, both. Planes are cut to whole motion blocks. Paths are those of the
encoder's search (spec 11.5), from the frame before a group in the source. Groups begin at every
fourth frame, in clips of fewer than 16 frames at every frame. Clips of fewer than eight frames, and
files that are there already, are left out.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from nvcodec.coding.nirvana.table import FRAMES
from nvcodec.encode.nirvana.paths import SIDE, find_paths, reduce
from nvcodec.tasks import TaskPool
from tools.lib.clips import Clip

PRICE = 8
"""Absolute differences that a bit of a path costs."""

SECOND_WEIGHT = 0.4
"""Weight of a version with every second frame, relative to the clip's."""

_LEAST_FRAMES = 2 * FRAMES
_LONG = 4 * FRAMES
_LARGE = (320, 480)
"""Rows and columns from which a clip is used in half the size too."""

Planes = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class TrainingClip:
    """Frames of a clip and the paths of groups of them.

    Attributes:
        luma, blue, red: u8 (frames, rows, columns), whole motion blocks.
        starts: int64 (groups,): the first frame of each group.
        paths: int16 (groups, block rows, block columns, FRAMES, 2), from the frame before.
        weight: how often parts of the clip are drawn, relative to others of its size and length.

    """

    luma: Planes
    blue: Planes
    red: Planes
    starts: npt.NDArray[np.int64]
    paths: npt.NDArray[np.int16]
    weight: float

    @property
    def chain(self) -> int:
        """Most groups that follow one another, with paths for each after the first."""
        follows = len(self.starts) > 1 and self.starts[1] - self.starts[0] == FRAMES
        return 1 + len(self.starts) if follows else 2

    def save(self, path: Path) -> None:
        """Write a file; none is left when this is interrupted."""
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, **vars(self))
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> TrainingClip:
        """Read a file; raises ValueError for one of another kind."""
        try:
            with np.load(path) as data:
                arrays = {name: data[name] for name in cls.__annotations__}
        except (KeyError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} holds no training clip") from error
        return cls(**{**arrays, "weight": float(arrays["weight"])})


def search(luma: Planes, start: int, tasks: TaskPool) -> npt.NDArray[np.int16]:
    """Paths of the group of frames from `start` on."""
    paths = find_paths(luma[start - 1], luma[start : start + FRAMES], PRICE, tasks)
    return paths.astype(np.int16)


def training_clip(planes: tuple[Planes, Planes, Planes], weight: float) -> TrainingClip:
    """A clip of at least eight frames, with paths."""
    luma, blue, red = planes
    count, rows, columns = luma.shape
    rows, columns = rows // SIDE * SIDE, columns // SIDE * SIDE
    luma = np.ascontiguousarray(luma[:, :rows, :columns])
    blue, red = (
        np.ascontiguousarray(plane[:, : rows // 2, : columns // 2]) for plane in (blue, red)
    )
    starts = np.arange(FRAMES, count - FRAMES + 1, FRAMES if count >= _LONG else 1)
    with closing(TaskPool(os.cpu_count() or 1)) as tasks:
        paths = np.stack([search(luma, int(start), tasks) for start in starts])
    return TrainingClip(luma, blue, red, starts, paths, weight)


@dataclass(frozen=True, eq=False)
class _Version:
    """A version of a clip: what is added to its name, its frames and its weight."""

    suffix: str
    planes: tuple[Planes, Planes, Planes]
    weight: float

    def half(self) -> _Version:
        """The version with half the rows and columns."""
        luma, blue, red = (np.stack([reduce(p) for p in plane]) for plane in self.planes)
        return replace(self, suffix=self.suffix + "-half", planes=(luma, blue, red))

    def second(self) -> _Version:
        """The version with every second frame."""
        luma, blue, red = (plane[::2] for plane in self.planes)
        weight = SECOND_WEIGHT * self.weight
        return _Version(self.suffix + "-second", (luma, blue, red), weight)


def _versions(planes: tuple[Planes, Planes, Planes], weight: float) -> Iterator[_Version]:
    count, rows, columns = planes[0].shape
    whole = _Version("", planes, weight)
    large = rows >= _LARGE[0] and columns >= _LARGE[1]
    for version in (whole, whole.half()) if large else (whole,):
        yield version
        if count >= _LONG:
            yield version.second()


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.argument("clips", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--frames", type=click.IntRange(min=1), help="Frames of each clip.  [default: all]")
@click.option(
    "--weight", default=1.0, show_default=True, help="How often parts of these clips are drawn."
)
@click.option("--as-is", is_flag=True, help="No version but the clip itself.")
def main(
    folder: Path, clips: tuple[Path, ...], frames: int | None, weight: float, as_is: bool
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for clip in (Clip(path, frames) for path in clips):
        pictures = clip.pictures()
        if len(pictures) < _LEAST_FRAMES or min(pictures[0][0].shape) < SIDE:
            click.echo(f"{clip.name}: too short or too small")
            continue
        luma, blue, red = (np.stack(plane) for plane in zip(*pictures, strict=True))
        planes = (luma, blue, red)
        versions = [_Version("", planes, weight)] if as_is else _versions(planes, weight)
        for version in versions:
            path = folder / f"{clip.name}{version.suffix}.npz"
            if path.exists():
                continue
            made = training_clip(version.planes, version.weight)
            made.save(path)
            count, rows, columns = made.luma.shape
            moving = float(made.paths.any((-2, -1)).mean())
            click.echo(
                f"{path.name}: {count} frames of {columns}x{rows}, {len(made.starts)} groups,"
                f" {moving:.0%} of blocks move"
            )


if __name__ == "__main__":
    main()
