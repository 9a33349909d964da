"""Clips made by moving still photographs, for training where free footage is scarce.

    python -m tools.train.photo_clips FOLDER PHOTO... --frames 17 --seed 0
    python -m tools.train.photo_clips FOLDER PHOTO... --frames 17 --seed 1 --still

Each photograph becomes a clip in FOLDER. It is panned, rotated and zoomed with sub-sample motion
and the motion blur of a 180-degree shutter. A part of the next photograph moves over it, and noise
changes from frame to frame. With `--still` the photograph itself does not move, as with a camera on
a tripod. The random generator is seeded by the seed and the file's name. Clips are 8-bit 4:2:0
(BT.709, limited range), lossless (FFV1 in Matroska).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import click
import numpy as np
import torch
from torch.nn.functional import avg_pool2d, grid_sample, interpolate

from nvcodec.picture import Planes
from tools.lib.clips import to_frame

_SUPERSAMPLING = 2
"""Window samples across a sample of the clip; the window is reduced by this at the end."""

_SHUTTER = (0.0, 0.25, 0.5)
"""Times, in frames, whose pictures are averaged into a frame."""

_TO_YUV = torch.tensor(
    [
        [0.2126, 0.7152, 0.0722],
        [-0.2126 / 1.8556, -0.7152 / 1.8556, 0.9278 / 1.8556],
        [0.7874 / 1.5748, -0.7152 / 1.5748, -0.0722 / 1.5748],
    ]
)


@dataclass(frozen=True)
class Path2D:
    """A motion: centre, angle and zoom of a window on a photograph as functions of time."""

    centre: tuple[float, float]
    velocity: tuple[float, float]
    shake: float
    phases: tuple[float, float, float, float]
    spin: float
    zoom: float

    @classmethod
    def drawn(cls, random: np.random.Generator, speed: float, room: tuple[float, float]) -> Path2D:
        """A random motion: centre within `room` of the middle, speed in clip samples per frame."""
        direction = random.uniform(0, 2 * math.pi)
        fast = speed * random.uniform(0.1, 1)
        return cls(
            (random.uniform(-room[0], room[0]), random.uniform(-room[1], room[1])),
            (fast * math.sin(direction), fast * math.cos(direction)),
            float(random.choice([0.0, 0.3, 1.0])),
            tuple(random.uniform(0, 2 * math.pi, 4)),
            random.normal() * 0.002,
            random.normal() * 0.003,
        )

    def grid(self, t: float, size: tuple[int, int], photo: tuple[int, int]) -> torch.Tensor:
        """Positions in a photograph of a window of `size` (rows, columns), as a grid_sample grid.

        Velocities are in samples of the clip, each _SUPERSAMPLING samples of the window.
        """
        a, b, c, d = self.phases
        shake = self.shake * _SUPERSAMPLING
        dy = self.centre[0] + _SUPERSAMPLING * self.velocity[0] * t
        dx = self.centre[1] + _SUPERSAMPLING * self.velocity[1] * t
        dy += shake * (math.sin(1.3 * t + a) + 0.5 * math.sin(2.9 * t + b))
        dx += shake * (math.sin(1.1 * t + c) + 0.5 * math.sin(3.3 * t + d))
        y, x = torch.meshgrid(
            *(torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in size), indexing="ij"
        )
        angle, scale = self.spin * t, math.exp(self.zoom * t)
        cos, sin = scale * math.cos(angle), scale * math.sin(angle)
        rows, columns = cos * y - sin * x + dy, sin * y + cos * x + dx
        return torch.stack([2 * columns / photo[1], 2 * rows / photo[0]], -1)[None]


def read_photo(path: Path) -> torch.Tensor:
    """A photograph as float32 (1, 3, rows, columns), 0..1."""
    with av.open(path) as container:
        frame = next(container.decode(video=0))
        rgb = frame.reformat(format="rgb24").to_ndarray()
    return torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255


def _layer(photo: torch.Tensor, path: Path2D, t: float, size: tuple[int, int]) -> torch.Tensor:
    grid = path.grid(t, size, (photo.shape[2], photo.shape[3]))
    return grid_sample(
        photo, grid, mode="bicubic", padding_mode="reflection", align_corners=False
    ).clamp(0, 1)


def _blob(random: np.random.Generator, photo: torch.Tensor) -> torch.Tensor:
    """A mask with a smooth outline, the size of a photograph; about a tenth of it is 1."""
    coarse = torch.from_numpy(random.normal(size=(1, 1, 7, 11)).astype(np.float32))
    smooth = interpolate(coarse, photo.shape[2:], mode="bicubic", align_corners=False)
    softness = float(random.choice([0.004, 0.02, 0.1]))
    return torch.sigmoid((smooth - 1.0) / softness)


def photo_clip(
    photo: torch.Tensor,
    other: torch.Tensor,
    size: tuple[int, int],
    frames: int,
    still: bool,
    random: np.random.Generator,
) -> Iterator[Planes]:
    """The frames of a clip of `size` (rows, columns), both even."""
    window = (size[0] * _SUPERSAMPLING, size[1] * _SUPERSAMPLING)
    # Reduction of the photograph, from full sharpness to the whole photograph in the window.
    fits = min(photo.shape[2] / window[0], photo.shape[3] / window[1])
    photo, other = (
        interpolate(p, scale_factor=1 / max(1.0, fits * reduction), mode="area")
        if fits * reduction > 1
        else p
        for p, reduction in ((photo, random.uniform(0.45, 0.9)), (other, random.uniform(0.3, 0.8)))
    )
    room = tuple(max(0.0, (p - w) / 2) for p, w in zip(photo.shape[2:], window, strict=True))
    speed = float(random.choice([0.5, 2.0, 6.0]))
    behind = Path2D.drawn(random, speed, (room[0], room[1]))
    if still:
        behind = replace(behind, velocity=(0.0, 0.0), shake=0.0, spin=0.0, zoom=0.0)
    before = Path2D.drawn(random, 2 * speed, (window[0] / 4, window[1] / 4))
    masked = torch.cat([other, _blob(random, other)], 1)
    noise = float(random.choice([0.0, 0.6, 1.2, 2.0]))
    generator = torch.Generator().manual_seed(int(random.integers(1 << 31)))
    for k in range(frames):
        light = torch.zeros(1, 3, *size)
        for t in _SHUTTER:
            scene = _layer(photo, behind, k + t, window)
            front = _layer(masked, before, k + t, window)
            scene = scene + front[:, 3:] * (front[:, :3] - scene)
            light += avg_pool2d(scene, _SUPERSAMPLING) / len(_SHUTTER)
        yuv = torch.einsum("kc,bcyx->bkyx", _TO_YUV, light)
        yuv = yuv * torch.tensor([219.0, 224.0, 224.0])[None, :, None, None]
        yuv += torch.tensor([16.0, 128.0, 128.0])[None, :, None, None]
        yuv += noise * torch.randn(yuv.shape, generator=generator)
        chroma = avg_pool2d(yuv[:, 1:], 2)[0]
        y, u, v = (p.round().clamp(0, 255).byte().numpy() for p in (yuv[0, 0], *chroma))
        yield y, u, v


def write_clip(path: Path, size: tuple[int, int], frames: Sequence[Planes]) -> None:
    """Write frames to a lossless file."""
    with av.open(path, "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(25))
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        for planes in frames:
            container.mux(stream.encode(to_frame(planes)))
        container.mux(stream.encode())


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.argument("photos", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--size", default="640x360", show_default=True)
@click.option("--frames", default=17, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--still", is_flag=True, help="Photographs do not move.")
def main(
    folder: Path, photos: tuple[Path, ...], size: str, frames: int, seed: int, still: bool
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    columns, rows = map(int, size.split("x"))
    torch.set_num_threads(1)
    for path, next_path in zip(photos, photos[1:] + photos[:1], strict=True):
        random = np.random.default_rng([seed, zlib.crc32(path.name.encode())])
        shape = (rows, columns)
        clip = photo_clip(read_photo(path), read_photo(next_path), shape, frames, still, random)
        target = folder / f"{path.stem}-{seed}_{size}.mkv"
        write_clip(target, shape, list(clip))
        click.echo(target.name)


if __name__ == "__main__":
    main()
