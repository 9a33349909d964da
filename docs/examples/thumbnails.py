"""Thumbnails: takes a `.nrv` file, writes small PNG pictures at regular times.

    python docs/examples/thumbnails.py clip.nrv thumbnails/ --every 2 --width 160

`Decoder.render` resizes: other sizes are a part of the format (spec 6), so every decoder gives
the same samples.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np

import nvcodec


def png(planes: Sequence[np.ndarray]) -> bytes:
    """A PNG file of Y, Cb and Cr of even size."""
    height, width = planes[0].shape
    packed = np.concatenate([plane.reshape(-1) for plane in planes])
    picture = av.VideoFrame.from_ndarray(packed.reshape(height * 3 // 2, width), "yuv420p")
    codec = av.CodecContext.create("png", "w")
    codec.width, codec.height, codec.pix_fmt = width, height, "rgb24"
    codec.framerate = 1
    packets = [*codec.encode(picture.reformat(format="rgb24")), *codec.encode(None)]
    return b"".join(bytes(packet) for packet in packets)


def thumbnails(path: str, folder: Path, every: float, width: int) -> list[Path]:
    """Write a picture for each `every` seconds; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    with nvcodec.Decoder(path) as decoder:
        header = decoder.header
        size = (2 * (width // 2), max(2, 2 * round(width * header.height / header.width / 2)))
        rate = header.frame_rate_num / header.frame_rate_den if header.frame_rate_den else 25
        for number in range(0, len(decoder), max(1, round(every * rate))):
            files.append(folder / f"{number:06}.png")
            files[-1].write_bytes(png(decoder.render(number, size=size).planes))
    return files


def main() -> None:
    """Run as the arguments say."""
    parser = argparse.ArgumentParser(description="Write thumbnails of a .nrv file.")
    parser.add_argument("path")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=float, default=2.0, help="seconds")
    parser.add_argument("--width", type=int, default=160, help="samples")
    arguments = parser.parse_args()
    for file in thumbnails(arguments.path, arguments.folder, arguments.every, arguments.width):
        print(file)


if __name__ == "__main__":
    main()
