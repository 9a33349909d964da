#!/usr/bin/env python3
"""The quality of a sine network at patch centres between those it was trained at.

    python -m tools.bench.between_centroids FILE.nrv SOURCE

Renders every group of FILE with all patch centres moved by a share of the patch distance.
Compares the values with the samples of SOURCE that those patches would cover.
If the network were a continuous field of patches, any share would give about the PSNR of share 0.
Then a picture of another size could be evaluated directly instead of being resampled.
"""

from __future__ import annotations

import click
import numpy as np

from nvcodec.decode.decoder import Decoder
from nvcodec.media.source import open_source
from nvcodec.model.sine.renderer import SineRenderer
from nvcodec.picture import YUV420P8


@click.command(help=__doc__)
@click.argument("file")
@click.argument("source")
@click.option("--shares", default="0,0.125,0.25,0.5", show_default=True)
def main(file: str, source: str, shares: str) -> None:
    wanted = [float(share) for share in shares.split(",")]
    errors = {share: [0.0, 0] for share in wanted}
    choice = (YUV420P8,)
    with Decoder(file) as decoder, open_source(source, sample_formats=choice) as opened:
        shape = decoder.shape
        width, height, patch = decoder.header.width, decoder.header.height, shape.patch
        columns, rows = shape.patches(width), shape.patches(height)
        pictures = iter(opened)
        for group, weights, _, _ in decoder.groups(0):
            renderer = SineRenderer(weights)
            luma = [next(pictures).planes[0] for _ in range(group.frame_count)]
            for share in wanted:
                offset = round(share * patch)
                shift = offset / patch
                # Only patches that are still inside the frame when moved.
                last_x = min(columns, (width - patch - offset) // patch + 1)
                last_y = min(rows, (height - patch - offset) // patch + 1)
                ys, xs = np.meshgrid(
                    centres(rows, shift)[:last_y], centres(columns, shift)[:last_x], indexing="ij"
                )
                values, _ = renderer.values(xs.ravel(), ys.ravel(), range(group.frame_count))
                samples = np.clip((values.astype(np.int64) + 2048 + 8) >> 4, 0, 255)
                for k, plane in enumerate(luma):
                    for n in range(last_y * last_x):
                        y = n // last_x * patch + offset
                        x = n % last_x * patch + offset
                        target = plane[y : y + patch, x : x + patch].astype(np.int64)
                        errors[share][0] += float(((samples[k, n] - target) ** 2).sum())
                        errors[share][1] += target.size
    for share, (error, count) in errors.items():
        click.echo(f"share {share:5}: luma {10 * np.log10(255**2 * count / error):6.2f} dB")


def centres(count: int, shift: float) -> np.ndarray:
    """Inputs of spec 5.2, moved by a share of the distance from patch to patch."""
    i = np.arange(count)
    return np.floor((2 * (i + shift) + 1) * 32768 / count).astype(np.int64) - 32768


if __name__ == "__main__":
    main()
