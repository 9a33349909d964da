"""Train the default contexts of the nirvana model (spec 11.7) on encoded files.

    python -m tools.train.nirvana_contexts TRAIN.nrv... --held-out OTHER.nrv... --output TABLE.txt

Contexts, weights of files and what is printed are as in tools.train.canvas_contexts. The contexts
depend on the entropy network: encode the files with the table that they are for. Those of a
substream that no file has stay as they are.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from nvcodec.coding.nirvana.components import NO_COMPONENTS, decode_components, trace_components
from nvcodec.coding.nirvana.contexts import default_contexts
from nvcodec.coding.nirvana.features import ContentDecoder, trace_content
from nvcodec.coding.nirvana.motion import decode_motion, trace_motion
from nvcodec.format import Group, GroupUnit, UnitReader
from nvcodec.model.nirvana.layers import GroupParameters, Layers
from nvcodec.model.nirvana.parameters import (
    moved_features,
    seen_features,
    with_residuals,
)
from tools.train.canvas_contexts import Records, file_weights, learn, write_contexts

SUBSTREAMS = ("motion", "content", "network")
"""In the order of the table."""


def _trace(
    layers: Layers, before: GroupParameters | None, group: Group, found: dict[str, Records]
) -> GroupParameters:
    """Add the traced bits of a group; returns its parameters, those of `before` given."""
    first, frames = layers.grids[0], group.frame_count
    shape = first.block_rows, first.block_columns
    paths, intra = np.zeros((*shape, frames, 2), np.int32), np.zeros(shape, np.uint8)
    if before is not None:
        paths, intra = decode_motion(group.motion, *shape, frames)
        found["motion"].append(trace_motion(paths, intra))
    old = NO_COMPONENTS if before is None else before[0].components
    components = decode_components(group.network, old)
    if group.network:
        found["network"].append(trace_components(components, old))
    decoder = ContentDecoder(group.content)
    q, read, bits = decoder.quantiser, [], []
    for k, grid in enumerate(layers.grids):
        last = None if before is None else before[k]
        moved = moved_features(grid, last, paths, intra)
        seen = seen_features(grid, last, moved, q)
        residual = decoder.read(seen)
        fresh = seen_features(grid, last, moved, q)
        bits.append(trace_content(fresh._replace(residual=residual, number=seen.number)))
        own = NO_COMPONENTS if k else components
        read.append(with_residuals(grid, moved, residual, q, frames, own))
    decoder.close()
    found["content"].append(np.concatenate(bits))
    return tuple(read)


def records(path: str) -> dict[str, Records]:
    """The traced bits of the substreams of each group of a file."""
    found: dict[str, Records] = {name: [] for name in SUBSTREAMS}
    before: GroupParameters | None = None
    with open(path, "rb") as file:
        reader = UnitReader(file)
        header = reader.open()
        layers = Layers(header.width, header.height, header.sample_format)
        for event in reader:
            if isinstance(event, GroupUnit):
                group = event.group
                before = _trace(layers, None if group.key else before, group, found)
    return found


@click.command(help=__doc__)
@click.argument("training", nargs=-1, required=True)
@click.option("--held-out", multiple=True, help="Files for measurement only.")
@click.option("--output", type=click.Path(path_type=Path), help="Table to write.")
def main(training: tuple[str, ...], held_out: tuple[str, ...], output: Path | None) -> None:
    files = [records(path) for path in training]
    others = [records(path) for path in held_out]
    weights, tables = file_weights(files), []
    for name, present in zip(SUBSTREAMS, default_contexts(), strict=True):
        given, held = ([f[name] for f in some] for some in (files, others))
        if not any(record.size for part in given for record in part):
            tables.append(present[:, [0, 2]].astype(np.int64))
            continue
        tables.append(learn(name, given, held, weights, present))
    if output is not None:
        what = "model 3 (spec 11.7): motion, then content, then network"
        write_contexts(output, what, np.concatenate(tables))


if __name__ == "__main__":
    main()
