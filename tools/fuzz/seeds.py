"""Small valid files to mutate: bitstreams of all models, and media files.

Bitstreams come from the tests' generators, which use all of the syntax, from the encoder, and from
the conformance vectors, which have all sample formats.
"""

from __future__ import annotations

import contextlib
import io
import random
import tempfile
import wave
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

import nvcodec
from nvcodec.decode.decoder import Decoder
from nvcodec.format import Limits, OverLimitError
from nvcodec.model.description import CanvasShape
from nvcodec.picture import Planes, samples_crc
from tests.decode.samples import TINY_SHAPE
from tests.hybrid import HybridPlan, synthesize_hybrid
from tests.media.clips import Sound, encode, noise, with_tracks, write_png, y4m_bytes
from tests.nirvana import NirvanaPlan, synthesize_nirvana
from tests.synthetic import Plan, synthesize
from tools.fuzz.mutate import Unit, join, repaired, split
from tools.vectors.manifest import VECTORS, read

MOST_SAMPLES = 8192
LIMITS = Limits(max_luma_samples=MOST_SAMPLES, max_weights=1 << 16, max_multiplications=1 << 12)
"""What targets decode; seeds keep to them."""

MOST_BYTES = 1 << 15
"""Of a vector that is a seed."""

MEDIA_SUFFIXES = (".mp4", ".mkv", ".ts", ".avi", ".y4m", ".png", ".wav")


@dataclass(frozen=True)
class Seed:
    """A valid bitstream, and the CRC-32 of each of its frames."""

    name: str
    data: bytes
    frames: tuple[int, ...]


def _moving(count: int, width: int, height: int) -> list[Planes]:
    rows, columns = np.indices((height, width))
    pictures = []
    for k in range(count):
        luma = (128 + 90 * np.sin((columns + 2 * k) / 5) * np.cos((rows - k) / 4)).astype(np.uint8)
        chroma = luma[::2, ::2]
        pictures.append((luma, np.ascontiguousarray(chroma), np.ascontiguousarray(255 - chroma)))
    return pictures


def _encoded(folder: Path, source: object, **options: object) -> bytes:
    path = folder / "out.nrv"
    nvcodec.encode(source, path, overwrite=True, **options)  # type: ignore[arg-type]
    return path.read_bytes()


def bitstreams() -> list[Seed]:
    """Bitstreams of 5 x 3 to 64 x 48 samples, 0.3 to 20 kB each."""
    files: dict[str, bytes] = {
        "hybrid syntax": synthesize_hybrid(
            HybridPlan(width=40, height=24, frames=(1, 4, 2, 1, 2), keys=(0, 3), durations=(2, 1))
        )[0],
        "hybrid network": synthesize_hybrid(
            HybridPlan(CanvasShape(4, -3, 1), 20, 18, frames=(1, 2, 3, 1), keys=(0, 3))
        )[0],
        "nirvana syntax": synthesize_nirvana(
            NirvanaPlan(width=18, height=10, frames=(4, 2, 1, 3), keys=(0, 2))
        )[0],
        "nirvana tiny": synthesize_nirvana(
            NirvanaPlan(width=5, height=3, frames=(2, 1, 2), keys=(0, 2))
        )[0],
        "sine": synthesize(
            Plan(TINY_SHAPE, width=5, height=3, frames=(2, 1, 2), keys=(0, 2), change=0.2)
        )[0],
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sound = with_tracks(
            folder / "tracks.mkv",
            sounds=(Sound(seconds=0.06),),
            subtitles=[(0, 400, "one"), (400, 900, "two")],
            chapters=[(0, 0.5, "a"), (0.5, 1, "b")],
            tags={"title": "t"},
            frames=9,
        )
        for model in ("hybrid", "nirvana"):
            files[f"{model} tracks"] = _encoded(folder, sound, model=model, preset="fast")
        files["hybrid video"] = _encoded(
            folder, _moving(18, 64, 48), fps=25, crf=34, preset="fast", key_interval=0.4
        )
    units = split(files["hybrid syntax"])
    units[3:3] = [Unit(b"zzZz", b"x" * 40)]
    files["unknown units"] = join(repaired(units, random.Random(0)))
    return [*(_seed(name, data) for name, data in files.items()), *vectors()]


def vectors() -> list[Seed]:
    """The valid conformance vectors, but for those above the limits."""
    found = []
    for entry in read()["valid"]:
        data = (VECTORS / entry["file"]).read_bytes()
        if len(data) <= MOST_BYTES:
            with contextlib.suppress(OverLimitError):
                found.append(_seed(entry["file"], data))
    return found


def _seed(name: str, data: bytes) -> Seed:
    with Decoder(io.BytesIO(data), threads=1, limits=LIMITS) as decoder:
        return Seed(name, data, tuple(samples_crc([frame.planes]) for frame in decoder))


def media() -> dict[str, bytes]:
    """Media files with a few pictures of 32 x 16, by name; tracks beside some of them."""
    pictures = noise(4, 32, 16)
    found: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with_tracks(folder / "tracks.mkv", chapters=[(0, 0.2, "a")], frames=5)
        for suffix, codec in ((".mp4", "mpeg4"), (".mkv", "ffv1"), (".ts", "mpeg2video")):
            encode(folder / f"clip{suffix}", pictures, 32, 16, codec=codec, rate=25)
        encode(folder / "clip.avi", pictures, 32, 16, codec="rawvideo", rate=25)
        encode(folder / "h264.mp4", pictures, 32, 16, codec="libx264", rate=25, rotation=90)
        encode(folder / "sar.mkv", pictures, 32, 16, codec="libx264", sar=Fraction(4, 3))
        write_png(folder / "image.png", np.arange(16 * 96, dtype=np.uint8).reshape(16, 96) % 251)
        (folder / "clip.y4m").write_bytes(y4m_bytes(pictures, 32, 16))
        for path in sorted(folder.iterdir()):
            found[path.name] = path.read_bytes()
    found["tone.wav"] = _wav()
    return found


def _wav() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(bytes(1600))
    return file.getvalue()
