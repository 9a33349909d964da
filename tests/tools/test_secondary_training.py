"""Training of the matrices of secondary transforms."""

import numpy as np
import pytest

from nvcodec.coding.hybrid.leaves import PAINTED, SINE
from nvcodec.coding.hybrid.secondary import SECONDARIES
from nvcodec.model.hybrid.canvas.quantiser import REAL_STEP
from nvcodec.model.hybrid.canvas.reconstruct import add_numbered
from nvcodec.model.hybrid.canvas.secondary import VALUES
from nvcodec.model.hybrid.canvas.transform import transform_scratch
from nvcodec.tables import load_table, read_table
from tests.cli.support import y4m
from tests.tools.support import run
from tests.tools.test_hybrid_ablation import pictures
from tools.train import secondary_transforms
from tools.train.secondary_choice import Group
from tools.train.secondary_transforms import train_set
from tools.train.secondary_units import Units, decoded, orthonormal, primary, zone_side

QUANTISER = 20


@pytest.mark.parametrize("transform", [0, SINE, PAINTED + 1, PAINTED + 3])
@pytest.mark.parametrize(("wide", "tall", "mode"), [(4, 8, 0), (16, 8, 3), (8, 8, 30)])
def test_decoded(transform, wide, tall, mode):
    # As a decoder adds the unit to a plane.
    levels = np.array([[0, 9], [1, -4], [wide, 3], [2 * wide + 1, 2]], np.int32)
    units = np.array([[0, 0, 0, wide, tall, 0, len(levels), transform]], np.int32)
    plane = np.full((tall, wide), 128, np.uint8)
    scratch = transform_scratch()
    add_numbered(0, units, 0, levels, mode, QUANTISER, *scratch, plane)
    (residual,) = decoded(units, levels, np.array([mode]), np.array([QUANTISER]))
    np.testing.assert_allclose(residual, plane.astype(int) - 128, atol=1.5)


def of_bases(shape, bases, count, random):
    """Units of a mode that is not transposed: a few coefficients of each of the bases."""
    side = zone_side(shape)
    values = random.laplace(size=(len(bases), count, VALUES)) * 8 * 0.95 ** np.arange(VALUES)
    values *= random.random(values.shape) < 0.3
    coefficients = np.zeros((len(bases) * count, *shape))
    coefficients[:, :side, :side] = (values @ bases).reshape(-1, side, side)
    rows, columns = (primary(False, n) for n in shape)
    residuals = rows.T @ coefficients @ columns * REAL_STEP[QUANTISER]
    modes, quantisers = (np.full(len(residuals), n, np.uint8) for n in (0, QUANTISER))
    return Units(residuals.astype(np.float16), modes, quantisers)


@pytest.mark.parametrize("shape", [(8, 8), (8, 16)])
def test_bases_are_found(shape):
    random = np.random.default_rng(5)
    bases = orthonormal(random.normal(size=(SECONDARIES, VALUES, 64)))
    groups = [Group.of(shape, of_bases(shape, bases, 400, random))]
    near = orthonormal(bases + 0.05 * random.normal(size=bases.shape))
    found, prices = train_set(groups, near, 6)
    for matrix, basis, first in zip(found, bases, near, strict=True):
        # In another order, with other signs.
        assert (np.abs(matrix @ basis.T).max(0) > 0.99).all()
        assert (np.abs(first @ basis.T).max(0) < 0.97).all()
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(VALUES), atol=1e-9)
    # Each is a third of the units: log2(3) bits.
    assert (prices.chosen[groups[0].size, 2:] < 1.8).all()


def test_run(tmp_path):
    path, table = tmp_path / "clip.y4m", tmp_path / "table.txt"
    path.write_bytes(y4m(pictures(1)))
    text, _ = run(
        secondary_transforms.main, path, path, "--crf", "25", "--preset", "fast", "--present",
        "--rounds", 0, "--hold-out", 2, "--output", table,
    )  # fmt: skip
    assert "held out: secondary transforms save" in text
    np.testing.assert_allclose(read_table(table), load_table("secondary_transforms.txt"), atol=1)
