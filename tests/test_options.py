"""The options of an encode: invalid values and their errors."""

import inspect
import math
import subprocess
import sys

import pytest

from nvcodec.cli import nvenc
from nvcodec.encode.encoder import encode
from nvcodec.encode.hybrid.effort import EFFORTS as HYBRID_EFFORTS
from nvcodec.encode.nirvana.effort import EFFORTS as NIRVANA_EFFORTS
from nvcodec.encode.sine.settings import PRESETS as PAPER_PRESETS
from nvcodec.format import HYBRID, NIRVANA, SINE
from nvcodec.model.description import PatchShape
from nvcodec.options import (
    DEFAULTS,
    FORMATS,
    MODELS,
    NIRVANA_GROUP,
    PAPER,
    EncodeOptions,
    OptionError,
    model_options,
    validate,
)
from nvcodec.picture import SAMPLE_FORMATS

SINE_NETWORK = {"model": "nirvana", "network": "paper"}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"crf": 0},
        {"crf": 60, "group_size": 32, "skip": 3, "frames": 1},
        {"network": "off", "threads": 4, "metrics": ("ssim", "psnr")},
        {"model": "nirvana", "preset": "slow", "group_size": 4, "threads": 3},
        {"model": "nirvana", "network": "auto", "group_size": 1},
        SINE_NETWORK | {"preset": "paper", "group_size": 32},
        SINE_NETWORK | {"device": "cuda", "jobs": 2, "resume": True},
        {"jobs": 2, "resume": True, "target": "psnr=38"},
        {"model": "nirvana", "jobs": 2},
    ],
)
def test_accepted(options):
    validate(EncodeOptions(**options))


def test_formats_are_those_of_pictures():
    assert tuple(samples.name for samples in SAMPLE_FORMATS) == FORMATS


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"model": "x"}, "model 'x' is not one of hybrid, nirvana"),
        ({"preset": "x"}, "preset 'x' is not one of ultrafast, fast, medium, slow, paper"),
        ({"network": "x"}, "network 'x' is none of a model"),
        ({"sample_format": "rgb24"}, "sample format 'rgb24' is not one of gray, gray10"),
        ({"tune": "x"}, "tune 'x' is not one of psnr, visual"),
        ({"device": "tpu"}, "device 'tpu' is not one of cpu, cuda"),
        ({"crf": -1}, r"crf -1 is not in 0\.\.60"),
        ({"crf": 60.5}, r"crf 60\.5 is not in 0\.\.60"),
        ({"crf": math.nan}, "crf nan"),
        ({"group_size": 0}, r"group size 0 is not in 1\.\.32"),
        ({"group_size": 33}, "group size 33"),
        ({"key_interval": 0}, "key interval 0"),
        ({"key_interval": math.inf}, "key interval inf"),
        ({"skip": -1}, "skip=-1"),
        ({"frames": 0}, "frames=0"),
        ({"threads": 0}, "threads 0"),
        ({"jobs": 0}, "jobs 0"),
        ({"scheduler": "host"}, "scheduler 'host' is no address such as tcp://host:8786"),
        ({"scheduler": "tcp://host"}, "is no address"),
        ({"metrics": ("psnr", "vmaf")}, "metric 'vmaf' is not one of psnr, ssim, ms-ssim"),
        ({"metrics": ()}, "no metrics"),
    ],
)
@pytest.mark.parametrize("model", MODELS)
def test_out_of_range(model, options, text):
    with pytest.raises(ValueError, match=text) as caught:
        validate(EncodeOptions(**({"model": model} | options)))
    assert not isinstance(caught.value, OptionError)


def test_a_cluster_has_jobs_of_its_own():
    validate(EncodeOptions(scheduler="tcp://host:8786"))
    with pytest.raises(OptionError, match="give jobs or a scheduler"):
        validate(EncodeOptions(scheduler="tcp://host:8786", jobs=2))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"preset": "paper"},
            "paper, only ultrafast, fast, medium and slow; model nirvana with network paper does",
        ),
        (
            {"model": "nirvana", "preset": "ultrafast"},
            "preset ultrafast, only fast, medium and slow; model hybrid does",
        ),
        ({"network": "paper"}, "the hybrid model does not have network paper"),
        ({"device": "cuda"}, "device cuda, as it is encoded on the CPU only"),
        ({"model": "nirvana", "network": "fixed"}, "the nirvana model does not have network fixed"),
        ({"model": "nirvana", "preset": "paper"}, "the nirvana model does not have preset paper"),
        ({"model": "nirvana", "device": "cuda"}, "the nirvana model does not have device cuda"),
        ({"model": "nirvana", "group_size": 5}, "groups of more than 4 frames"),
        ({"model": "nirvana", "tune": "visual"}, "the nirvana model does not have tune visual"),
    ],
)
def test_options_of_the_other_model(options, text):
    with pytest.raises(OptionError, match=text):
        validate(EncodeOptions(**options))


def test_models_have_their_numbers():
    assert {name: model.number for name, model in MODELS.items()} == {
        "nirvana": NIRVANA,
        "hybrid": HYBRID,
    }
    assert model_options(EncodeOptions(**SINE_NETWORK)).number == SINE
    assert model_options(EncodeOptions(model="nirvana")).number == NIRVANA


def test_presets_are_those_of_the_encoders():
    assert MODELS["hybrid"].presets == tuple(HYBRID_EFFORTS)
    assert MODELS["nirvana"].presets == tuple(NIRVANA_EFFORTS)
    assert PAPER.presets == tuple(PAPER_PRESETS)
    assert PatchShape().group_frames == NIRVANA_GROUP


def test_all_take_the_same_options_and_defaults():
    parameters = inspect.signature(encode).parameters.values()
    # bit_depth says what arrays are; files say it themselves.
    others = {"source", "bit_depth", "output", "observer"}
    asked = {p.name: p.default for p in parameters if p.name not in others}
    assert asked == DEFAULTS._asdict()
    flags = {"as_json", "quiet", "version", "help", "paths", "output_dir"}
    command = {p.name for p in nvenc.main.params} - flags
    # --format is that of raw video, or else of what is coded.
    formats = {"pixel_format", "sample_format"}
    assert command == set(asked) - {"overwrite"} - formats | {"yes", "format_"}


def test_the_import_is_light():
    code = "import sys, nvcodec.options; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"numpy", "numba", "click", "construct"} & set(result.stdout.split())
