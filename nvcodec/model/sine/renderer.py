"""Inference of the patch network (spec 5.1 to 5.4): weights to patch values, on the CPU.

Uses integer products where the processor has them, and single-precision products elsewhere. Both
give the same values.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from nvcodec.model.sine import dot_product
from nvcodec.model.sine.float_network import FloatNetwork
from nvcodec.model.sine.integer_network import IntegerNetwork
from nvcodec.model.sine.layers import Values
from nvcodec.model.sine.weights import GroupWeights

_BLAS = ThreadpoolController()


class SineRenderer:
    """Evaluates one group's network for any patches and frames.

    `weights` must conform to spec 4.3 to 4.5 (`check_weights`), which makes products exact.
    `threads` and `batch` (patches evaluated at once) change speed and memory only.
    """

    def __init__(self, weights: GroupWeights, threads: int = 1, batch: int = 64) -> None:
        self.shape = weights.shape
        self._threads = threads
        self._batch = batch
        network = IntegerNetwork if dot_product.usable() else FloatNetwork
        self._network: IntegerNetwork | FloatNetwork = network(weights)

    def values(
        self,
        xs: npt.NDArray[np.int64],
        ys: npt.NDArray[np.int64],
        frames: Sequence[int],
    ) -> tuple[Values, Values]:
        """Values (1/16 sample) of patches whose centre inputs (spec 5.2) are xs[n], ys[n].

        Returns luma (frames, n, P, P) and chroma (frames, 2, n, G, G), int16.
        """
        shape, count = self.shape, len(xs)
        luma = np.empty((len(frames), count, shape.patch, shape.patch), np.int16)
        chroma = np.empty((len(frames), 2, count, shape.half, shape.half), np.int16)
        starts = range(0, count, self._batch)

        def evaluate(start: int) -> None:
            part = slice(start, start + self._batch)
            self._network.evaluate(
                xs[part],
                ys[part],
                frames,
                luma[:, part],
                chroma[:, :, part],
            )

        with _BLAS.limit(limits=1, user_api="blas"):
            if self._threads == 1 or len(starts) == 1:
                for start in starts:
                    evaluate(start)
            else:
                with ThreadPoolExecutor(self._threads) as pool:
                    list(pool.map(evaluate, starts))
        return luma, chroma
