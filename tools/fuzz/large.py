"""Files at the bounds of level 2 (spec 2.11) that make a decoder work hardest, and what they take.

    python -m tools.fuzz.large
    python -m tools.fuzz.large --only 'hybrid*'

Small canvases of syntax that is composed to cost most are repeated over the largest frames; other
files have substreams of next to no bytes, or as many units and entries as bytes allow. For each
there is a line: its bytes and steps, seconds of processor time for each step, the longest wait for
a frame, and memory beside what the decoder states (spec 10).

A step is a frame of a group, or a unit beside the video. A decoder shall take at most
`MOST_SECONDS` of processor time for each.
"""

from __future__ import annotations

import contextlib
import fnmatch
import functools
import gc
import io
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np

from nvcodec.coding.hybrid.canvases import CanvasReader, ReadCanvas
from nvcodec.coding.hybrid.content import (
    content_capacity,
    default_content_contexts,
    encode_content,
)
from nvcodec.coding.hybrid.filters import encode_filters, filters_capacity
from nvcodec.coding.hybrid.leaves import FIRST, UNIT_PLANE, UNIT_START, UNIT_X, UNIT_Y, Q, X, Y
from nvcodec.coding.hybrid.motion import default_motion_contexts, encode_motion, motion_capacity
from nvcodec.coding.rangecoder import RangeEncoder
from nvcodec.decode.decoder import Decoder
from nvcodec.format import Limits, NrvError
from nvcodec.format.limits import LEVELS
from nvcodec.model.hybrid.canvas.plane import schedule
from nvcodec.model.sine.shape import NetworkShape
from nvcodec.picture import SampleFormat
from tests.hybrid import settle_quantisers
from tests.nirvana import NirvanaPlan, synthesize_nirvana
from tests.synthetic import Plan, synthesize
from tools.fuzz.mutate import LooseGroup, split
from tools.lib import report
from tools.vectors.compose import Dice, Video
from tools.vectors.pack import (
    DESCRIPTIONS,
    HYBRID,
    SINE,
    Group,
    Unit,
    apkt,
    atrk,
    chap,
    complete,
    grup,
    head,
    hybr,
    meta,
    packet,
    sirn,
)

LEVEL = LEVELS[2]
LIMITS = Limits(
    max_luma_samples=LEVEL.luma_samples,
    max_weights=LEVEL.weights,
    max_unit_bytes=LEVEL.unit_bytes,
    max_multiplications=LEVEL.multiplications,
)
MOST_SECONDS = 2.0
SLACK = 96 << 20
"""Bytes beside what the decoder states: payloads of units, and what Python keeps."""

ROOT = 64
EIGHT, DEEP = SampleFormat(8, 1), SampleFormat(12, 3)


class SlowError(AssertionError):
    """A request took longer, or more memory, than it may."""


@dataclass(frozen=True)
class Taken:
    """What all requests of a file took: processor seconds, the longest wait for a frame, bytes."""

    seconds: float
    steps: int
    longest: float
    memory: int
    stated: int

    @property
    def share(self) -> float:
        """Seconds of processor time for each step."""
        return self.seconds / self.steps

    def require(self) -> None:
        """Raise SlowError for what takes longer or more memory than it may."""
        if self.share > MOST_SECONDS:
            raise SlowError(f"{self.seconds:.1f} s of processor time for {self.steps} steps")
        if self.memory > self.stated + SLACK:
            raise SlowError(f"{self.memory >> 20} MiB, stated are {self.stated >> 20}")


def _forced(**values: int | None) -> Callable[[str, int], int | None]:
    """Decides bits of model 2 by what they are for; others are drawn."""
    of_motion = (
        (range(27), "split"), (range(27, 28), "four"), (range(28, 34), "intra"),
        (range(34, 58), "merge"), (range(66, 70), "both"), (range(71, 75), "both"),
        (range(179, 185), "copied"),
    )  # fmt: skip
    of_content = ((range(7, 1157), "coded"), (range(1157, 1733), "more"), (range(1763, 1769), "on"))
    table = {"MotionStream": of_motion, "ContentStream": of_content}

    def force(stream: str, context: int) -> int | None:
        found = (name for numbers, name in table.get(stream, ()) if context in numbers)
        return values.get(next(found, ""))

    return force


