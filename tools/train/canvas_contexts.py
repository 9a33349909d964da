"""Train the default contexts of the hybrid model's substreams (spec 7.7, 9.6) on encoded files.

    python -m tools.train.canvas_contexts TRAIN.nrv... --held-out OTHER.nrv... --output FOLDER

For each context it chooses the start probability and count with the shortest code for the context's
bits in all groups. Each file is weighted by one over its bits, so that large files do not dominate.
Prints the sizes with flat contexts, with the present tables and with the new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.canvases import CanvasReader
from nvcodec.coding.hybrid.content import default_content_contexts, trace_content
from nvcodec.coding.hybrid.fusion import decode_network, default_network_contexts, trace_network
from nvcodec.coding.hybrid.leaves import Q
from nvcodec.coding.hybrid.motion import default_motion_contexts, trace_motion
from nvcodec.coding.rangecoder import Contexts
from nvcodec.format import Description, GroupUnit, UnitReader
from nvcodec.model.description import CanvasShape
from nvcodec.model.hybrid.canvas.plane import coded_size, schedule
from nvcodec.model.hybrid.fusion.weights import default_weights
from tools.train.network_contexts import COUNTS, PROBABILITIES, sequence_costs

Records = list[npt.NDArray[np.int32]]
"""The traced bits of each group of a file: 2 * context + bit."""

SUBSTREAMS: dict[str, Callable[[], Contexts]] = {
    "motion": default_motion_contexts,
    "content": default_content_contexts,
    "fusion": default_network_contexts,
}
CLAUSES = {"motion": "7.7", "content": "7.7", "fusion": "9.6"}


def records(path: str) -> dict[str, Records]:
    """The traced bits of the substreams of each group of a file."""
    found: dict[str, Records] = {name: [] for name in SUBSTREAMS}
    with open(path, "rb") as file:
        reader = UnitReader(file)
        header = reader.open()
        size = coded_size(header.width, header.height)
        for event in reader:
            if isinstance(event, Description):
                network = CanvasShape.from_payload(event.payload).network
            if not isinstance(event, GroupUnit):
                continue
            group = event.group
            canvases = CanvasReader(group.motion, group.content, size)
            traced: dict[str, Records] = {name: [] for name in SUBSTREAMS}
            for step in schedule(group.frame_count, group.key, group.second):
                two = step.b is not None
                quantiser, leaves, units, levels, _ = canvases.read(step.set, two)
                varying = bool((leaves[:, Q] != quantiser).any())
                traced["motion"].append(trace_motion(leaves, *size, step.set, two=two))
                traced["content"].append(
                    trace_content(leaves, units, levels, quantiser, varying, step.set)
                )
            if network:
                weights = default_weights()
                sizes = len(weights.networks), weights.shape.hidden[-1].units
                traced["fusion"].append(trace_network(*decode_network(group.network, *sizes)))
            for name, parts in traced.items():
                # Not every file has a network.
                parts.append(np.empty(0, np.int32))
                found[name].append(np.concatenate(parts))
    return found


def context_costs(
    groups: Records,
    context: int,
    probabilities: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """Bits that a context takes in groups, for each start probability and count."""
    parts = [(record[record >> 1 == context] & 1).astype(np.int64) for record in groups]
    parts = [part for part in parts if part.size]
    if not parts:
        return np.zeros((probabilities.size, counts.size))
    ends = np.cumsum([part.size for part in parts])
    costs: npt.NDArray[np.float64] = sequence_costs(
        np.concatenate(parts), ends, probabilities, counts
    )
    return costs


def train(
    files: Sequence[Records], weights: Sequence[float], contexts: int
) -> npt.NDArray[np.int64]:
    """The table (contexts, 2): probabilities and counts; unused contexts get one half and 0."""
    table = np.tile(np.array([[32768, 0]], np.int64), (contexts, 1))
    for c in range(contexts):
        costs = sum(
            weight * context_costs(groups, c, PROBABILITIES, COUNTS)
            for groups, weight in zip(files, weights, strict=True)
        )
        costs = np.asarray(costs)
        if costs.any():
            i, j = np.unravel_index(costs.argmin(), costs.shape)
            table[c] = PROBABILITIES[i], COUNTS[j]
    return table


def total_bytes(files: Sequence[Records], table: npt.NDArray[np.int64]) -> float:
    """Bytes of the context-coded bits of files with a table."""
    return (
        sum(
            float(context_costs(groups, c, table[c, :1], table[c, 1:])[0, 0])
            for groups in files
            for c in range(len(table))
        )
        / 8
    )


def learn(
    name: str,
    files: Sequence[Records],
    others: Sequence[Records],
    weights: Sequence[float],
    present: Contexts,
) -> npt.NDArray[np.int64]:
    """Train the table of a substream, and print sizes of files and of other, held-out ones."""
    now = present[:, [0, 2]].astype(np.int64)
    flat = np.tile(np.array([[32768, 0]], np.int64), (len(now), 1))
    table = train(files, weights, len(now))
    for kind, part in (("training", files), ("held out", others)):
        if any(record.size for file in part for record in file):
            sizes = [total_bytes(part, t) for t in (flat, now, table)]
            click.echo(
                f"{name}, {kind}: {len(part)} files, bits with contexts: flat {sizes[0]:.0f} B,"
                f" present tables {sizes[1]:.0f} B, new tables {sizes[2]:.0f} B"
                f" ({sizes[2] / sizes[0] - 1:+.2%} against flat)"
            )
    return table


def file_weights(files: Sequence[dict[str, Records]]) -> list[float]:
    """The weight of each file: one over its bits."""
    return [1e6 / sum(r.size for part in file.values() for r in part) for file in files]


def write_contexts(path: Path, what: str, table: npt.NDArray[np.int64]) -> None:
    """Write a table of the spec."""
    lines = [f"# fast = slow, count of the contexts of {what}"]
    lines += [f"{p} {n}" for p, n in table]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")


@click.command(help=__doc__)
@click.argument("training", nargs=-1, required=True)
@click.option("--held-out", multiple=True, help="Files for measurement only.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for motion_contexts.txt, content_contexts.txt and fusion_contexts.txt.",
)
def main(training: tuple[str, ...], held_out: tuple[str, ...], output: Path | None) -> None:
    files = [records(path) for path in training]
    others = [records(path) for path in held_out]
    weights = file_weights(files)
    for name, defaults in SUBSTREAMS.items():
        if not any(record.size for file in files for record in file[name]):
            continue
        given, held = ([f[name] for f in some] for some in (files, others))
        table = learn(name, given, held, weights, defaults())
        if output is not None:
            what = f"the {name} substream (spec {CLAUSES[name]})"
            write_contexts(output / f"{name}_contexts.txt", what, table)


if __name__ == "__main__":
    main()
