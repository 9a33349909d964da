"""Small clips made with PyAV for the tests of this folder."""

import io
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from nvcodec.media.source import open_source
from nvcodec.media.y4m import Y4mWriter
from nvcodec.picture import YUV420P8


def noise(count, width, height, seed=0, samples=YUV420P8):
    """`count` pictures of random samples."""
    rng = np.random.default_rng(seed)
    shapes = samples.plane_shapes(width, height)
    return [
        tuple(rng.integers(0, samples.peak + 1, shape, samples.dtype) for shape in shapes)
        for _ in range(count)
    ]


def fill_frame(frame, planes):
    """Copy 2-D arrays (samples, or packed bytes per row) into the planes of a frame."""
    for target, values in zip(frame.planes, planes, strict=False):
        rows = np.ndarray((target.height, target.line_size), np.uint8, buffer=target)
        data = values.view(np.uint8).reshape(target.height, -1)
        rows[:, : data.shape[1]] = data


@dataclass(frozen=True)
class Properties:
    """What a file says beside its pictures. `colour` has attributes of the stream and frames."""

    colour: dict[str, int] = field(default_factory=dict)
    rotation: float = 0
    audio: bool = False
    sar: Fraction | None = None


def encode(
    path,
    pictures,
    width,
    height,
    *,
    codec="ffv1",
    pixel_format="yuv420p",
    rate=30,
    pts=None,
    time_base=None,
    options=None,
    container_options=None,
    **properties,
):
    """Write pictures (planes per frame) to a file; pts are in ticks of `time_base`.

    Other arguments are those of Properties.
    """
    said = Properties(**properties)
    with av.open(str(path), "w", options=container_options or {}) as output:
        stream = output.add_stream(codec, rate=rate)
        context = stream.codec_context
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.options = options or {}
        time_base = time_base or 1 / Fraction(rate)
        context.time_base = time_base
        if said.sar:
            context.sample_aspect_ratio = said.sar
        for name, value in said.colour.items():
            setattr(context, name, value)
        if said.rotation:
            stream.set_display_rotation(said.rotation)
        if said.audio:
            add_tone(output)
        for index, planes in enumerate(pictures):
            frame = av.VideoFrame(width, height, pixel_format)
            fill_frame(frame, planes)
            for name, value in said.colour.items():
                setattr(frame, name, value)
            frame.pts = index if pts is None else pts[index]
            frame.time_base = time_base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return Path(path)


def add_tone(output):
    """Add a track of 0.1 s of silence."""
    stream = output.add_stream("pcm_s16le", rate=8000, layout="mono")
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
    frame.sample_rate = 8000
    frame.pts = 0
    output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def write_png(path, pixels, pixel_format="rgb24"):
    """Write one picture of packed bytes (height, width * bytes per pixel) as PNG."""
    context = av.CodecContext.create("png", "w")
    height = pixels.shape[0]
    frame = av.VideoFrame(1, 1, pixel_format)
    bytes_per_pixel = len(frame.format.components) or 1
    context.width, context.height = pixels.shape[1] // bytes_per_pixel, height
    context.pix_fmt, context.time_base = pixel_format, Fraction(1, 25)
    frame = av.VideoFrame(context.width, height, pixel_format)
    fill_frame(frame, [pixels])
    frame.pts = 0
    packets = [*context.encode(frame), *context.encode(None)]
    Path(path).write_bytes(b"".join(bytes(packet) for packet in packets))


def assert_same(picture, planes):
    for got, expected in zip(picture.planes, planes, strict=True):
        assert got.flags.c_contiguous
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)


def read(path, **selection):
    """(source, its pictures) of a clip."""
    with open_source(path, **selection) as source:
        return source, list(source)


def y4m_bytes(pictures, width, height, rate=Fraction(25)):
    """Pictures as the bytes of a Y4M file."""
    buffer = io.BytesIO()
    writer = Y4mWriter(buffer, width, height, rate, None, 2, 0)
    for planes in pictures:
        writer.write(planes)
    return buffer.getvalue()


@dataclass(frozen=True)
class Sound:
    """An audio track of `seconds` of noise: codec, language, title, and where it is first."""

    codec: str = "aac"
    language: str = "deu"
    title: str = "Ton"
    seconds: float = 1.0


def with_tracks(path, *, sounds=(Sound(),), subtitles=(), chapters=(), tags=None, frames=25):
    """Write a grey 32 x 16 video of 25 frames a second with tracks beside it.

    Subtitles are (start, end, text) in milliseconds; chapters (start, end, title) in seconds.
    """
    rng = np.random.default_rng(5)
    with av.open(str(path), "w") as output:
        output.metadata.update(tags or {})
        video = output.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 32, 16, "yuv420p"
        audio = []
        for sound in sounds:
            stream = output.add_stream(sound.codec, rate=48000, layout="stereo")
            stream.metadata.update({"language": sound.language, "title": sound.title})
            audio.append(stream)
        text = output.add_mux_stream("subrip") if subtitles else None
        if text is not None:
            text.metadata["language"] = "fra"
            text.time_base = Fraction(1, 1000)
        if chapters:
            output.set_chapters(
                [
                    {
                        "id": number,
                        "start": start * 1000,
                        "end": end * 1000,
                        "time_base": Fraction(1, 1000),
                        "metadata": {"title": title},
                    }
                    for number, (start, end, title) in enumerate(chapters)
                ]
            )
        packets = []
        for index in range(frames):
            frame = av.VideoFrame(32, 16, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([10 * index % 256]) * plane.buffer_size)
            frame.pts = index
            packets += video.encode(frame)
        packets += video.encode(None)
        for sound, stream in zip(sounds, audio, strict=True):
            for start in range(0, int(48000 * sound.seconds), 960):
                samples = rng.uniform(-0.1, 0.1, (2, 960)).astype(np.float32)
                frame = av.AudioFrame.from_ndarray(samples, "fltp", "stereo")
                frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
                packets += stream.encode(frame)
            packets += stream.encode(None)
        for start, end, words in subtitles:
            packet = av.Packet(words.encode())
            packet.stream, packet.time_base = text, Fraction(1, 1000)
            packet.pts = packet.dts = start
            packet.duration = end - start
            packets.append(packet)
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            output.mux(packet)
    return path


def packets_of(path, *kinds):
    """(stream number, pts, dts, duration, bytes) of the packets of a file, but of its video."""
    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type in kinds]
        return [
            (packet.stream.index, packet.pts, packet.dts, packet.duration, bytes(packet))
            for packet in container.demux(streams)
            if packet.size
        ]
