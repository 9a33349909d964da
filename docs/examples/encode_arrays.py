"""Arrays to a `.nrv` file: takes RGB pictures as NumPy arrays, encodes them without a video file.

    python docs/examples/encode_arrays.py bars.nrv

`nvcodec.encode` reads any binary file object. Y4M is the simplest form of raw video: a line of
text, then for each picture the word FRAME and its planes. A long video would go through a pipe, so
that it is never whole in memory.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterable

import av
import numpy as np

import nvcodec


def y4m(pictures: Iterable[np.ndarray], rate: int = 25) -> bytes:
    """Y4M of RGB pictures, u8 (height, width, 3), of one even size."""
    file = io.BytesIO()
    for picture in pictures:
        height, width, _ = picture.shape
        if not file.tell():
            file.write(f"YUV4MPEG2 W{width} H{height} F{rate}:1 Ip A1:1 C420mpeg2\n".encode())
        frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p")
        file.write(b"FRAME\n" + frame.to_ndarray().tobytes())
    return file.getvalue()


def bars(count: int, width: int = 96, height: int = 64) -> Iterable[np.ndarray]:
    """Pictures of coloured bars that move to the right."""
    x = np.arange(width)
    for t in range(count):
        phase = 2 * np.pi * (x - 2 * t) / 48
        row = 128 + 100 * np.sin(phase[:, None] + np.array([0, 2, 4]))
        yield np.ascontiguousarray(np.broadcast_to(row.astype(np.uint8), (height, width, 3)))


def main() -> None:
    """Run as the arguments say."""
    parser = argparse.ArgumentParser(description="Encode pictures that were made in memory.")
    parser.add_argument("output")
    parser.add_argument("--frames", type=int, default=24)
    arguments = parser.parse_args()
    source = io.BytesIO(y4m(bars(arguments.frames)))
    result = nvcodec.encode(source, arguments.output, crf=28, preset="fast", overwrite=True)
    psnr = result.meter.values()["psnr"]["all"]
    print(f"{result.frames} frames, {result.bytes} bytes, PSNR {psnr:.2f} dB")


if __name__ == "__main__":
    main()
