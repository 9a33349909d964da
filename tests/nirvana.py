"""Bitstreams of the nirvana model with random residuals and paths: they need no training."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nvcodec.coding.nirvana.components import (
    INPUTS,
    NO_COMPONENTS,
    SLOTS,
    Component,
    Components,
    encode_components,
)
from nvcodec.coding.nirvana.features import ContentEncoder
from nvcodec.coding.nirvana.motion import MAX_VECTOR, encode_motion
from nvcodec.coding.nirvana.table import FEATURES, VOLUME
from nvcodec.format import NIRVANA, Group, Header, NrvWriter, smallest_level
from nvcodec.model.description import PatchShape
from nvcodec.model.nirvana.layers import GroupParameters, Layers
from nvcodec.model.nirvana.moved import step_of
from nvcodec.model.nirvana.parameters import (
    Grid,
    Parameters,
    moved_features,
    seen_features,
    with_residuals,
)
from nvcodec.model.nirvana.render import layer_plane, region_bands, render_band
from nvcodec.picture import YUV420P8, Planes, Region, SampleFormat, samples_crc
from tests.coding.nirvana.samples import least_numbers


@dataclass(frozen=True)
class NirvanaPlan:
    """What a synthetic bitstream holds."""

    width: int = 45
    height: int = 30
    frames: Sequence[int] = (4, 4, 1, 3, 2)
    keys: Sequence[int] = (0, 3)
    durations: Sequence[int] = (1,)
    seed: int = 0
    chroma_location: int = 0
    wild: bool = False
    samples: SampleFormat = YUV420P8

    @property
    def shape(self) -> PatchShape:
        """The description of the model."""
        return PatchShape()


def random_motion(
    rng: np.random.Generator, grid: Grid, frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """Paths of blocks, some as those of their neighbours, a few very long; and intra blocks."""
    shape = grid.block_rows, grid.block_columns
    paths = np.zeros((*shape, frames, 2), np.int32)
    intra = (rng.random(shape) < 0.15).astype(np.uint8)
    for y, x in np.ndindex(*shape):
        kind = rng.integers(5)
        if kind == 0 and x > 0:
            paths[y, x] = paths[y, x - 1]
        elif kind == 1:
            paths[y, x] = rng.integers(-MAX_VECTOR, MAX_VECTOR + 1, (frames, 2))
        elif kind > 1:
            paths[y, x] = rng.integers(-9, 10, 2) * np.arange(1, frames + 1)[:, None]
    paths[intra != 0] = 0
    return paths, intra


def random_residuals(rng: np.random.Generator, patches: int, q: int, key: bool) -> np.ndarray:
    """Residuals of lively pictures: of features of about so many samples."""
    samples = np.repeat([150.0, 50.0, 15.0], [4, 12, FEATURES - 16]) * (1 if key else 0.4)
    values = rng.laplace(0, 1, (patches, FEATURES)) * samples * 64 / step_of(q)
    # Some patches have fewer slices.
    for first in (40, 80, 128):
        values[rng.random(patches) < 0.3, first:] = 0
    return np.rint(values).astype(np.int32)


def random_components(
    rng: np.random.Generator, before: Components, wild: bool = False
) -> Components:
    """Those before, but in some slots changes of the output layer, or none.

    Changes are small, or so large that sums of samples wrap.
    """
    most, shifts = (127, (0, 3)) if wild else (9, (5, 9))
    found = list(before)
    for slot in range(SLOTS):
        kind = rng.integers(4)
        if kind == 0:
            found[slot] = None
        elif kind == 1:
            parts = (rng.integers(-most, most + 1, n).astype(np.int8) for n in (INPUTS, VOLUME))
            inputs, outputs = (part.tobytes() for part in parts)
            found[slot] = Component(int(rng.integers(*shifts)), inputs, outputs)
    return tuple(found)


def render_layer(
    parameters: Parameters,
    grid: Grid,
    frames: Sequence[int],
    region: Region | None = None,
    samples: SampleFormat = YUV420P8,
) -> np.ndarray:
    """Frames of a layer, or a region of them: (frames, rows, columns)."""
    shown = region or (0, 0, grid.width, grid.height)
    out = layer_plane(grid, shown, len(frames), samples)
    for band in region_bands(shown):
        render_band(parameters, frames, band, out)
    return out.cut()


def synthesize_nirvana(plan: NirvanaPlan) -> tuple[bytes, list[Planes]]:
    """A complete bitstream and the frames it decodes to."""
    rng = np.random.default_rng(plan.seed)
    file = io.BytesIO()
    writer = NrvWriter(file)
    header = Header(
        level=smallest_level(2 * plan.width * plan.height, 0, 1 << 16, 0),
        model=NIRVANA,
        width=plan.width,
        height=plan.height,
        chroma_format=plan.samples.chroma_format,
        bit_depth=plan.samples.bit_depth,
        frame_rate_num=30,
        frame_rate_den=1,
        time_base_num=1,
        time_base_den=90,
        chroma_location=plan.chroma_location,
    )
    writer.begin(header, plan.shape.to_payload(), {"encoder": "synthetic"})
    layers = Layers(plan.width, plan.height, plan.samples)
    pictures: list[Planes] = []
    before: GroupParameters | None = None
    pts = 5
    for number, count in enumerate(plan.frames):
        key, q = number in plan.keys, int(rng.integers(18, 42))
        before = None if key else before
        paths, intra = random_motion(rng, layers.grids[0], count)
        old = NO_COMPONENTS if before is None else before[0].components
        components = random_components(rng, old, plan.wild)
        encoder, made = ContentEncoder(q, layers.patches), []
        for k, grid in enumerate(layers.grids):
            last = None if before is None else before[k]
            moved = moved_features(grid, last, paths, intra)
            seen = seen_features(grid, last, moved, q)
            seen.residual[:] = random_residuals(rng, grid.patches, q, key)
            seen.number[:] = least_numbers(seen.residual)
            # The encoder fills sums, and needs the residuals as they are.
            encoder.write(seen)
            own = NO_COMPONENTS if k else components
            made.append(with_residuals(grid, moved, seen.residual, q, count, own))
        before = tuple(made)
        planes = [
            render_layer(layer, grid, range(count), samples=plan.samples)
            for layer, grid in zip(before, layers.grids, strict=True)
        ]
        rendered: list[Planes] = list(zip(*planes, strict=True))
        durations = tuple(plan.durations[k % len(plan.durations)] for k in range(count))
        writer.add_group(
            Group(
                first_frame=len(pictures),
                frame_count=count,
                key=key,
                crc=samples_crc(rendered),
                first_pts=pts,
                durations=durations,
                tables=b"",
                content=encoder.finish(),
                motion=b"" if key else encode_motion(paths, intra),
                network=encode_components(components, old),
            )
        )
        pts += sum(durations)
        pictures += rendered
    writer.finish()
    return file.getvalue(), pictures
