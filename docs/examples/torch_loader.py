"""Frames for training: takes `.nrv` files, gives batches of luma in a PyTorch `DataLoader`.

    python docs/examples/torch_loader.py a.nrv b.nrv --workers 2

A decoder belongs to one thread of one process. So the data set keeps paths, and each worker opens
the files that it needs when it first needs them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch
from torch.utils.data import DataLoader, Dataset

import nvcodec


class Frames(Dataset[torch.Tensor]):
    """Luma of every frame of some files, at one size, as float32 (1, height, width) in 0..1."""

    def __init__(self, paths: Sequence[str], size: tuple[int, int]) -> None:
        self._size = size
        self._places: list[tuple[str, int]] = []
        for path in paths:
            with nvcodec.Decoder(path) as decoder:
                self._places += [(path, number) for number in range(len(decoder))]
        self._open: dict[str, nvcodec.Decoder] = {}

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> torch.Tensor:
        path, number = self._places[index]
        if path not in self._open:
            # Workers share the cores; one thread each is enough.
            self._open[path] = nvcodec.Decoder(path, threads=1)
        luma = self._open[path].render(number, size=self._size).planes[0]
        return torch.from_numpy(luma).float().div(255).unsqueeze(0)


def loader(
    paths: Sequence[str], size: tuple[int, int], batch: int, workers: int
) -> DataLoader[torch.Tensor]:
    """Batches of shuffled frames."""
    return DataLoader(
        Frames(paths, size),
        batch_size=batch,
        shuffle=True,
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
    )


def main() -> None:
    """Run as the arguments say."""
    parser = argparse.ArgumentParser(description="Load frames of .nrv files in batches.")
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--workers", type=int, default=0)
    arguments = parser.parse_args()
    for batch in loader(arguments.paths, (160, 90), 8, arguments.workers):
        print(tuple(batch.shape), f"mean {batch.mean():.3f}")


if __name__ == "__main__":
    main()
