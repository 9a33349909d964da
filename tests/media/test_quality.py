import json
import math
import subprocess
import sys

import numpy as np
import pytest

from nvcodec.media.quality import METRICS, PsnrMeter, QualityMeter

from .clips import noise


def pairs(count, width, height, spread=40):
    """Pictures, each with a noisy copy."""
    rng = np.random.default_rng(5)
    result = []
    for planes in noise(count, width, height, seed=4):
        moved = [p + rng.normal(0, rng.uniform(1, spread), p.shape) for p in planes]
        result.append((planes, tuple(np.clip(m.round(), 0, 255).astype(np.uint8) for m in moved)))
    return result


def measured(pictures, metrics=METRICS, max_value=255):
    meter = QualityMeter(metrics, max_value)
    for reference, planes in pictures:
        meter.add(reference, planes)
    return meter


def terms(x, y, peak):
    """Means over all windows of SSIM and of its contrast-structure term, by the definition."""
    offsets = np.arange(11) - 5
    line = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    xs, ys = (np.lib.stride_tricks.sliding_window_view(p.astype(float), (11, 11)) for p in (x, y))

    def mean(values):
        return (values * window).sum(axis=(-2, -1))

    mx, my = mean(xs), mean(ys)
    dx, dy = xs - mx[..., None, None], ys - my[..., None, None]
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    structure = (2 * mean(dx * dy) + c2) / (mean(dx**2) + mean(dy**2) + c2)
    luminance = (2 * mx * my + c1) / (mx**2 + my**2 + c1)
    return (luminance * structure).mean(), structure.mean()


def halved(plane):
    height, width = plane.shape
    return plane.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))


@pytest.mark.parametrize(("width", "height"), [(40, 24), (11, 11), (13, 50)])
def test_ssim_is_that_of_the_definition(width, height):
    pictures = pairs(3, width, height)
    expected = [terms(r[0], p[0], 255)[0] for r, p in pictures]
    assert measured(pictures).values()["ssim"] == pytest.approx(np.mean(expected), abs=1e-6)


def test_ms_ssim_is_that_of_the_definition():
    pictures = pairs(2, 208, 176)
    expected = []
    for (x, *_), (y, *_) in pictures:
        factors = []
        for _ in range(4):
            factors.append(terms(x, y, 255)[1])
            x, y = halved(x), halved(y)
        factors.append(terms(x, y, 255)[0])
        weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
        expected.append(np.prod(np.array(factors) ** weights))
    assert measured(pictures).values()["ms-ssim"] == pytest.approx(np.mean(expected), abs=1e-6)


def test_sixteen_bits():
    rng = np.random.default_rng(6)
    x, y = (rng.integers(0, 1024, (20, 20), np.uint16) for _ in range(2))
    values = measured([((x, x, x), (y, y, y))], ("ssim",), 1023).values()
    assert values["ssim"] == pytest.approx(terms(x, y, 1023)[0], abs=1e-6)


def test_identical_pictures():
    values = measured([(p, p) for p in noise(2, 176, 161)]).values()
    assert values == {
        "psnr": dict.fromkeys(("all", "y", "u", "v"), math.inf),
        "ssim": 1.0,
        "ms-ssim": 1.0,
    }


@pytest.mark.parametrize(
    ("width", "height", "without"),
    [(161, 161, set()), (300, 160, {"ms-ssim"}), (160, 300, {"ms-ssim"})]
    + [(10, 30, {"ssim", "ms-ssim"}), (30, 10, {"ssim", "ms-ssim"}), (1, 1, {"ssim", "ms-ssim"})],
)
def test_pictures_too_small_for_a_metric_have_no_value(width, height, without):
    values = measured(pairs(1, width, height)).values()
    assert {name for name, value in values.items() if value is None} == without


def test_one_picture_without_a_value_leaves_none():
    meter = measured(pairs(1, 20, 20))
    meter.merge(measured(pairs(1, 8, 8)))
    assert meter.values()["ssim"] is None
    meter.merge(measured(pairs(1, 20, 20)))
    assert meter.values()["ssim"] is None


