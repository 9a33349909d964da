"""Clips of `.nrv` files for training: a PyTorch dataset.

    loader = DataLoader(VideoClips(paths), batch_size=8, shuffle=True, num_workers=4)
    for batch in loader:  # (8, 16, 3, 224, 224), float32
        ...

Importing this module loads PyTorch; no other part of the decoder's side does so unless tensors are
asked for.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate

import torch
from torch.utils.data import Dataset

from nvcodec.decode.decoder import Decoder

__all__ = ["VideoClips"]


class VideoClips(Dataset[torch.Tensor]):
    """Clips of videos as RGB tensors (frames, 3, rows, columns).

    Clips begin at frames 0, `step`, 2 * `step`, … of each file, as long as they end within it. A
    file with too few frames gives none. They are numbered file by file, in the order of `paths`.

    Nothing is opened when the dataset is made. The first `len` or item reads how many frames each
    file has, and a file is open only while a clip of it is decoded. So a dataset can be pickled,
    and used in workers of a `DataLoader` that are forked or spawned, whatever was read before.

    Args:
        paths: the files.
        frames: frames of a clip.
        stride: from each frame of a clip to its next: 2 leaves out every other frame.
        size: (width, height) of the clips; frames are scaled to it, whatever their aspect ratio and
            that of their samples. None for the size of the video.
        step: frames from one clip's begin to the next one's; None for clips that do not overlap.
        dtype: a floating-point type, with values 0..1, or torch.uint8.
        device: "cpu" or "cuda", where frames are rendered and where the clips are. Workers that use
            "cuda" have to be spawned.
        threads: threads that decode a clip. Workers share the cores, so one is enough for them.

    Raises:
        ValueError: a number is not at least 1, or the dtype is none of these.
        OSError: a file cannot be read; by `len` and items.
        NrvError: by `len` and items, as `Decoder` does. The path is in a note of the error.

    """

    def __init__(
        self,
        paths: Iterable[str | os.PathLike[str]],
        frames: int = 16,
        stride: int = 2,
        size: tuple[int, int] | None = (224, 224),
        *,
        step: int | None = None,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
        threads: int = 1,
    ) -> None:
        self._paths = [os.fspath(path) for path in paths]
        self._span = (frames - 1) * stride + 1
        self._stride = stride
        self._size = size
        self._step = frames * stride if step is None else step
        self._dtype = dtype
        self._device = device
        self._threads = threads
        numbers = {"frames": frames, "stride": stride, "step": self._step, "threads": threads}
        for name, number in numbers.items():
            if number < 1:
                raise ValueError(f"{name} {number} is not at least 1")
        if dtype != torch.uint8 and not dtype.is_floating_point:
            raise ValueError(f"clips are of uint8 or a floating-point type, not {dtype}")
        self._ends: list[int] | None = None

    def __len__(self) -> int:
        """Clips in all files."""
        ends = self._clip_ends()
        return ends[-1] if ends else 0

    def __getitem__(self, index: int) -> torch.Tensor:
        """A clip; negative numbers count from the end. Raises IndexError."""
        path, first = self.place(index)
        frames = range(first, first + self._span, self._stride)
        try:
            with self._opened(path) as decoder:
                return decoder.tensor(frames, size=self._size, dtype=self._dtype)
        except Exception as error:
            error.add_note(f"in clip {index}, frames {frames[0]} to {frames[-1]} of {path}")
            raise

    def place(self, index: int) -> tuple[str, int]:
        """The path of a clip's file, and the clip's first frame in it. Raises IndexError."""
        ends = self._clip_ends()
        number = index + len(self) if index < 0 else index
        if not 0 <= number < len(self):
            raise IndexError(f"clip {index} is not among {len(self)}")
        file = bisect_right(ends, number)
        return self._paths[file], (number - (ends[file - 1] if file else 0)) * self._step

    def _opened(self, path: str) -> Decoder:
        # Frames stay on the device from rendering to the tensor.
        tensors = self._device == "cuda"
        return Decoder(path, device=self._device, threads=self._threads, tensors=tensors)

    def _clip_ends(self) -> list[int]:
        """For each file, the number of clips in it and in the files before it."""
        if self._ends is None:
            self._ends = list(accumulate(self._clips(path) for path in self._paths))
        return self._ends

    def _clips(self, path: str) -> int:
        try:
            with Decoder(path, threads=1) as decoder:
                count = len(decoder)
        except Exception as error:
            error.add_note(f"in {path}")
            raise
        return max(0, (count - self._span) // self._step + 1)