def _tiled(canvas: ReadCanvas, across: int, down: int, samples: SampleFormat) -> ReadCanvas:
    """A canvas of one root block, repeated."""
    count = across * down
    leaves, units, levels = (
        np.tile(table, (count, 1)) for table in (canvas.leaves, canvas.units, canvas.levels)
    )
    of_leaf = np.repeat(np.arange(count), len(canvas.leaves))
    of_unit = np.repeat(np.arange(count), len(canvas.units))
    leaves[:, X] += ROOT * (of_leaf % across)
    leaves[:, Y] += ROOT * (of_leaf // across)
    leaves[:, FIRST] += of_leaf * len(canvas.units)
    x, y = samples.chroma_shift
    chroma = units[:, UNIT_PLANE] > 0
    units[:, UNIT_X] += np.where(chroma, ROOT >> x, ROOT) * (of_unit % across)
    units[:, UNIT_Y] += np.where(chroma, ROOT >> y, ROOT) * (of_unit // across)
    units[:, UNIT_START] += of_unit * len(canvas.levels)
    settle_quantisers(leaves, canvas.quantiser)
    filters = canvas.filters
    if filters is not None:
        filters = replace(filters, on=np.tile(filters.on, (1, down, across)))
    return ReadCanvas(canvas.quantiser, leaves, units, levels, filters)


def _repeated(
    group: tuple[bool, int, int], dice: Dice, size: tuple[int, int], samples: SampleFormat
) -> tuple[bytes, bytes]:
    """Content and motion of a (key, frames, second) group whose root blocks are all the same."""
    key, count, second = group
    width, height = size
    fields = {"chroma_format": samples.chroma_format, "bit_depth": samples.bit_depth}
    video = Video({"model": HYBRID, "width": ROOT, "height": ROOT, **fields}, hybr(32))
    if not key:
        video.add(True, (1,), Dice(0, wild=0.0))
    small = video.add(key, (1,) * count, dice, second=second)
    reader = CanvasReader(small.motion, small.content, (ROOT, ROOT), sample_format=samples)
    steps = schedule(count, key, second)
    canvases = [
        _tiled(reader.read(step.set, step.b is not None), width // ROOT, height // ROOT, samples)
        for step in steps
    ]
    motion = RangeEncoder(
        default_motion_contexts(), sum(motion_capacity(canvas.leaves) for canvas in canvases)
    )
    content = RangeEncoder(
        default_content_contexts(),
        sum(content_capacity(c.leaves, c.units, c.levels) for c in canvases)
        + sum(filters_capacity(c.filters) for c in canvases if c.filters is not None),
    )
    for step, (quantiser, leaves, units, levels, filters) in zip(steps, canvases, strict=True):
        encode_motion(motion, leaves, *size, step.set, samples, two=step.b is not None)
        if filters is not None:
            encode_filters(content, filters)
        varying = bool((leaves[:, Q] != quantiser).any())
        encode_content(content, leaves, units, levels, quantiser, varying, step.set, samples)
    return content.finish(), motion.finish()


def _file(
    model: int,
    description: bytes,
    groups: Sequence[Group],
    more: Sequence[Unit] = (),
    **fields: int,
) -> bytes:
    """A file of groups; frames and times follow from their order."""
    units = [Unit(b"HEAD", head(level=2, model=model, **fields))]
    units += [Unit(DESCRIPTIONS[model], description), *more]
    first = 0
    for group in groups:
        units.append(grup(replace(group, first_frame=first, first_pts=first)))
        first += len(group.durations)
    return complete(units)


def _group(key: bool, count: int = 1, second: int = 0, **substreams: bytes) -> Group:
    return Group(0, (1,) * count, 0, key, second=second, **substreams)


def _hybrid(
    groups: Sequence[tuple[tuple[bool, int, int], Dice]],
    size: tuple[int, int] = (1024, 1024),
    samples: SampleFormat = EIGHT,
) -> bytes:
    """Repeated root blocks, through the fusion network."""
    made = []
    for (key, count, second), dice in groups:
        content, motion = _repeated((key, count, second), dice, size, samples)
        made.append(_group(key, count, second, content=content, motion=motion))
    fields = {"chroma_format": samples.chroma_format, "bit_depth": samples.bit_depth}
    return _file(HYBRID, hybr(32, 1, 1), made, width=size[0], height=size[1], **fields)


def _ones(width: int, height: int, **fields: int) -> bytes:
    """Substreams without a byte: every bit with a context is 1, so all is split and coded."""
    groups = [_group(True), _group(False, 8), _group(False, 1, 2), _group(True)]
    return _file(HYBRID, hybr(32, -12, 1), groups, width=width, height=height, **fields)


def _key(**dice: float) -> tuple[tuple[bool, int, int], Dice]:
    force = _forced(split=1, four=1, intra=1, copied=0, coded=1, more=1, on=1)
    return (True, 1, 0), Dice(1, curious=0.0, quantisers=(40,), force=force, **dice)


def _inter(count: int, second: int, **dice: float) -> tuple[tuple[bool, int, int], Dice]:
    force = _forced(split=1, intra=0, merge=0, both=1, coded=1, more=1, on=1)
    return (False, count, second), Dice(1, curious=0.0, quantisers=(40,), force=force, **dice)


def _sine(shape: tuple[int, ...], groups: Sequence[int], size: int = 1024) -> bytes:
    """Groups that leave the weights as they are by a run of four bytes."""
    layers = shape[2] + 3
    records = b"".join(struct.pack("<BBHH", 60, 0, 1, 1) for _ in range(layers))
    run = b"\xff\xff\xff\xfe"
    made = [_group(not k, n, network=run if k else records + run) for k, n in enumerate(groups)]
    return _file(SINE, sirn(*shape), made, width=size, height=size)


def _beside() -> bytes:
    """As much beside the video as may be."""
    tracks = [atrk(k, 2, "bin_data", title="x", extradata=bytes(1 << 17)) for k in range(64)]
    chapters = chap([(k, k, "") for k in range(10_000)])
    nested = meta('{"x":' + "[" * 30_000 + "]" * 30_000 + "}")
    packets = apkt(0, packet(b"", pts=0, duration=0), *[packet(b"")] * 65_534)
    front = [*[nested] * 16, chapters, *tracks, *[packets] * 2]
    return _file(HYBRID, hybr(1), [_group(True)], front, width=8, height=8)


FILES: dict[str, Callable[[], bytes]] = {
    "hybrid ones": lambda: _ones(1024, 1024),
    "hybrid ones, a row": lambda: _ones(65528, 16),
    "hybrid ones, a column": lambda: _ones(16, 65528),
    "hybrid ones, 4:4:4 12": lambda: _ones(720, 728, chroma_format=3, bit_depth=12),
    "hybrid escapes": lambda: _hybrid([_key(ones=0.97)]),
    "hybrid fifteens": lambda: _hybrid([_key(ones=0.1), _inter(4, 2, ones=0.1, wild=0.2)]),
    "hybrid vectors": lambda: _hybrid([_key(ones=0.5), _inter(4, 0, ones=0.7, wild=0.4)]),
    "hybrid escapes, 4:4:4 12": lambda: _hybrid(
        [_key(ones=0.8), _inter(2, 2, ones=0.5, wild=0.3)], (704, 704), DEEP
    ),
    "sine lone frames": lambda: _sine((4, 32, 2, 256, 48, 1), [1, 1]),
    "sine full groups": lambda: _sine((16, 1, 8, 512, 4, 8), [1, 1]),
    "sine weights": lambda: synthesize(
        Plan(NetworkShape(64, 1, 4, 1020, 1, 1), 1024, 1024, (1, 1), (0,), change=1.0)
    )[0],
    "nirvana": lambda: synthesize_nirvana(
        NirvanaPlan(width=1024, height=1024, frames=(4, 4), keys=(0,), wild=True)
    )[0],
    "many groups": lambda: _file(
        HYBRID, hybr(1), [_group(True)] * 4000, width=8, height=8, chroma_format=0
    ),
    "much beside": _beside,
}


FUZZED = (
    "hybrid ones", "hybrid ones, a row", "hybrid escapes", "hybrid fifteens", "hybrid vectors",
    "sine full groups", "sine lone frames", "many groups", "much beside",
)  # fmt: skip
"""Those that `tools.fuzz` mutates: they are made in a second or so."""


@functools.cache
def made(name: str) -> bytes:
    """A file by its name."""
    return FILES[name]()


def _reset_peak() -> None:
    """Let the kernel forget the most memory that this process had."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")


def _memory(name: str) -> int:
    """VmHWM or VmRSS of this process in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))


def steps_of(data: bytes) -> int:
    """Frames of groups, and units beside the video; one at least."""
    count = 0
    for unit in split(data):
        if unit.kind == b"GRUP":
            frames = 1
            with contextlib.suppress(IndexError, struct.error):
                frames = min(32, LooseGroup.parse(unit.payload).frame_count)
            count += frames
        count += unit.kind in (b"mETa", b"cHAP", b"aTRK", b"aPKt")
    return max(1, count)


def taken(data: bytes, threads: int = 1) -> Taken:
    """Ask a decoder for all that a file has: what stands beside it, its length, its frames.

    A column is left out, so that no CRC of samples stops it.
    """
    _reset_peak()
    before, stated, longest = _memory("VmRSS"), 0, 0.0
    start = time.process_time()
    try:
        with Decoder(io.BytesIO(data), threads=threads, limits=LIMITS) as decoder:
            stated = decoder._model.most_bytes
            assert (decoder.tracks, decoder.chapters, decoder.hdr) is not None
            for _ in decoder.packets():
                pass
            len(decoder)
            width, height = decoder.header.width, decoder.header.height
            last = time.process_time()
            for _ in decoder.frames(crop=(max(1, width - 1), height, 0, 0)):
                now = time.process_time()
                longest, last = max(longest, now - last), now
    except NrvError:
        pass
    seconds = time.process_time() - start
    memory = _memory("VmHWM") - before
    # Only now, as it copies the units.
    return Taken(seconds, steps_of(data), longest, memory, stated)


def settled(data: bytes, threads: int = 1) -> Taken:
    """What a file takes; once more where it is much, as kernels are compiled or loaded at first."""
    found = taken(data, threads)
    return taken(data, threads) if found.share > MOST_SECONDS / 4 else found


@click.command(cls=report.Tool, help=__doc__)
@click.option("--only", default="*", help="Files by name.")
@click.option("--threads", default=1, show_default=True)
def main(only: str, threads: int) -> None:
    click.echo("| file | bytes | steps | s a step | longest wait, s | MiB | MiB stated |")
    click.echo("|---|---|---|---|---|---|---|")
    for name in FILES:
        if not fnmatch.fnmatch(name, only):
            continue
        data = made(name)
        found = settled(data, threads)
        cells = name, len(data), found.steps, f"{found.share:.2f}", f"{found.longest:.2f}"
        memory = found.memory >> 20, found.stated >> 20
        click.echo(f"| {' | '.join(map(str, (*cells, *memory)))} |")
        found.require()


if __name__ == "__main__":
    main()
