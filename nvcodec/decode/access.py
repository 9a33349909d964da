"""The ways to ask a decoder for frames: by number, by numbers, by slice, by time, as a tensor."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, overload

from nvcodec.decode.frame import Frame, rgb_batch
from nvcodec.format import IndexEntry
from nvcodec.model.resample import View

if TYPE_CHECKING:
    import torch


class FrameAccess(ABC):
    """Random access to the frames of a seekable file, all by one pass forward for each request."""

    @abstractmethod
    def __len__(self) -> int:
        """Frames in the file."""

    @abstractmethod
    def view(
        self, size: tuple[int, int] | None = None, crop: tuple[int, int, int, int] | None = None
    ) -> View:
        """The view with an output size and a region of it; raises ViewError."""

    @abstractmethod
    def frame_at(self, seconds: float | Fraction) -> int:
        """Number of the frame that is shown at a time; raises IndexError."""

    @abstractmethod
    def _pick(self, numbers: list[int], view: View) -> Iterator[Frame]:
        """Frames by increasing number from 0, each once; raises IndexError."""

    @overload
    def __getitem__(self, index: int) -> Frame: ...

    @overload
    def __getitem__(self, index: slice | Iterable[int]) -> list[Frame]: ...

    def __getitem__(self, index: int | slice | Iterable[int]) -> Frame | list[Frame]:
        """A frame by its number, or the frames of a slice or of numbers, as `pick` gives them.

        Negative numbers count from the end. Raises IndexError.
        """
        if isinstance(index, slice):
            return self.pick(range(*index.indices(len(self))))
        if isinstance(index, Iterable):
            return self.pick(index)
        return self.render(index)

    def render(
        self,
        frame: int,
        *,
        size: tuple[int, int] | None = None,
        crop: tuple[int, int, int, int] | None = None,
    ) -> Frame:
        """Render one frame alone, at an output size and region (spec 6), from a seekable file.

        Groups from the last key group on are rebuilt as far as the frame's group needs them. Of the
        frame's group only what the region needs is evaluated. Negative numbers count from the end.
        Raises IndexError when there is no such frame.
        """
        return self.pick([frame], size=size, crop=crop)[0]

    def pick(
        self,
        frames: Iterable[int],
        *,
        size: tuple[int, int] | None = None,
        crop: tuple[int, int, int, int] | None = None,
    ) -> list[Frame]:
        """Frames by number, in the order asked for, each rendered as `render` does.

        One pass forward renders them all, so that what frames have in common is rebuilt once. A
        number that comes twice gives the same object twice. Negative numbers count from the end.
        Raises IndexError when there is no such frame; TypeError for a number that is no integer.
        """
        view = self.view(size, crop)
        numbers = [operator.index(frame) for frame in frames]
        if min(numbers, default=0) < 0:
            count = len(self)
            numbers = [number + count if number < 0 else number for number in numbers]
        if min(numbers, default=0) < 0:
            raise IndexError(f"frame {min(numbers) - len(self)} is not in the video")
        found = {frame.index: frame for frame in self._pick(sorted(set(numbers)), view)}
        return [found[number] for number in numbers]

    def tensor(
        self,
        frames: Iterable[int],
        *,
        size: tuple[int, int] | None = None,
        crop: tuple[int, int, int, int] | None = None,
        dtype: torch.dtype | None = None,
    ) -> torch.Tensor:
        """RGB of frames that `pick` takes: (frames, 3, rows, columns), on the decoder's device.

        `dtype` is a floating-point type (float32 for None), with values 0..1, or torch.uint8.

        Raises ValueError for another dtype or no frame, and what `pick` and `Frame.to_tensor` do.
        """
        return rgb_batch(self.pick(frames, size=size, crop=crop), dtype)

    def at(
        self,
        seconds: float | Fraction,
        *,
        size: tuple[int, int] | None = None,
        crop: tuple[int, int, int, int] | None = None,
    ) -> Frame:
        """The frame that is shown at a time, rendered as `render` does; see `frame_at`."""
        return self.render(self.frame_at(seconds), size=size, crop=crop)


def group_of(index: Sequence[IndexEntry], frame: int) -> int:
    """Ordinal of the group that holds a frame, the last one for frames beyond."""
    return bisect_right(index, frame, key=lambda entry: entry.first_frame) - 1


def runs(index: Sequence[IndexEntry], ordinals: Sequence[int]) -> Iterator[list[int]]:
    """Ordinals in runs: from run to run there are groups that need not be rebuilt."""
    run: list[int] = []
    for ordinal in ordinals:
        if run and any(entry.key for entry in index[run[-1] + 2 : ordinal + 1]):
            yield run
            run = []
        run.append(ordinal)
    if run:
        yield run
