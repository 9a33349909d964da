"""The most that a linear part of the fusion network could gain, for several forms of it.

    python -m tools.ablation.fusion_form FOLDER

Takes a folder of patches (tools.train.fusion_data). A form is the set of output-layer weights that
may differ from 0. For each encode and each form, the weights are fitted by least squares to the
patches of all canvases but the key canvases. The result is the share of the squared error of all
planes that the form removes. It ignores the bits of the weights and the rounding of samples, so it
is an upper bound, to choose a form by.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from nvcodec.model.hybrid.canvas.quantiser import STEP
from nvcodec.model.hybrid.fusion.weights import HIGH_PASS, LINEAR, PLANES, SHARED, spread_shared
from tools.lib import report
from tools.train.fusion_data import HALO, PATCH, Patches

Floats = npt.NDArray[np.float64]

_PATCHES = 120
"""Number of patches of an encode that is enough."""

_RIDGE = 1e-5

LUMA, CHROMA = range(4), range(4, PLANES)


def moments(patches: Patches) -> tuple[list[Floats], Floats, Floats]:
    """The normal equations of the fit.

    Gives products of all columns with one another, for a luma and a chroma plane; products of the
    columns with the error of each plane; and the squared error of each plane.
    """
    chosen = np.random.default_rng(0).permutation(np.nonzero(patches.sets)[0])[:_PATCHES]
    squares = [np.zeros((LINEAR, LINEAR)) for _ in range(2)]
    products, errors = np.zeros((PLANES, LINEAR)), np.zeros(PLANES)
    inner = slice(HALO, HALO + PATCH)
    for n in chosen:
        x = patches.inputs[n] / 64
        taps = [
            x[plane, HALO - 1 + ky : HALO - 1 + ky + PATCH, HALO - 1 + kx : HALO - 1 + kx + PATCH]
            for plane in range(PLANES)
            for ky in range(3)
            for kx in range(3)
        ]
        columns = np.stack([np.ones((PATCH, PATCH)), *taps, *x[PLANES:, inner, inner]])
        for kind, planes in enumerate((LUMA, CHROMA)):
            steps = STEP[patches.quantisers[n, kind]] / 64
            scaled = (columns * steps).reshape(LINEAR, -1)
            squares[kind] += scaled @ scaled.T
            for plane in planes:
                missing = patches.errors[n, plane].reshape(-1).astype(np.float64)
                products[plane] += scaled @ missing
                errors[plane] += missing @ missing
    return squares, products, errors


def _fitted(squares: Floats, products: Floats) -> float:
    """The squared error that the least-squares fit removes."""
    count = len(products)
    ridge = _RIDGE * (np.trace(squares) / count + 1e-9) * np.eye(count)
    fit = np.linalg.solve(squares + ridge, products)
    return float(2 * fit @ products - fit @ squares @ fit)


def rows(planes: range, columns: Callable[[int], list[int]]) -> npt.NDArray[np.float64]:
    """A form in which each plane has its own weights: (weights, planes, LINEAR)."""
    form = []
    for number, plane in enumerate(planes):
        for column in columns(plane):
            one = np.zeros((len(planes), LINEAR))
            one[number, column] = 1
            form.append(one)
    return np.stack(form)


def _shared(side: int) -> npt.NDArray[np.float64]:
    distance = np.abs(np.arange(SHARED)[:, None] // [5, 1] % 5 - 2).max(1)
    form: npt.NDArray[np.float64] = spread_shared(np.eye(SHARED))[
        distance <= side // 2, : len(LUMA)
    ]
    return form


def _high_pass(plane: int) -> list[int]:
    return list(range(1 + 9 * plane, 10 + 9 * plane))


FORMS = {
    "luma: constants": (LUMA, rows(LUMA, lambda _: [0])),
    "luma: differences to references": (
        LUMA,
        rows(LUMA, lambda _: [*range(1 + HIGH_PASS, LINEAR)]),
    ),
    "luma: one filter of 3 x 3 samples": (LUMA, _shared(3)),
    "luma: one filter of 5 x 5 samples": (LUMA, _shared(5)),
    "luma: high-pass taps of all planes": (LUMA, rows(LUMA, lambda _: [*range(1, 1 + HIGH_PASS)])),
    "luma: all": (LUMA, rows(LUMA, lambda _: [*range(LINEAR)])),
    "chroma: differences to references": (
        CHROMA,
        rows(CHROMA, lambda _: [*range(1 + HIGH_PASS, LINEAR)]),
    ),
    "chroma: own 3 x 3": (CHROMA, rows(CHROMA, _high_pass)),
    "chroma: own 3 x 3, centre of the other": (
        CHROMA,
        rows(CHROMA, lambda plane: [*_high_pass(plane), 5 + 9 * (9 - plane)]),
    ),
    "chroma: high-pass taps of all planes": (
        CHROMA,
        rows(CHROMA, lambda _: [*range(1, 1 + HIGH_PASS)]),
    ),
    "chroma: all": (CHROMA, rows(CHROMA, lambda _: [*range(LINEAR)])),
}
"""For each form, its planes and its weights."""


def gains(patches: Patches) -> dict[str, float]:
    """For each form, the percentage of the squared error of all planes that it removes."""
    squares, products, errors = moments(patches)
    found = {}
    for name, (planes, form) in FORMS.items():
        of_kind = squares[0 if planes is LUMA else 1]
        both = np.einsum("apc,cd,bpd->ab", form, of_kind, form, optimize=True)
        missing = np.einsum("apc,pc->a", form, products[planes.start : planes.stop])
        found[name] = 100 * _fitted(both, missing) / errors.sum()
    return found


@click.command("fusion_form", cls=report.Tool, help=__doc__)
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@report.json_option
def main(folders: tuple[Path, ...], json_path: Path | None) -> None:
    out = report.Report(json_path)
    paths = [path for folder in folders for path in sorted(folder.glob("*.npz"))]
    for path in report.progress(paths, str):
        out.add("encodes", {"encode": path.stem, "gains": gains(Patches.load(path))})
    found = [row["gains"] for row in out.rows("encodes")]
    cells = [
        {
            "form": name,
            "weights": len(form),
            "mean": np.mean([one[name] for one in found]),
            "least": min(one[name] for one in found),
            "most": max(one[name] for one in found),
        }
        for name, (_, form) in FORMS.items()
    ]
    columns = {"form": "{form}", "weights": "{weights}", "mean": "{mean:.2f} %"}
    columns |= {"least": "{least:.2f} %", "most": "{most:.2f} %"}
    out.show(f"{len(found)} encodes", report.table(columns, cells))


if __name__ == "__main__":
    main()
