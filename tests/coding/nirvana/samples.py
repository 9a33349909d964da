"""Random residuals, and random features of what is before a group."""

from __future__ import annotations

import numpy as np

from nvcodec.coding.nirvana.entropy import Surroundings, surroundings
from nvcodec.coding.nirvana.features import MAX_RESIDUAL, ContentEncoder

from .reference import START, Entropy, F, in_steps


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


def least_numbers(residual: np.ndarray) -> np.ndarray:
    """Slices that these residuals (patches, F) need (spec 11.6)."""
    slices = [residual[:, START[s] : START[s + 1]].any(1) for s in range(6)]
    return np.max([np.where(used, s + 1, 3) for s, used in enumerate(slices)], 0)


class Around:
    """What the entropy network sees of a layer of a group before its first residual.

    `moved` and `before` are features in 1/8 sample, of which `reciprocal` makes steps. They are 0
    in a key group.
    """

    reciprocal = 65537

    def __init__(
        self, rng: np.random.Generator, rows: int, columns: int, key: bool, q: int
    ) -> None:
        self.rows, self.columns, self.key, self.q = rows, columns, key, q
        self.kind = int(rng.integers(2))
        shape = rows, columns, F
        self.moved = np.clip(np.rint(rng.laplace(0, 50, shape)), -32767, 32767).astype(np.int16)
        self.before = (self.moved + np.rint(rng.laplace(0, 10, shape))).astype(np.int16)
        for values in (self.moved, self.before):
            extreme = rng.random(shape) < 0.02
            values[extreme] = rng.choice([-32767, 32767], shape)[extreme]
        if key:
            self.moved[:] = 0
            self.before[:] = 0

    def seen(self, residual: np.ndarray | None = None) -> Surroundings:
        """That of the package; an encoder gives the residuals."""
        flat = self.rows * self.columns, F
        before = None if self.key else self.before.reshape(flat)
        seen = surroundings(
            self.rows, self.columns, self.kind, self.q, self.reciprocal, self.moved.reshape(flat),
            before,
        )  # fmt: skip
        if residual is not None:
            seen.residual[:] = residual.reshape(flat)
            seen.number[:] = least_numbers(seen.residual)
        return seen

    def slow(self) -> Entropy:
        """That of the text."""
        m = in_steps(self.moved, self.reciprocal)
        d = in_steps(self.before, self.reciprocal) - m
        return Entropy(self.q, self.key, m, d, self.kind)


def encode_content(q: int, seen: Surroundings) -> bytes:
    """The content substream of a group of one layer with these residuals."""
    encoder = ContentEncoder(q, len(seen.residual))
    encoder.write(seen)
    return encoder.finish()
