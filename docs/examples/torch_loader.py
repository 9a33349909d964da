"""Clips for training: takes `.nrv` files, gives batches of RGB clips in a PyTorch `DataLoader`.

    python docs/examples/torch_loader.py a.nrv b.nrv --workers 2

`nvcodec.torch.VideoClips` keeps paths and opens a file only while it reads a clip. So workers may
be forked or spawned.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch
from torch.utils.data import DataLoader

from nvcodec.torch import VideoClips


def loader(
    paths: Sequence[str], size: tuple[int, int], batch: int, workers: int, start: str | None = None
) -> DataLoader[torch.Tensor]:
    """Batches (batch, 4, 3, height, width) of shuffled clips: 4 frames of every 8.

    `start` says how workers are started, "fork" or "spawn"; None for PyTorch's choice.
    """
    clips = VideoClips(paths, frames=4, stride=2, size=size)
    return DataLoader(
        clips,
        batch_size=batch,
        shuffle=True,
        num_workers=workers,
        multiprocessing_context=start if workers else None,
    )


def main() -> None:
    """Run as the arguments say."""
    parser = argparse.ArgumentParser(description="Load clips of .nrv files in batches.")
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--workers", type=int, default=0)
    arguments = parser.parse_args()
    for batch in loader(arguments.paths, (160, 90), 2, arguments.workers):
        print(tuple(batch.shape), f"mean {batch.mean():.3f}")


if __name__ == "__main__":
    main()