def test_merged_meters_give_what_one_does():
    pictures = pairs(7, 40, 24)
    together = measured(pictures)
    parts = [measured(pictures[a:b]) for a, b in ((3, 7), (0, 1), (1, 1), (1, 3))]
    merged = QualityMeter(METRICS)
    for part in parts:
        # Through JSON, as another process would hand it over.
        merged.merge(QualityMeter.from_state(json.loads(json.dumps(part.state()))))
    assert merged.state() == together.state()
    assert merged.values() == together.values()
    merged.add(*pictures[0])
    assert merged.values() != together.values()


def test_only_what_is_asked_is_measured():
    meter = measured(pairs(1, 20, 20), ("ssim",))
    assert meter.metrics == ("ssim",)
    assert list(meter.values()) == ["ssim"]
    assert QualityMeter().metrics == ("psnr",)
    assert QualityMeter(METRICS).values() == {}


def test_psnr_loads_no_pytorch():
    program = (
        "import sys, numpy as np; from nvcodec.media.quality import QualityMeter;"
        "p = [np.zeros((20, 20), np.uint8)] * 3; m = QualityMeter(); m.add(p, p); m.values();"
        "assert not {'torch', 'pytorch_msssim'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_identical_is_infinite():
    meter = PsnrMeter(255)
    (planes,) = noise(1, 9, 7)
    meter.add(planes, planes)
    assert meter.y == meter.u == meter.v == meter.all == math.inf


@pytest.mark.parametrize(("dtype", "peak"), [(np.uint8, 255), (np.uint16, 65535)])
def test_against_the_definition(dtype, peak):
    rng = np.random.default_rng(3)
    shapes = ((6, 8), (3, 4), (3, 4))
    pairs = [
        [[rng.integers(0, peak, s, dtype, endpoint=True) for s in shapes] for _ in range(2)]
        for _ in range(3)
    ]
    meter = PsnrMeter(peak)
    for reference, planes in pairs:
        meter.add(reference, planes)
    every = []
    for index, value in enumerate((meter.y, meter.u, meter.v)):
        errors = np.concatenate([(r[index].astype(float) - p[index]).ravel() for r, p in pairs])
        assert value == pytest.approx(10 * math.log10(peak**2 / np.mean(errors**2)))
        every.append(errors)
    total = np.mean(np.concatenate(every) ** 2)
    assert meter.all == pytest.approx(10 * math.log10(peak**2 / total))


def test_monochrome_has_no_chroma():
    rng = np.random.default_rng(7)
    x, y = (rng.integers(0, 4096, (20, 20), np.uint16) for _ in range(2))
    values = measured([((x,), (y,))], ("psnr", "ssim"), 4095).values()
    error = np.mean((x.astype(float) - y) ** 2)
    expected = pytest.approx(10 * math.log10(4095**2 / error))
    assert values["psnr"] == {"all": expected, "y": expected}
    assert values["ssim"] == pytest.approx(terms(x, y, 4095)[0], abs=1e-6)


def test_extreme_difference_is_zero_decibels():
    meter = PsnrMeter(65535)
    shapes = ((4, 4), (2, 2), (2, 2))
    meter.add([np.zeros(s, np.uint16) for s in shapes], [np.full(s, 65535, "u2") for s in shapes])
    assert meter.all == 0.0


def test_misuse():
    meter = PsnrMeter(255)
    with pytest.raises(ValueError, match="no samples"):
        _ = meter.y
    (planes,) = noise(1, 4, 4)
    with pytest.raises(ValueError, match="shape"):
        meter.add(planes, noise(1, 6, 4)[0])
    with pytest.raises(ValueError, match="3 and 1 planes"):
        meter.add(planes, planes[:1])


def test_misuse_of_several_metrics():
    with pytest.raises(ValueError, match="vmaf"):
        QualityMeter(("psnr", "vmaf"))
    with pytest.raises(ValueError, match="no metrics"):
        QualityMeter(())
    with pytest.raises(ValueError, match="add up"):
        QualityMeter(("psnr",)).merge(QualityMeter(("ssim",)))
    with pytest.raises(ValueError, match="add up"):
        QualityMeter(("psnr",)).merge(QualityMeter(("psnr",), 1023))
    with pytest.raises(ValueError, match="shape"):
        QualityMeter(("ssim",)).add(noise(1, 20, 20)[0], noise(1, 20, 18)[0])
