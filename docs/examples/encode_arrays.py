"""Arrays to a `.nrv` file: pictures made in memory, encoded one by one as they are made.

python docs/examples/encode_arrays.py bars.nrv
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np

import nvcodec


def bars(count: int, width: int = 96, height: int = 64) -> Iterator[np.ndarray]:
    """RGB pictures, u8 (height, width, 3), of coloured bars that move to the right."""
    x = np.arange(width)
    for t in range(count):
        phase = 2 * np.pi * (x - 2 * t) / 48
        row = 128 + 100 * np.sin(phase[:, None] + np.array([0, 2, 4]))
        yield np.broadcast_to(row.astype(np.uint8), (height, width, 3))


def main() -> None:
    """Run as the arguments say."""
    parser = argparse.ArgumentParser(description="Encode pictures that are made in memory.")
    parser.add_argument("output")
    parser.add_argument("--frames", type=int, default=24)
    arguments = parser.parse_args()
    pictures = bars(arguments.frames)
    result = nvcodec.encode(
        pictures, arguments.output, fps=25, crf=28, preset="fast", overwrite=True
    )
    psnr = result.meter.values()["psnr"]["all"]
    print(f"{result.frames} frames, {result.bytes} bytes, PSNR {psnr:.2f} dB")


if __name__ == "__main__":
    main()
