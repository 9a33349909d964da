"""Figures of one encode: a clip is encoded to a file, decoded, and compared with the clip.

Rates are sizes of files that were decoded; qualities are of the decoded samples.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from nvcodec.decode.decoder import Decoder
from nvcodec.encode.encoder import encode
from nvcodec.media.quality import METRICS, QualityMeter
from nvcodec.model.description import Shape
from nvcodec.picture import Planes
from tools.lib.apart import peak_memory
from tools.lib.clips import Clip

ONE_KEY = 1e6
"""A key interval, in seconds, longer than any clip: key groups at the start and at cuts only."""


_CURVE = (22.0, 27.0, 32.0, 37.0)
_SINE_CURVE = (24.0, 30.0, 36.0, 42.0)


@dataclass(frozen=True)
class Model:
    """One of our models with options of `nvcodec.encode`."""

    label: str
    options: Mapping[str, Any]

    @property
    def qualities(self) -> tuple[float, ...]:
        """Default values of crf for a curve."""
        return _SINE_CURVE if self.options.get("network") == "paper" else _CURVE

    @classmethod
    def parse(cls, label: str) -> Model:
        """MODEL[:PRESET][,OPTION=VALUE...], for example nirvana:fast,group_size=8.

        Raises ValueError for another form; `nvcodec.encode` checks the rest.
        """
        head, *rest = label.split(",")
        model, *presets = head.split(":")
        options: dict[str, Any] = {"model": model}
        if presets:
            (options["preset"],) = presets
        for part in rest:
            name, equals, value = part.partition("=")
            if not (name and equals and value):
                raise ValueError(f"{part!r} is not OPTION=VALUE")
            options[name] = _number(value)
        return cls(label, options)


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


class ModelType(click.ParamType):
    """A command line's `Model`."""

    name = "MODEL"

    def convert(self, value: Any, param: Any, ctx: Any) -> Model:
        if isinstance(value, Model):
            return value
        try:
            return Model.parse(value)
        except ValueError as error:
            self.fail(f"{value!r} is not MODEL[:PRESET][,OPTION=VALUE...]: {error}", param, ctx)


def model_option(default: str) -> Callable[..., Any]:
    """The option `--model` of a command."""
    return click.option(
        "--model",
        type=ModelType(),
        default=default,
        show_default=True,
        help="MODEL[:PRESET][,OPTION=VALUE...] with options of nvcodec.encode.",
    )


@dataclass
class Figures:
    """The results of an encode.

    bytes: the rate: for our models the size of the file, for others see `peers`.
    psnr, psnr_y, psnr_u, psnr_v: in dB, over all frames; `psnr` over all samples of all planes.
    ssim, ms_ssim: of luma, if requested and possible.
    squared_error: squared error of all planes per luma sample, in squared 8-bit sample values.
    errors: mean squared error of each frame over all samples of all planes.
    keys: number of random access points.
    groups: first_frame, frames, key, bytes, seconds (of encoding) and psnr of each group; empty
        for the classical codecs.
    encode_cpu_seconds: of all threads, start-up left out.
    shape: the description, for our models.
    peak_memory: bytes at the end of the encode; meaningful only in a process of its own.
    """

    width: int
    height: int
    frames: int
    bytes: int
    psnr: float
    psnr_y: float
    psnr_u: float
    psnr_v: float
    ssim: float | None
    ms_ssim: float | None
    squared_error: float
    errors: list[float]
    encode_seconds: float
    decode_seconds: float
    keys: int = 1
    groups: list[dict[str, Any]] = field(default_factory=list)
    encode_cpu_seconds: float = 0.0
    shape: Shape | None = None
    peak_memory: int = 0

    @property
    def bits_per_pixel(self) -> float:
        """Bits per luma sample."""
        return 8 * self.bytes / (self.width * self.height * self.frames)

    def row(self) -> dict[str, Any]:
        """The figures without `errors` as a row of a report, with derived figures."""
        members = asdict(self)
        del members["errors"]
        return members | {
            "bpp": self.bits_per_pixel,
            "encode_seconds_per_frame": self.encode_seconds / self.frames,
            "decode_ms_per_frame": 1000 * self.decode_seconds / self.frames,
        }


