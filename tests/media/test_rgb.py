"""Conversions to RGB: by NumPy, by PyTorch, and by the formulas of H.273."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from nvcodec.format import UnsupportedError
from nvcodec.media.colour import CHROMA_OFFSETS, Colour
from nvcodec.media.rgb import rgb_array
from nvcodec.media.video_frame import pixel_format, video_frame
from nvcodec.picture import SampleFormat

FORMATS = [SampleFormat(depth, chroma) for depth in (8, 10, 12) for chroma in range(4)]
SIZES = [(37, 21), (16, 8), (2, 1), (1, 1)]


def noise(sample_format, size, full, seed=0):
    """Random planes of any samples, in limited range of those up to the greatest of chroma."""
    rng = np.random.default_rng(seed)
    end = 1 << sample_format.bit_depth if full else 241 << (sample_format.bit_depth - 8)
    shapes = sample_format.plane_shapes(*size)
    return tuple(rng.integers(0, end, shape).astype(sample_format.dtype) for shape in shapes)


def interpolated(samples, count, shift, offset):
    """Samples at positions 0 .. count-1 of an axis (the last); sample k is at 2k + offset."""
    if not shift:
        return samples
    place = np.clip((np.arange(count) - offset) / 2, 0, samples.shape[-1] - 1)
    left = np.floor(place).astype(int)
    share = place - left
    right = np.minimum(left + 1, samples.shape[-1] - 1)
    return samples[..., left] * (1 - share) + samples[..., right] * share


def reference(planes, sample_format, red, blue, full, location):
    """RGB in 0..1 by H.273's equations, float64 (rows, columns, 3)."""
    unit = 2 ** (sample_format.bit_depth - 8)
    peak = 2**sample_format.bit_depth - 1
    rows, columns = planes[0].shape
    y = planes[0] / peak if full else (planes[0] / unit - 16) / 219
    if len(planes) == 1:
        return np.clip(np.stack([y] * 3, -1), 0, 1)
    across, down = sample_format.chroma_shift
    x0, y0 = CHROMA_OFFSETS[0 if location == 255 else location]
    span = peak if full else 224 * unit
    b, r = ((plane - 128.0 * unit) / span for plane in planes[1:])
    b, r = (interpolated(plane, columns, across, x0) for plane in (b, r))
    b, r = (interpolated(plane.T, rows, down, y0).T for plane in (b, r))
    r, b = y + 2 * (1 - red) * r, y + 2 * (1 - blue) * b
    g = (y - red * r - blue * b) / (1 - red - blue)
    return np.clip(np.stack([r, g, b], -1), 0, 1)


WEIGHTS = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}


@pytest.mark.parametrize("sample_format", FORMATS, ids=pixel_format)
def test_conversions_agree(sample_format):
    torch = pytest.importorskip("torch")
    from nvcodec.media.tensors import rgb_tensor

    locations = (255, *range(6)) if any(sample_format.chroma_shift) else (255,)
    for location, matrix, full, size in itertools.product(locations, WEIGHTS, (0, 1), SIZES):
        colour = Colour(
            sample_format, 480, matrix=matrix, full_range=full, chroma_location=location
        )
        planes = noise(sample_format, size, full)
        expected = reference(planes, sample_format, *WEIGHTS[matrix], full, location)
        tensor = rgb_tensor([planes, planes], colour, "cpu")
        assert np.abs(tensor[1].permute(1, 2, 0).numpy() - expected).max() < 1e-5
        levels = rgb_tensor([planes], colour, "cpu", torch.uint8)[0].permute(1, 2, 0).numpy()
        assert np.abs(levels - expected * 255).max() < 0.51
        for dtype, peak in ((np.uint8, 255), (np.uint16, 65535)):
            rgb = rgb_array(planes, colour, dtype)
            wanted = expected if len(planes) == 3 else expected[..., 0]
            assert (rgb.dtype, rgb.shape) == (dtype, wanted.shape)
            assert np.abs(rgb - wanted * peak).max() < 0.7


@pytest.mark.parametrize("matrix", [11, 14])
def test_matrices_without_conversion(matrix):
    colour = Colour(FORMATS[1], 480, matrix=matrix)
    with pytest.raises(UnsupportedError, match=f"matrix coefficients {matrix} "):
        rgb_array(noise(FORMATS[1], (4, 4), 0), colour)


@pytest.mark.parametrize("sample_format", FORMATS, ids=pixel_format)
def test_video_frames_keep_samples_and_colours(sample_format):
    planes = noise(sample_format, (37, 21), 1)
    colour = Colour(sample_format, 480, 9, 16, 9, 0, 2)
    frame = video_frame(planes, colour)
    assert frame.format.name == pixel_format(sample_format)
    assert (frame.color_primaries, frame.color_trc, frame.colorspace) == (9, 16, 9)
    assert frame.color_range == 1
    for plane, samples in zip(frame.planes, planes, strict=True):
        pitch = plane.line_size // samples.itemsize
        rows = np.ndarray((plane.height, pitch), samples.dtype, buffer=memoryview(plane))
        assert np.array_equal(rows[:, : samples.shape[1]], samples)
