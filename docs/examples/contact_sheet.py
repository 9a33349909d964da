"""A contact sheet: takes a `.nrv` file, writes one PNG picture of many small frames.

python docs/examples/contact_sheet.py clip.nrv sheet.png --columns 6 --rows 4
"""

from __future__ import annotations

import argparse
from pathlib import Path

import av
import numpy as np

import nvcodec

_BLACK = (16, 128, 128)


def sheet(path: str, columns: int, rows: int, width: int) -> list[np.ndarray]:
    """Y, Cb and Cr of a grid of frames at even distances; `width` is that of one of them."""
    with nvcodec.Decoder(path) as decoder:
        header = decoder.header
        width = 2 * (width // 2)
        height = max(2, 2 * round(width * header.height / header.width / 2))
        shapes = [(height * rows >> sub, width * columns >> sub) for sub in (0, 1, 1)]
        planes = [np.full(s, v, np.uint8) for s, v in zip(shapes, _BLACK, strict=True)]
        count = min(columns * rows, len(decoder))
        for place in range(count):
            frame = decoder.render(place * len(decoder) // count, size=(width, height))
            row, column = divmod(place, columns)
            for plane, part in zip(planes, frame.planes, strict=True):
                h, w = part.shape
                plane[row * h : (row + 1) * h, column * w : (column + 1) * w] = part
    return planes


def write_png(planes: list[np.ndarray], output: Path) -> None:
    """Write Y, Cb and Cr as a PNG file."""
    height, width = planes[0].shape
    packed = np.concatenate([plane.reshape(-1) for plane in planes])
    picture = av.VideoFrame.from_ndarray(packed.reshape(height * 3 // 2, width), "yuv420p")
    codec = av.CodecContext.create("png", "w")
    codec.width, codec.height, codec.pix_fmt = width, height, "rgb24"
    codec.framerate = 1
    packets = [*codec.encode(picture.reformat(format="rgb24")), *codec.encode(None)]
    output.write_bytes(b"".join(bytes(packet) for packet in packets))


def main() -> None:
    """Run as the arguments say."""
    parser = argparse.ArgumentParser(description="Write a contact sheet of a .nrv file.")
    parser.add_argument("path")
    parser.add_argument("output", type=Path)
    parser.add_argument("--columns", type=int, default=6)
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--width", type=int, default=160, help="samples of one frame")
    arguments = parser.parse_args()
    planes = sheet(arguments.path, arguments.columns, arguments.rows, arguments.width)
    write_png(planes, arguments.output)


if __name__ == "__main__":
    main()
