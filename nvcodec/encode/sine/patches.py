"""Training data of one group: its pictures cut into patch volumes (spec 5.1) with their inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from nvcodec.model.samples import FORMAT, MIDDLE, SAMPLE
from nvcodec.model.sine.render import coordinates
from nvcodec.model.sine.shape import PHASES, PLANES, NetworkShape
from nvcodec.picture import Planes


class GroupPatches:
    """Patch volumes of a group, stored as integer samples.

    `inputs` is float32 (2, patches): the coordinates x and y of each patch, in -1..1.
    """

    def __init__(self, shape: NetworkShape, frames: Sequence[Planes], device: torch.device) -> None:
        height, width = frames[0][0].shape
        rows, columns = shape.grid(width, height)
        ys, xs = np.meshgrid(coordinates(rows), coordinates(columns), indexing="ij")
        inputs = np.stack([xs.ravel(), ys.ravel()]) / 32768.0
        volumes = np.empty(
            (rows, columns, len(frames), PLANES, shape.half, shape.half), dtype=SAMPLE
        )
        for t, planes in enumerate(frames):
            for number, plane in enumerate(planes):
                shift, _ = FORMAT.plane_shift(number)
                size = shape.patch >> shift
                tall, wide = rows * size, columns * size
                padded = np.pad(
                    plane,
                    (
                        (0, max(0, tall - plane.shape[0])),
                        (0, max(0, wide - plane.shape[1])),
                    ),
                    mode="edge",
                )
                windows = padded[:tall, :wide].reshape(rows, size, columns, size).swapaxes(1, 2)
                if number == 0:
                    for phase in range(PHASES):
                        volumes[:, :, t, phase] = windows[..., phase // 2 :: 2, phase % 2 :: 2]
                else:
                    volumes[:, :, t, PHASES + number - 1] = windows
        self.count = rows * columns
        self.samples = width * height * len(frames)
        self.frames = len(frames)
        self.inputs = torch.from_numpy(inputs.astype(np.float32)).to(device)
        self._volumes = torch.from_numpy(volumes.reshape(self.count, *volumes.shape[2:])).to(device)

    def batch(self, index: torch.Tensor | slice) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs (2, n) and targets (frames, PLANES, G, G, n) of the patches of `index`, float32.

        Planes are the luma phases, Cb and Cr. Targets are samples minus mid-grey.
        """
        targets = self._volumes[index].permute(1, 2, 3, 4, 0)
        return self.inputs[:, index], targets.float() - float(MIDDLE)
