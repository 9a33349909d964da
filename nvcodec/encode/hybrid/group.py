"""The canvases of a group to its substreams, and back to canvases as every decoder does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from nvcodec.coding.hybrid.canvases import CanvasReader, ReadCanvas, default_contexts
from nvcodec.coding.hybrid.content import content_capacity, encode_content
from nvcodec.coding.hybrid.filters import encode_filters, filters_capacity
from nvcodec.coding.hybrid.motion import encode_motion, motion_capacity
from nvcodec.coding.rangecoder import Contexts, RangeEncoder
from nvcodec.compiled import stored
from nvcodec.encode.hybrid.analysis.lookahead import analyse
from nvcodec.encode.hybrid.analysis.pyramid import Pyramid
from nvcodec.encode.hybrid.analysis.quantisers import QuantiserMap, for_depth, quantiser_maps
from nvcodec.encode.hybrid.analysis.temporal_filter import filtered
from nvcodec.encode.hybrid.canvas import (
    CanvasSettings,
    CodedCanvas,
    Reference,
    code_inter,
    code_key,
)
from nvcodec.encode.hybrid.rate.prices import Prices, make_prices
from nvcodec.encode.hybrid.tools import ALL, Tools
from nvcodec.model.hybrid.canvas.plane import ROOT, Canvas, schedule
from nvcodec.model.hybrid.canvas.reconstruct import reconstruct
from nvcodec.model.hybrid.fusion.render import NetworkSource
from nvcodec.picture import Planes, SampleFormat
from nvcodec.target import settings as code_settings
from nvcodec.tasks import Tasks, done, performed


@dataclass(frozen=True, eq=False)
class Substreams:
    """The motion and content substreams of a group, and their contexts after the last bit."""

    motion: bytes
    content: bytes
    motion_contexts: Contexts
    content_contexts: Contexts
    tools: Tools

    @property
    def bytes(self) -> int:
        """Bytes of both substreams."""
        return len(self.motion) + len(self.content)

    def prices(self, canvas_set: int) -> Prices:
        """The prices of a canvas of this Set, with the contexts at the end of the substreams."""
        return make_prices(self.motion_contexts, self.content_contexts, canvas_set, self.tools)


def _start_contexts(tools: Tools) -> tuple[Contexts, Contexts]:
    """The contexts of motion and of content that a group starts with (spec 7.7)."""
    contexts = default_contexts()
    if not tools.trained_contexts:
        for flat in contexts:
            flat[:] = 32768, 32768, 0
    return contexts


def default_prices(canvas_set: int, tools: Tools = ALL) -> Prices:
    """The prices of a canvas of this Set, with the contexts that a group starts with."""
    return make_prices(*_start_contexts(tools), canvas_set, tools)


def code_substreams(canvases: Sequence[CodedCanvas], settings: CanvasSettings) -> Substreams:
    """Code the first canvases of a group, or all of them; `canvases` are in coding order."""
    motion_contexts, content_contexts = _start_contexts(settings.tools)
    motion = RangeEncoder(motion_contexts, sum(motion_capacity(c.leaves) for c in canvases))
    capacity = sum(content_capacity(c.leaves, c.units, c.levels) for c in canvases)
    capacity += sum(filters_capacity(c.filters) for c in canvases if c.filters is not None)
    content = RangeEncoder(content_contexts, capacity)
    for c in canvases:
        canvas_set = c.canvas.step.set
        two = c.canvas.step.b is not None
        encode_motion(motion, c.leaves, *settings.size, canvas_set, settings.format, two)
        if c.filters is not None:
            encode_filters(content, c.filters)
        encode_content(
            content,
            c.leaves,
            c.units,
            c.levels,
            c.quantiser,
            c.varying,
            canvas_set,
            settings.format,
        )
    return Substreams(
        motion=motion.finish(),
        content=content.finish(),
        motion_contexts=motion.contexts,
        content_contexts=content.contexts,
        tools=settings.tools,
    )


async def decode_group(
    tasks: Tasks,
    settings: CanvasSettings,
    substreams: Substreams,
    canvases: Sequence[Canvas],
    before: Mapping[int, Canvas],
) -> list[NetworkSource]:
    """Decode the substreams of a group; gives what the fusion network takes, in display order.

    `canvases` are the encoder's, in coding order; `before` are those of earlier groups that they
    are predicted from, by the numbers of Step. Raises RuntimeError if decoder and encoder disagree.
    """
    contexts = _start_contexts(settings.tools)
    reader = CanvasReader(
        substreams.motion, substreams.content, settings.size, contexts, settings.format
    )
    # What is equal to the encoder's canvas need not wait for those before it.
    known = {**before, **{canvas.step.frame: canvas for canvas in canvases}}
    read: list[Future[ReadCanvas]] = []
    sources: dict[int, Future[NetworkSource]] = {}
    for canvas in canvases:
        step = canvas.step
        read.append(tasks.submit(partial(reader.read, step.set, step.b is not None), read[-1:]))
        references = [known[frame] for frame in step.references]
        sources[step.frame] = tasks.submit(
            partial(_decoded, settings, canvas, references, read[-1]), read[-1:]
        )
    await done([*read, *sources.values()])
    reader.close()
    return [sources[frame].result() for frame in range(len(canvases))]


def _decoded(
    settings: CanvasSettings,
    canvas: Canvas,
    references: Sequence[Canvas],
    read: Future[ReadCanvas],
) -> NetworkSource:
    """Reconstruct a canvas as a decoder does; raises RuntimeError if it is another one."""
    _, leaves, units, levels, filters = read.result()
    made = reconstruct(
        leaves,
        units,
        levels,
        canvas.step,
        references,
        settings.size,
        settings.chroma_offset,
        deblocking=settings.tools.deblocking,
        sample_format=settings.format,
        filters=filters,
    )
    if not _same(made, canvas):
        raise RuntimeError("a group does not decode to what was encoded")
    return NetworkSource.of(
        canvas, leaves, [reference.planes for reference in references], settings.chroma_offset
    )


def compile_key_kernels(settings: CanvasSettings) -> None:
    """Code and decode a tiny key canvas, to compile the kernels that are not kept yet.

    Called in the main thread, where Ctrl-C interrupts it. A task would have to run to its end. That
    it was done is kept beside the kernels, so a later start does not do it again.
    """
    _once(_tiny_key, settings)


def compile_inter_kernels(settings: CanvasSettings) -> None:
    """Code and decode tiny inter canvases, as `compile_key_kernels` does with a key canvas."""
    _once(_tiny_inter, settings)


def _once(work: Callable[[CanvasSettings], object], settings: CanvasSettings) -> None:
    """Call `work` with the settings of a tiny canvas, unless its kernels are kept."""
    tiny = replace(settings, width=ROOT, height=ROOT, tools=ALL)

    def done_now() -> bytes:
        work(tiny)
        return b"done"

    stored(work, f"{tiny} {code_settings()}", done_now)


def _tiny_inter(settings: CanvasSettings) -> None:
    source, quantisers, before = _tiny_key(settings)
    trust = np.ones(quantisers.shape, np.float32)
    source = filtered(source, [source], [], quantisers, trust, settings.format)
    for frames in (2, 1):
        analysis = analyse([source] * frames, source)
        references = {-1: before}
        canvases = []
        for step, coarse in zip(schedule(frames, key=False), analysis.coarse, strict=True):
            used = [references[frame] for frame in step.references]
            prices = default_prices(step.set)
            given = settings, source, step, used, coarse, quantisers, prices
            canvas = performed(code_inter, *given)
            references[step.frame] = performed(Reference.of, canvas.canvas)
            canvases.append(canvas)
        coded = code_substreams(canvases, settings)
        made = [canvas.canvas for canvas in canvases]
        performed(decode_group, settings, coded, made, {-1: before.canvas})
        before = references[frames - 1]


def _tiny_key(settings: CanvasSettings) -> tuple[Pyramid, QuantiserMap, Reference]:
    """Code noise; gives it, its quantisers, and its canvas as a reference."""
    noise = _noise(settings.format, *settings.size)
    source = Pyramid.of(noise, *settings.size, settings.format)
    (quantisers,) = for_depth(
        quantiser_maps(30, [analyse([source], None)]), settings.format.bit_depth
    )
    (step,) = schedule(1, key=True)
    given = settings, source, step, quantisers, quantisers, default_prices(step.set)
    key = performed(code_key, *given)
    performed(decode_group, settings, code_substreams([key], settings), [key.canvas], {})
    return source, quantisers, performed(Reference.of, key.canvas)


def _noise(sample_format: SampleFormat, width: int, height: int) -> Planes:
    # `np.random` would be imported for this alone.
    planes: list[np.ndarray] = []
    for rows, columns in sample_format.plane_shapes(width, height):
        mixed = np.arange(1, rows * columns + 1, dtype=np.uint32) * np.uint32(0x9E3779B9)
        mixed = (mixed ^ (mixed >> np.uint32(15))) * np.uint32(0x85EBCA6B)
        samples = (mixed >> np.uint32(16)) & np.uint32(sample_format.peak)
        planes.append(samples.astype(sample_format.dtype).reshape(rows, columns))
    return tuple(planes)


def _same(canvas: Canvas, other: Canvas) -> bool:
    arrays = [(*c.planes, c.direction, c.vectors) for c in (canvas, other)]
    return all(np.array_equal(a, b) for a, b in zip(*arrays, strict=True))
