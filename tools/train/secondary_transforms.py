"""Train the matrices of secondary transforms of the hybrid model (spec 8.5) on clips.

    python -m tools.train.secondary_transforms CLIP... --output T.txt
    python -m tools.train.secondary_transforms CLIP... --present --with-secondary --output T.txt

The first frame of each clip is encoded at every crf. What prediction left over in the luma units of
these key canvases is what the matrices learn from. Each unit goes to the transform that costs least
by the encoder's own quantisation, flags included; then each matrix becomes the one with orthonormal
rows that turns the coefficients of its units nearest to their levels. The first matrices are
eigenvectors of thirds of the units of a set, ordered by direction.

The second line is another round, once the first table is the product's: it begins with the present
matrices, on units of an encoder that has them. With `--rounds 0` matrices are measured only.

Every sixth clip (`--hold-out`) is held out. Prints which share of units has which transform, by set
and size, of units with all levels in the first sub-block; and the bits that secondary transforms
save, with nothing else decided anew. Of units of an encoder with them (`--with-secondary`) that is
far too much, as their modes were chosen for these transforms. Of others it is less than an encoder
with them saves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from nvcodec.coding.hybrid.secondary import SECONDARIES, SET_OF_MODE, SETS
from nvcodec.encode.hybrid.effort import EFFORTS
from nvcodec.encode.hybrid.rate.tradeoff import WEIGHT
from nvcodec.model.hybrid.canvas.secondary import SCALE, VALUES
from tools.lib.clips import Clip
from tools.lib.lists import values_of
from tools.train.secondary_choice import SIZES, Group, Prices, Tally, tally
from tools.train.secondary_units import (
    Floats,
    Matrices,
    Shape,
    Units,
    encoded_units,
    merged,
    orthonormal,
    present_matrices,
    zone_side,
)

_LEAST_UNITS = 30
"""A matrix that fewer units have is not changed."""


def first_matrices(zones: Floats) -> npt.NDArray[np.float64]:
    """Eigenvectors of parts of the zones, ordered by direction: those of the greatest values."""
    side = 4 if zones.shape[1] == 16 else 8
    unit = zones / np.sqrt(np.square(zones).sum(1, keepdims=True) + 1.0)
    rows, columns = np.indices((side, side))
    order = np.argsort(np.square(unit) @ (columns - rows).ravel())
    matrices = []
    for part in np.array_split(unit[order], SECONDARIES):
        _, vectors = np.linalg.eigh(part.T.astype(np.float64) @ part)
        matrices.append(vectors.T[::-1][:VALUES])
    return np.stack(matrices)


def train_set(
    groups: Sequence[Group], matrices: npt.NDArray[np.float64], rounds: int
) -> tuple[npt.NDArray[np.float64], Prices]:
    """The matrices of a set after rounds of choosing and fitting, and the prices of their flags."""
    matrices = matrices.copy()
    prices = tally(groups, matrices, Prices()).prices()
    for _ in range(rounds):
        found = tally(groups, matrices, prices)
        prices = found.prices()
        for k in range(SECONDARIES):
            if found.chosen[:, 2 + k].sum() >= _LEAST_UNITS:
                order = np.argsort(-found.magnitudes[k], kind="stable")
                matrices[k] = orthonormal(found.products[k])[order]
    return matrices, prices


def groups_of(units: Mapping[Shape, Units], side: int, number: int) -> list[Group]:
    """The units of a set (its number) whose zones have a side."""
    groups = []
    for shape, every in units.items():
        own = SET_OF_MODE[every.modes] == number
        if zone_side(shape) == side and own.any():
            part = Units(every.residuals[own], every.modes[own], every.quantisers[own])
            groups.append(Group.of(shape, part))
    return groups


@dataclass
class Result:
    """Trained matrices, and tallies of training and held-out units by side and set."""

    matrices: Matrices
    training: dict[tuple[int, int], Tally]
    held: dict[tuple[int, int], Tally]


def train(
    training: Mapping[Shape, Units],
    held: Mapping[Shape, Units],
    begin: Matrices | None,
    rounds: int,
) -> Result:
    """Train the matrices of all sets; `begin` None begins with those of `first_matrices`."""
    result = Result(
        {side: np.zeros((SETS, SECONDARIES, VALUES, side * side)) for side in (4, 8)}, {}, {}
    )
    for side, matrices in result.matrices.items():
        for number in range(SETS):
            groups = groups_of(training, side, number)
            if begin is not None:
                first = begin[side][number]
            else:
                parts = [group.zones for group in groups]
                first = first_matrices(np.concatenate([*parts, np.zeros((0, side * side))]))
            matrices[number], prices = train_set(groups, first, rounds)
            result.training[side, number] = tally(groups, matrices[number], prices)
            others = groups_of(held, side, number)
            result.held[side, number] = tally(others, matrices[number], prices)
    return result


def shares(tallies: Mapping[tuple[int, int], Tally]) -> Iterator[str]:
    """Lines of the shares of transforms, by set and size."""
    for (_, number), found in tallies.items():
        for size in range(2, SIZES):
            counts = found.chosen[size]
            if counts.any():
                parts = " ".join(f"{share:.2f}" for share in counts / counts.sum())
                yield f"set {number}, size {1 << size}: {counts.sum()} units, {parts}"


def saving(name: str, tallies: Mapping[tuple[int, int], Tally], bits: int) -> str:
    """The line of what secondary transforms save in encodes of so many bits."""
    saved = sum(found.plain - found.cost for found in tallies.values()) / WEIGHT
    return f"{name}: secondary transforms save {saved:.0f} of {bits} bits, {saved / bits:.2%}"


def write_matrices(path: Path, matrices: Matrices) -> None:
    """Write the table of the specification; in each row the greatest magnitude is positive."""
    lines = [
        f"# Secondary transforms of spec 8.5: {SETS * SECONDARIES} matrices of {VALUES} x 16,"
        f" then {SETS * SECONDARIES} of {VALUES} x 64, row by row"
    ]
    for side in (4, 8):
        rows = matrices[side].reshape(-1, side * side)
        signs = np.sign(rows[np.arange(len(rows)), np.abs(rows).argmax(1)])
        whole = np.clip(np.rint(rows * signs[:, None] * SCALE), 1 - SCALE, SCALE - 1)
        lines += [" ".join(map(str, row)) for row in whole.astype(int).tolist()]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")


def record(
    clips: Sequence[Clip],
    crfs: Sequence[float],
    preset: str,
    secondary: bool,
    note: Callable[[str], None],
) -> tuple[dict[Shape, Units], int]:
    """The units of encodes of clips, and the bits of all."""
    parts, total = [], 0
    for clip in clips:
        for crf in crfs:
            units, bits = encoded_units(clip, crf, preset, secondary)
            parts.append(units)
            total += bits
            count = sum(len(part.modes) for part in units.values())
            note(f"{clip.name} crf {crf:g}: {count} units, {bits} bits")
    return merged(parts), total


@click.command(help=__doc__)
@click.argument("clips", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--crf", "crfs", default="20,25,30,35", show_default=True, callback=values_of(float))
@click.option("--preset", type=click.Choice(list(EFFORTS)), default="medium", show_default=True)
@click.option("--rounds", type=click.IntRange(min=0), default=6, show_default=True)
@click.option("--present", is_flag=True, help="Begin with the present matrices.")
@click.option(
    "--with-secondary", "secondary", is_flag=True, help="Encode with the present matrices."
)
@click.option(
    "--hold-out",
    "every",
    type=click.IntRange(min=2),
    default=6,
    show_default=True,
    help="Of so many clips, the last one is for measurement only.",
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Table to write.")
def main(
    clips: tuple[Path, ...],
    crfs: list[float],
    preset: str,
    rounds: int,
    present: bool,
    secondary: bool,
    every: int,
    output: Path | None,
) -> None:
    sources = [Clip(path, 1) for path in clips]
    held_out = sources[every - 1 :: every]
    training = [clip for k, clip in enumerate(sources) if (k + 1) % every]
    units, bits = record(training, crfs, preset, secondary, click.echo)
    others, other_bits = record(held_out, crfs, preset, secondary, click.echo)
    result = train(units, others, present_matrices() if present else None, rounds)
    click.echo("Shares of cosine, sine and secondary transforms:")
    for line in shares(result.training):
        click.echo(line)
    click.echo(saving("training", result.training, bits))
    if held_out:
        click.echo(saving("held out", result.held, other_bits))
    if output is not None:
        write_matrices(output, result.matrices)


if __name__ == "__main__":
    main()
