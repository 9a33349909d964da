"""Training data of the fusion network: encodes clips and keeps patches of sites with their errors.

    python -m tools.train.fusion_data FOLDER CLIP... --crf 19,24,29,34 --share 0.3

Each clip is encoded with the hybrid model without network at every crf and decoded again. FOLDER
gets a file for each encode: patches of the network's inputs (spec 9.3), the differences between
source and canvas, and the quantiser indices of sites. Patches of interior canvases are drawn at
random, seeded by clip and crf. All patches of key and chain canvases, which are few, are kept.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.canvases import CanvasReader
from nvcodec.encode.encoder import encode
from nvcodec.format import GroupUnit, UnitReader
from nvcodec.format.reader import Description
from nvcodec.model.description import CanvasShape
from nvcodec.model.hybrid.canvas.plane import Canvas, coded_size, handed_on, schedule
from nvcodec.model.hybrid.canvas.reconstruct import reconstruct
from nvcodec.model.hybrid.fusion.render import NetworkSource, site_inputs
from nvcodec.picture import Planes
from tools.lib.clips import Clip
from tools.lib.measure import ONE_KEY

PATCH = 32
"""Sites across a patch."""

HALO = 3
"""Sites around a patch whose inputs are kept too: the reach of three 3 x 3 layers."""


@dataclass(frozen=True, eq=False)
class Patches:
    """Patches of one encode.

    inputs: int16 (n, 18, PATCH + 2 * HALO, PATCH + 2 * HALO), spec 9.3.
    errors: int16 (n, 6, PATCH, PATCH), source minus canvas.
    quantisers: u8 (n, 2, PATCH, PATCH), of luma and of chroma.
    sets: u8 (n,), the Set of the canvas.
    counts: int64 (3,), the number of patches of each Set before the draw.
    bytes: size of the whole encode's file.
    squares, samples: squared error of all samples of the whole encode's canvases, and their number.
    """

    inputs: npt.NDArray[np.int16]
    errors: npt.NDArray[np.int16]
    quantisers: npt.NDArray[np.uint8]
    sets: npt.NDArray[np.uint8]
    counts: npt.NDArray[np.int64]
    bytes: int
    squares: int
    samples: int

    def save(self, path: Path) -> None:
        """Write the file that `load` reads."""
        np.savez(path, **vars(self))

    @classmethod
    def load(cls, path: Path) -> Patches:
        """Read a file of patches."""
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
        whole = {name: int(arrays.pop(name)) for name in ("bytes", "squares", "samples")}
        return cls(**arrays, **whole)


def network_sources(stream: bytes) -> Iterator[tuple[int, NetworkSource]]:
    """The frames of a hybrid bitstream in coding order: their numbers and network sources.

    The bitstream must be valid; it is not checked.
    """
    with io.BytesIO(stream) as file:
        reader = UnitReader(file)
        header = reader.open()
        size = coded_size(header.width, header.height)
        shape = CanvasShape(1)
        before: dict[int, Canvas] = {}
        for event in reader:
            if isinstance(event, Description):
                shape = CanvasShape.from_payload(event.payload)
            if not isinstance(event, GroupUnit):
                continue
            group = event.group
            substreams = CanvasReader(group.motion, group.content, size)
            made = {} if group.key else dict(before)
            steps = schedule(group.frame_count, group.key, group.second)
            for step in steps:
                _, leaves, units, levels, filters = substreams.read(step.set, step.b is not None)
                used = [made[frame] for frame in step.references]
                canvas = reconstruct(
                    leaves,
                    units,
                    levels,
                    step,
                    used,
                    size,
                    shape.chroma_offset,
                    filters=filters,
                )
                made[step.frame] = canvas
                references = [reference.planes for reference in used]
                yield (
                    group.first_frame + step.frame,
                    NetworkSource.of(canvas, leaves, references, shape.chroma_offset),
                )
            before = handed_on({} if group.key else before, made[steps[0].frame])


def site_errors(planes: Planes, canvas: Canvas) -> npt.NDArray[np.int16]:
    """Source minus canvas: int16 (6, rows, columns) of the sites that lie in the picture."""
    luma, blue, red = (
        source.astype(np.int16) - made
        for source, made in zip(planes, canvas.crop(*planes[0].shape[::-1]), strict=True)
    )
    rows, columns = luma.shape[0] // 2, luma.shape[1] // 2
    phases = [luma[y : 2 * rows : 2, x : 2 * columns : 2] for y in range(2) for x in range(2)]
    return np.stack([*phases, blue[:rows, :columns], red[:rows, :columns]])


def site_quantisers(source: NetworkSource) -> npt.NDArray[np.uint8]:
    """Quantiser indices u8 (2, rows, columns) of sites, of luma and of chroma."""
    luma = source.quantisers.repeat(4, 0).repeat(4, 1)
    chroma = np.clip(luma.astype(np.int16) + source.chroma_offset, 0, 63).astype(np.uint8)
    return np.stack([luma, chroma])


def collect(clip: Clip, crf: float, share: float, preset: str) -> Patches:
    """Encode a clip; keep all patches of key and chain canvases and a share of the others."""
    file = io.BytesIO()
    result = encode(
        clip.path,
        file,
        model="hybrid",
        crf=crf,
        preset=preset,
        network="off",
        skip=clip.skip,
        frames=clip.frames,
        key_interval=ONE_KEY,
        threads=1,
        overwrite=True,
    )
    pictures = clip.pictures()
    random = np.random.default_rng(zlib.crc32(f"{clip.name} {crf:g}".encode()))
    inputs, errors, quantisers, sets = [], [], [], []
    counts = np.zeros(3, np.int64)
    squares = samples = 0
    for frame, source in network_sources(file.getvalue()):
        canvas = source.canvas
        wrong = site_errors(pictures[frame], canvas)
        squares += int(np.square(wrong, dtype=np.int64).sum())
        samples += wrong.size
        rows, columns = ((side - 2 * HALO) // PATCH for side in wrong.shape[1:])
        counts[canvas.step.set] += rows * columns
        x = site_inputs(source)
        q = site_quantisers(source)
        for n in range(rows * columns):
            if canvas.step.set == 2 and random.random() >= share:
                continue
            y0, x0 = n // columns * PATCH, n % columns * PATCH
            inner = np.s_[:, y0 + HALO : y0 + HALO + PATCH, x0 + HALO : x0 + HALO + PATCH]
            inputs.append(x[:, y0 : y0 + PATCH + 2 * HALO, x0 : x0 + PATCH + 2 * HALO])
            errors.append(wrong[inner])
            quantisers.append(q[inner])
            sets.append(canvas.step.set)
    return Patches(
        np.stack(inputs),
        np.stack(errors),
        np.stack(quantisers),
        np.array(sets, np.uint8),
        counts,
        result.bytes,
        squares,
        samples,
    )


def patches_path(folder: Path, clip: Clip, crf: float) -> Path:
    """The file of an encode."""
    return folder / f"{clip.name}-{crf:g}.npz"


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.argument("clips", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--crf", "crfs", default="19,24,29,34", show_default=True)
@click.option("--frames", type=click.IntRange(min=1), help="Frames of each clip.  [default: all]")
@click.option(
    "--share", default=0.3, show_default=True, help="Share of patches of interior canvases."
)
@click.option("--preset", default="medium", show_default=True)
def main(
    folder: Path,
    clips: tuple[Path, ...],
    crfs: str,
    frames: int | None,
    share: float,
    preset: str,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for clip in (Clip(path, frames) for path in clips):
        for crf in map(float, crfs.split(",")):
            path = patches_path(folder, clip, crf)
            if path.exists():
                continue
            patches = collect(clip, crf, share, preset)
            patches.save(path)
            click.echo(
                f"{path.name}: {len(patches.sets)} of {patches.counts.sum()} patches,"
                f" {patches.bytes} B, squared error {patches.squares / patches.samples:.3f}"
            )


if __name__ == "__main__":
    main()
