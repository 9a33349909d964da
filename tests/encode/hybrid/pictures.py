"""Pictures of smooth noise for the encoder."""

import numpy as np

from nvcodec.encode.hybrid.analysis.pyramid import Pyramid


def planes_of(luma):
    return luma, luma[::2, ::2].copy(), luma[1::2, 1::2].copy()


def smooth_noise(shape, seed):
    """Texture that interpolation does not change much, of the whole range."""
    noise = np.random.default_rng(seed).normal(size=shape)
    frequencies = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n) for n in shape), indexing="ij"))
    soft = np.fft.ifft2(np.fft.fft2(noise) * np.exp(-((8 * frequencies) ** 2))).real
    return np.clip(128 + 40 * soft / soft.std(), 0, 255).astype(np.uint8)


def sources(pictures):
    return [Pyramid.of(planes_of(luma), *luma.shape[::-1]) for luma in pictures]
