"""Random residuals, and random features of what is before a group."""

from __future__ import annotations

import numpy as np

from nvcodec.coding.nirvana.entropy import Surroundings, surroundings
from nvcodec.coding.nirvana.features import MAX_RESIDUAL, ContentEncoder

from .reference import Entropy, F


def random_residuals(
    rng: np.random.Generator, rows: int, columns: int, density: float
) -> np.ndarray:
    """Most are small, some extreme; (rows, columns, F)."""
    shape = rows, columns, F
    values = np.rint(rng.laplace(0, rng.choice([0.7, 8, 300]), shape)).astype(np.int64)
    values[rng.random(shape) > density] = 0
    extreme = rng.random(shape) < 0.03 * density
    values[extreme] = rng.choice([-MAX_RESIDUAL, MAX_RESIDUAL], shape)[extreme]
    return np.clip(values, -MAX_RESIDUAL, MAX_RESIDUAL)


class Around:
    """What the entropy network sees of a group before its first residual.

    `m` and `d` are moved features in steps and differences to them, within their bounds.
    """

    def __init__(
        self, rng: np.random.Generator, rows: int, columns: int, key: bool, q: int
    ) -> None:
        self.rows, self.columns, self.key, self.q = rows, columns, key, q
        shape = rows, columns, F
        self.m = np.clip(np.rint(rng.laplace(0, 100, shape)), -32767, 32767).astype(np.int32)
        self.d = np.rint(rng.laplace(0, 20, shape)).astype(np.int32)
        for values, most in ((self.m, 32767), (self.d, 65534)):
            extreme = rng.random(shape) < 0.02
            values[extreme] = rng.choice([-most, most], shape)[extreme]
        if key:
            self.m[:] = 0
            self.d[:] = 0

    def seen(self, residual: np.ndarray | None = None) -> Surroundings:
        """That of the package; an encoder gives the residuals."""
        flat = self.rows * self.columns, F
        seen = surroundings(
            self.rows, self.columns, self.key, self.q, self.m.reshape(flat), self.d.reshape(flat)
        )
        if residual is not None:
            seen.residual[:] = residual.reshape(flat)
        return seen

    def slow(self) -> Entropy:
        """That of the text."""
        return Entropy(self.q, self.key, self.m, self.d)


def encode_content(q: int, seen: Surroundings) -> bytes:
    """The content substream of a group of one layer with these residuals."""
    encoder = ContentEncoder(q, len(seen.residual))
    encoder.write(seen)
    return encoder.finish()
