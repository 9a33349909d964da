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
from nvcodec.model.nirvana.parameters import (
    Grid,
    Parameters,
    moved_features,
    seen_features,
    with_residuals,
)
from tools.train.canvas_contexts import Records, file_weights, learn, write_contexts

SUBSTREAMS = ("motion", "content", "network")
"""In the order of the table."""


def _trace(
    grid: Grid, before: Parameters | None, group: Group, found: dict[str, Records]
) -> Parameters:
    """Add the traced bits of a group; returns its parameters, those of `before` given."""
    shape, frames = (grid.block_rows, grid.block_columns), group.frame_count
    paths, intra = np.zeros((*shape, frames, 2), np.int32), np.zeros(shape, np.uint8)
    if before is not None:
        paths, intra = decode_motion(group.motion, *shape, frames)
        found["motion"].append(trace_motion(paths, intra))
    decoder = ContentDecoder(group.content)
    q, moved = decoder.quantiser, moved_features(grid, before, paths, intra)
    residual = decoder.read(seen_features(grid, before, moved, q))
    decoder.close()
    seen = seen_features(grid, before, moved, q)
    seen.residual[:] = residual
    found["content"].append(trace_content(seen))
    old = NO_COMPONENTS if before is None else before.components
    components = decode_components(group.network, old)
    if group.network:
        found["network"].append(trace_components(components, old))
    return with_residuals(grid, moved, residual, q, frames, components)


def records(path: str) -> dict[str, Records]:
    """The traced bits of the substreams of each group of a file."""
    found: dict[str, Records] = {name: [] for name in SUBSTREAMS}
    before: Parameters | None = None
    with open(path, "rb") as file:
        reader = UnitReader(file)
        header = reader.open()
        grid = Grid(header.width, header.height)
        for event in reader:
            if isinstance(event, GroupUnit):
                group = event.group
                before = _trace(grid, None if group.key else before, group, found)
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