def decibels(errors: Sequence[float]) -> float:
    """PSNR of frames with these mean squared errors."""
    mean = sum(errors) / len(errors)
    return 10 * math.log10(255**2 / mean) if mean else math.inf


def measure(
    clip: Clip, model: Model, crf: float, *, metrics: Sequence[str] = (), **options: Any
) -> Figures:
    """Encode the clip with `nvcodec.encode`, decode the file with `nvcodec.Decoder`, compare.

    `options` are options of `nvcodec.encode`; those of the model take precedence. `metrics` are
    measured in addition to PSNR.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.nrv"
        started = time.process_time()
        result = encode(
            clip.path,
            path,
            skip=clip.skip,
            frames=clip.frames,
            crf=crf,
            **(options | dict(model.options)),
        )
        cpu = time.process_time() - started
        peak = peak_memory()
        with Decoder(path) as decoder, clip.open() as source:
            figures = compared(
                (picture.planes for picture in source),
                (frame.planes for frame in decoder.frames(verify=True)),
                metrics,
            )
        figures.bytes = path.stat().st_size
    figures.encode_seconds, figures.encode_cpu_seconds = result.seconds, cpu
    figures.groups = [
        {
            "first_frame": group.first_frame,
            "frames": group.frames,
            "key": group.key,
            "bytes": group.bytes,
            "seconds": group.seconds,
            "psnr": decibels(figures.errors[group.first_frame :][: group.frames]),
        }
        for group in result.groups
    ]
    figures.keys = sum(group.key for group in result.groups)
    figures.shape = result.shape
    figures.peak_memory = peak
    return figures


def warm_up(clip: Clip, model: Model) -> None:
    """Encode two groups of one frame each: what is measured next does not load kernels.

    Not with the sine network, whose training takes far longer than that.
    """
    if model.options.get("network") != "paper":
        measure(replace(clip, frames=2), model, 60, group_size=1)


def measure_warm(clip: Clip, model: Model, crf: float, **options: Any) -> Figures:
    """`measure` after a warm-up, for processes of their own."""
    warm_up(clip, model)
    return measure(clip, model, crf, **options)


def compared(
    source: Iterable[Planes], decoded: Iterable[Planes], metrics: Sequence[str] = ()
) -> Figures:
    """The figures of a decode: decoded pictures against the source's.

    Rate and figures of the encode are not set. `decode_seconds` is the time to get the decoded
    pictures. Raises RuntimeError when the numbers of pictures differ.
    """
    asked = tuple(metric for metric in METRICS if metric == "psnr" or metric in metrics)
    total = QualityMeter(asked)
    errors: list[float] = []
    seconds = 0.0
    pictures, references = iter(decoded), iter(source)
    luma: tuple[int, ...] = ()
    while True:
        started = time.perf_counter()
        picture = next(pictures, None)
        seconds += time.perf_counter() - started
        reference = next(references, None)
        if picture is None or reference is None:
            if picture is not None or reference is not None or not errors:
                raise RuntimeError(f"source and decoded frames differ in number at {len(errors)}")
            break
        meter = QualityMeter(asked)
        meter.add(reference, picture)
        state = meter.state()["metrics"]["psnr"]
        errors.append(sum(state["errors"]) / sum(state["samples"]))
        total.merge(meter)
        luma = picture[0].shape
    values = total.values()
    state = total.state()["metrics"]["psnr"]
    psnr = values["psnr"]
    return Figures(
        width=luma[1],
        height=luma[0],
        frames=len(errors),
        bytes=0,
        psnr=psnr["all"],
        psnr_y=psnr["y"],
        psnr_u=psnr["u"],
        psnr_v=psnr["v"],
        ssim=values.get("ssim"),
        ms_ssim=values.get("ms-ssim"),
        squared_error=sum(state["errors"]) / state["samples"][0],
        errors=errors,
        encode_seconds=0.0,
        decode_seconds=seconds,
    )
