#!/usr/bin/env python3
"""Train the default contexts of the network substream (spec 3.5) on encoded files.

    python -m tools.train.network_contexts TRAIN.nrv... --held-out OTHER.nrv... --output TABLE.txt

For each context it chooses the start probability and count with the shortest code for the context's
bits in all groups of all training files. Prints the sizes with flat contexts, with the present
table and with the new one, for the training and the held-out files.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from nvcodec.coding.adaptation import FAST_SHIFT, NEXT_COUNT, SLOW_SHIFT
from nvcodec.coding.sine.weights import CONTEXTS, default_contexts, trace
from nvcodec.compiled import allocating
from nvcodec.decode.decoder import Decoder
from nvcodec.model.sine.weights import default_weights, differences

COUNTS = np.array([0, 1, 2, 3, 4, 6, 8, 12, 16, 24])
# Probabilities evenly spaced in log odds, within the range that spec 3.4 can code.
PROBABILITIES = np.unique(
    np.clip(65536 / (1 + np.exp(-np.linspace(-6.2, 6.2, 63))), 128, 65408).round().astype(np.int64)
)


def records(path: str) -> list[np.ndarray]:
    """The traced bits of each group of a file."""
    result = []
    with Decoder(path) as decoder:
        previous = None
        for group, weights, _, _ in decoder.groups(0):
            start = (
                default_weights(weights.shape, weights.parameters)
                if group.key
                else previous.tensors
            )
            result.append(trace(differences(weights, start)))
            previous = weights
    return result


@allocating
def sequence_costs(
    bits: np.ndarray, ends: np.ndarray, probabilities: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """Bits that sequences (up to each of `ends`) take, for each start probability and count."""
    costs = np.zeros((probabilities.size, counts.size))
    for i in range(probabilities.size):
        for j in range(counts.size):
            begin = 0
            total = 0.0
            for end in ends:
                fast = slow = probabilities[i]
                count = counts[j]
                for k in range(begin, end):
                    p = ((fast + slow) >> 1) / 65536.0
                    if bits[k]:
                        total -= np.log2(p)
                        fast += (65536 - fast) >> FAST_SHIFT[count]
                        slow += (65536 - slow) >> SLOW_SHIFT[count]
                    else:
                        total -= np.log2(1.0 - p)
                        fast -= fast >> FAST_SHIFT[count]
                        slow -= slow >> SLOW_SHIFT[count]
                    count = NEXT_COUNT[count]
                begin = end
            costs[i, j] = total
    return costs


def total_bytes(groups: list[np.ndarray], table: np.ndarray) -> float:
    """Bytes of the context-coded bits with a table of (probability, count)."""
    total = 0.0
    for record in groups:
        for c in np.unique(record >> 1):
            bits = (record[record >> 1 == c] & 1).astype(np.int64)
            total += sequence_costs(bits, np.array([bits.size]), table[c, :1], table[c, 1:])[0, 0]
    return total / 8


@click.command(help=__doc__)
@click.argument("train", nargs=-1, required=True)
@click.option("--held-out", multiple=True, help="Files for measurement only.")
@click.option("--output", type=click.Path(path_type=Path), help="Table to write.")
def main(train: tuple[str, ...], held_out: tuple[str, ...], output: Path | None) -> None:
    groups = [record for path in train for record in records(path)]
    flat = np.tile(np.array([[32768, 0]]), (CONTEXTS, 1))
    present = default_contexts()[:, [0, 2]].astype(np.int64)
    table = flat.copy()
    for c in range(CONTEXTS):
        parts = [(record[record >> 1 == c] & 1).astype(np.int64) for record in groups]
        parts = [part for part in parts if part.size]
        if not parts:
            continue
        ends = np.cumsum([part.size for part in parts])
        costs = sequence_costs(np.concatenate(parts), ends, PROBABILITIES, COUNTS)
        i, j = np.unravel_index(costs.argmin(), costs.shape)
        table[c] = PROBABILITIES[i], COUNTS[j]
    others = [record for path in held_out for record in records(path)]
    for name, part in (("training", groups), ("held out", others)):
        if part:
            sizes = [total_bytes(part, t) for t in (flat, present, table)]
            click.echo(
                f"{name}: {len(part)} groups, bits with contexts: flat {sizes[0]:.0f} B,"
                f" present table {sizes[1]:.0f} B, new table {sizes[2]:.0f} B"
                f" ({sizes[2] / sizes[0] - 1:+.2%} against flat)"
            )
    if output is not None:
        lines = [f"{p} {n}" for p, n in table]
        head = "# Default contexts of the network substream (clause 3.5): fast = slow, count"
        output.write_text("\n".join([head, *lines]) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
