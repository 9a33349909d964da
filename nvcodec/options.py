"""The options of an encode: defaults, ranges and choices, by model.

`encode()`, nvenc and tools take them from here. Loads the standard library only, so that `--help`
stays quick.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import NamedTuple

CRF_RANGE = (0, 60)
"""Range of `crf`: best and worst quality."""

GROUP_SIZES = (1, 32)
"""Fewest and most frames of a group (spec 4.1, 7.1)."""

DEVICES = ("cpu", "cuda")
"""Devices that networks can be trained and evaluated on."""

FORMATS = (
    "gray",
    "gray10",
    "gray12",
    "yuv420p",
    "yuv420p10",
    "yuv420p12",
    "yuv422p",
    "yuv422p10",
    "yuv422p12",
    "yuv444p",
    "yuv444p10",
    "yuv444p12",
)
"""Names of the sample formats of HEAD (spec 2.4); what a model codes of them is its own."""

METRICS = ("psnr", "ssim", "ms-ssim")
"""Quality metrics that can be measured."""

TUNES = ("psnr", "visual")
"""What an encode looks for: the least squared error, or what the eye sees of it."""

TARGETS = {"psnr": (10.0, 80.0), "ssim": (0.1, 0.9999)}
"""Metrics that a target can be in, with their least and greatest values."""

HYBRID_GROUP = 16
"""Most frames of a group of the hybrid model, unless a group size is given."""


NIRVANA_GROUP = 4
"""Most frames of a group of the nirvana model (spec 11.2)."""


TRACK_KINDS = ("audio", "subtitle", "data")
"""Kinds of tracks that are carried beside the video (spec 2.14)."""


class TrackChoice(NamedTuple):
    """Which tracks of a source are carried.

    Attributes:
        kinds: all tracks of these kinds.
        numbers: of single streams of the source, from 0.
        audio: whether audio tracks may be among them.

    """

    kinds: frozenset[str] = frozenset()
    numbers: frozenset[int] = frozenset()
    audio: bool = True

    @classmethod
    def of(cls, tracks: str, audio: bool = True) -> TrackChoice:
        """Read "all", "none", or kinds and stream numbers with commas between them.

        Raises:
            ValueError: it is something else.

        """
        names = tracks.split(",")
        if tracks == "all":
            return cls(frozenset(TRACK_KINDS), audio=audio)
        if tracks == "none":
            return cls()
        for name in names:
            if name not in TRACK_KINDS and not (name.isascii() and name.isdecimal()):
                raise ValueError(
                    f"tracks {tracks!r} are neither all, none, nor a list of"
                    f" {', '.join(TRACK_KINDS)} and stream numbers"
                )
        numbers = frozenset(int(name) for name in names if name.isdecimal())
        return cls(frozenset(names).intersection(TRACK_KINDS), numbers, audio)

    def wants(self, kind: str, number: int) -> bool:
        """Whether stream `number` of this kind is carried."""
        return (kind in self.kinds or number in self.numbers) and (self.audio or kind != "audio")


NO_TRACKS = TrackChoice()
"""Carries nothing."""


class OptionError(ValueError):
    """The model does not have this option."""


class GoalError(ValueError):
    """A size, rate or quality that cannot be had, or not together with another."""


class ModelOptions(NamedTuple):
    """The choices that one model offers.

    Attributes:
        number: `model` in HEAD (spec 2.4).
        presets: from fast to slow.
        networks: choices of `network`, the default first.
        tunes: choices of `tune`.
        devices: devices that the encoder can run on.
        rates: whether the crf can change from group to group, for a size, rate or quality.
        whole_crf: whether the crf of a group is a whole number.

    """

    number: int
    presets: tuple[str, ...]
    networks: tuple[str, ...]
    tunes: tuple[str, ...]
    devices: tuple[str, ...]
    rates: bool
    whole_crf: bool


MODELS = {
    "hybrid": ModelOptions(
        number=2,
        presets=("ultrafast", "fast", "medium", "slow"),
        networks=("auto", "trained", "fixed", "off"),
        tunes=TUNES,
        devices=("cpu",),
        rates=True,
        whole_crf=False,
    ),
    "nirvana": ModelOptions(
        number=3,
        presets=("fast", "medium", "slow"),
        networks=("auto", "paper"),
        tunes=("psnr",),
        devices=("cpu",),
        rates=True,
        whole_crf=True,
    ),
}

PAPER = ModelOptions(
    number=1,
    presets=("fast", "medium", "slow", "paper"),
    networks=("paper",),
    tunes=("psnr",),
    devices=DEVICES,
    rates=False,
    whole_crf=False,
)
"""The nirvana model with network paper: the sine network, trained anew for each video."""

# Presets and networks of any model, as nvenc lists them.
PRESETS = tuple(dict.fromkeys(MODELS["hybrid"].presets + PAPER.presets))
NETWORKS = tuple(dict.fromkeys(MODELS["nirvana"].networks + MODELS["hybrid"].networks))


class Reading(NamedTuple):
    """How a source is read, beside its place and which of its frames; see `encode()`."""

    deinterlace: bool = False
    raw: tuple[int, int] | None = None
    pixel_format: str | None = None
    fps: Fraction | None = None


class Target(NamedTuple):
    """A quality to reach: the name of a metric, of TARGETS, and its value."""

    metric: str
    value: float


class EncodeOptions(NamedTuple):
    """All options of an encode, with their defaults; `encode()` says what they mean.

    The record takes any values: `validate` checks them.
    """

    model: str = "hybrid"
    crf: float = 30.0
    bitrate: float | None = None
    size: int | None = None
    target: str | None = None
    max_bitrate: float | None = None
    preset: str = "medium"
    tune: str = "psnr"
    network: str = "auto"
    group_size: int | None = None
    key_interval: float = 10.0
    sample_format: str | None = None
    skip: int = 0
    frames: int | None = None
    threads: int | None = None
    device: str = "cpu"
    jobs: int = 1
    scheduler: str | None = None
    resume: bool = False
    metrics: tuple[str, ...] = ("psnr",)
    overwrite: bool = False
    tracks: str = "all"
    audio: bool = True
    strict: bool = False
    deinterlace: bool = False
    raw: tuple[int, int] | None = None
    pixel_format: str | None = None
    fps: Fraction | None = None

    @property
    def reading(self) -> Reading:
        """How the source is read."""
        return Reading(self.deinterlace, self.raw, self.pixel_format, self.fps)

    @property
    def by_jobs(self) -> bool:
        """Whether segments are encoded as jobs: for several at a time, or to resume an encode."""
        return self.jobs > 1 or self.resume or self.scheduler is not None

    @property
    def goals(self) -> dict[str, float | int | str]:
        """What is asked for in place of a crf, or beside it, by the name of the option."""
        asked = {
            "bitrate": self.bitrate,
            "size": self.size,
            "target": self.target,
            "max_bitrate": self.max_bitrate,
        }
        return {name: value for name, value in asked.items() if value is not None}


def read_target(text: str) -> Target:
    """The target that a text such as "psnr=38" or "ssim=0.98" names.

    Raises ValueError for another text, or a value that is out of range.
    """
    metric, _, number = text.partition("=")
    if metric not in TARGETS:
        raise ValueError(f"target {text!r} is neither psnr=DECIBELS nor ssim=VALUE")
    least, most = TARGETS[metric]
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    # Written so that NaN fails too.
    if not least <= value <= most:
        raise ValueError(f"target {text!r} is not in {least:g}..{most:g}")
    return Target(metric, value)


DEFAULTS = EncodeOptions()

_OTHER = "model nirvana with network paper"


def model_options(options: EncodeOptions) -> ModelOptions:
    """What the model offers, with the network of these options."""
    if options.model == "nirvana" and options.network == "paper":
        return PAPER
    return MODELS[options.model]


def validate(options: EncodeOptions) -> None:
    """Check the options against their ranges, and against what the model offers.

    Raises:
        ValueError: a value is out of its range or not one of the choices.
        OptionError: the model does not have the option, though another model does.

    """
    _require_choice("model", options.model, tuple(MODELS))
    _require_choice("preset", options.preset, PRESETS)
    _require_choice("tune", options.tune, TUNES)
    _require_choice("device", options.device, DEVICES)
    if options.sample_format is not None:
        _require_choice("sample format", options.sample_format, FORMATS)
    if not options.metrics:
        raise ValueError("no metrics")
    for metric in options.metrics:
        _require_choice("metric", metric, METRICS)
    if options.network not in NETWORKS:
        raise ValueError(f"network {options.network!r} is none of a model")
    least, most = CRF_RANGE
    # Written so that NaN fails too.
    if not least <= options.crf <= most:
        raise ValueError(f"crf {options.crf} is not in {least}..{most}")
    _require_goals(options)
    least, most = GROUP_SIZES
    if options.group_size is not None and not least <= options.group_size <= most:
        raise ValueError(f"group size {options.group_size} is not in {least}..{most}")
    if not 0 < options.key_interval < math.inf:
        raise ValueError(f"key interval {options.key_interval} is not positive and finite")
    if options.skip < 0 or (options.frames is not None and options.frames < 1):
        raise ValueError(f"skip={options.skip} and frames={options.frames} select nothing")
    if (options.threads is not None and options.threads < 1) or options.jobs < 1:
        raise ValueError(
            f"threads {options.threads} and jobs {options.jobs} are not both at least 1"
        )
    if options.scheduler is not None:
        require_address(options.scheduler)
        if options.jobs > 1:
            raise OptionError("the jobs of a cluster are its workers: give jobs or a scheduler")
    validate_reading(options.reading)
    TrackChoice.of(options.tracks)
    _require_offered(options)


def require_address(scheduler: str) -> None:
    """Raise ValueError unless it is an address such as "tcp://host:8786"."""
    if not re.fullmatch(r"[a-z]+://[^/\s]+:[0-9]{1,5}", scheduler):
        raise ValueError(f"scheduler {scheduler!r} is no address such as tcp://host:8786")


def validate_reading(reading: Reading) -> None:
    """Check how a source is to be read.

    Raises:
        ValueError: a value is out of its range.
        OptionError: a pixel format without raw video.

    """
    if reading.raw is not None and not all(0 < side <= 65535 for side in reading.raw):
        raise ValueError(f"raw video of {reading.raw[0]}x{reading.raw[1]} has no such size")
    if reading.fps is not None and not 0 < reading.fps <= 10**6:
        raise ValueError(f"{reading.fps} frames per second are not in 0..1000000")
    if reading.pixel_format is not None and reading.raw is None:
        raise OptionError("a pixel format of the input goes with raw video only (--raw WxH)")


def _require_goals(options: EncodeOptions) -> None:
    """Raise GoalError for sizes, rates and qualities that cannot be had, or not together."""
    for name, value in options.goals.items():
        if not isinstance(value, str) and not 1 <= value < math.inf:
            raise GoalError(f"{name.replace('_', ' ')} {value} is not at least 1 and finite")
    if options.target is not None:
        read_target(options.target)
    asked = [name for name in options.goals if name != "max_bitrate"]
    if asked and options.crf != DEFAULTS.crf:
        asked.insert(0, "crf")
    if len(asked) > 1:
        raise GoalError(f"{asked[0]} and {asked[1]} both choose the quality: give one of them")
    steered = [name.replace("_", " ") for name in options.goals if name != "target"]
    if options.by_jobs and steered:
        raise GoalError(
            f"{steered[0]} goes with neither several jobs nor resuming: the crf of a group depends"
            " on the bytes of the groups before it, so no segment can be encoded by itself"
        )
    if options.bitrate and options.max_bitrate and options.max_bitrate < options.bitrate:
        raise GoalError(f"max bitrate {options.max_bitrate:g} is below bitrate {options.bitrate:g}")


def _require_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} {value!r} is not one of {', '.join(choices)}")


def _require_offered(options: EncodeOptions) -> None:
    """Raise OptionError for an option that the model does not have."""
    if options.network not in MODELS[options.model].networks:
        raise OptionError(f"the {options.model} model does not have network {options.network}")
    offered = model_options(options)
    if options.goals and not offered.rates:
        name = next(iter(options.goals)).replace("_", "-")
        raise OptionError(
            f"network paper does not have {name}, as each encode trains for one crf;"
            " models hybrid and nirvana do"
        )
    if options.tune not in offered.tunes:
        raise OptionError(
            f"the {options.model} model does not have tune {options.tune}; model hybrid does"
        )
    if options.preset not in offered.presets:
        *others, last = offered.presets
        other = _OTHER if options.preset in PAPER.presets else "model hybrid"
        raise OptionError(
            f"the {options.model} model does not have preset {options.preset}, only"
            f" {', '.join(others)} and {last}; {other} does"
        )
    for missing, text in (
        (
            options.device not in offered.devices,
            f"device {options.device}, as it is encoded on the CPU only",
        ),
        (
            offered is MODELS["nirvana"] and (options.group_size or 1) > NIRVANA_GROUP,
            f"groups of more than {NIRVANA_GROUP} frames",
        ),
    ):
        if missing:
            raise OptionError(f"the {options.model} model does not have {text}; {_OTHER} does")
