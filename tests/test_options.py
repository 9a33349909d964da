"""The options of an encode: invalid values and their errors."""

import inspect
import math
import subprocess
import sys

import pytest

from nvcodec.cli import nvenc
from nvcodec.encode.encoder import encode
from nvcodec.format import HYBRID, SINE
from nvcodec.options import DEFAULTS, MODELS, EncodeOptions, OptionError, validate


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"crf": 0},
        {"crf": 60, "group_size": 32, "skip": 3, "frames": 1},
        {"network": "off", "threads": 4, "metrics": ("ssim", "psnr")},
        {"model": "nirvana", "preset": "paper", "network": "paper"},
        {"model": "nirvana", "device": "cuda", "jobs": 2, "resume": True},
    ],
)
def test_accepted(options):
    validate(EncodeOptions(**options))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"model": "x"}, "model 'x' is not one of hybrid, nirvana"),
        ({"preset": "x"}, "preset 'x' is not one of fast, medium, slow, paper"),
        ({"network": "x"}, "network 'x' is none of a model"),
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
        ({"metrics": ("psnr", "vmaf")}, "metric 'vmaf' is not one of psnr, ssim, ms-ssim"),
        ({"metrics": ()}, "no metrics"),
    ],
)
@pytest.mark.parametrize("model", MODELS)
def test_out_of_range(model, options, text):
    with pytest.raises(ValueError, match=text) as caught:
        validate(EncodeOptions(**({"model": model} | options)))
    assert not isinstance(caught.value, OptionError)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"preset": "paper"}, "preset paper, only fast, medium and slow; model nirvana does"),
        ({"network": "paper"}, "the hybrid model does not have network paper"),
        ({"device": "cuda"}, "device cuda, as it is encoded on the CPU only"),
        ({"jobs": 2}, "several jobs, as threads share the work"),
        ({"resume": True}, "resuming"),
        ({"model": "nirvana", "network": "fixed"}, "the nirvana model does not have network fixed"),
    ],
)
def test_options_of_the_other_model(options, text):
    with pytest.raises(OptionError, match=text):
        validate(EncodeOptions(**options))


def test_models_have_their_numbers():
    assert {name: model.number for name, model in MODELS.items()} == {
        "nirvana": SINE,
        "hybrid": HYBRID,
    }


def test_all_take_the_same_options_and_defaults():
    parameters = inspect.signature(encode).parameters.values()
    asked = {
        p.name: p.default for p in parameters if p.name not in ("source", "output", "observer")
    }
    assert asked == DEFAULTS._asdict()
    flags = {"as_json", "quiet", "version", "help", "source", "output"}
    command = {p.name for p in nvenc.main.params} - flags
    assert command == set(asked) - {"overwrite"} | {"yes"}


def test_the_import_is_light():
    code = "import sys, nvcodec.options; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"numpy", "numba", "click", "construct"} & set(result.stdout.split())
