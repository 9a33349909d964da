"""Frames in any order: takes a `.nrv` file and frame numbers, prints when each is shown.

    python docs/examples/random_frames.py clip.nrv 100 3 -1

Each frame is decoded alone. A decoder rebuilds only what that frame depends on: the groups from
the key group before it, and in the hybrid model only the canvases on the way to it.
"""

from __future__ import annotations

import argparse

import nvcodec


def describe(path: str, numbers: list[int]) -> list[str]:
    """A line for each frame; negative numbers count from the end."""
    lines = []
    with nvcodec.Decoder(path) as decoder:
        for number in numbers:
            frame = decoder[number]
            luma = frame.planes[0]
            lines.append(
                f"frame {frame.index} at {float(frame.time):.3f} s, luma {luma.mean():.1f}"
            )
    return lines


def main() -> None:
    """Run as the arguments say."""
    parser = argparse.ArgumentParser(description="Decode single frames of a .nrv file.")
    parser.add_argument("path")
    parser.add_argument("numbers", type=int, nargs="+")
    arguments = parser.parse_args()
    print("\n".join(describe(arguments.path, arguments.numbers)))


if __name__ == "__main__":
    main()
