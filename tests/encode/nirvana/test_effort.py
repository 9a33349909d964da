"""The quantiser index of each crf."""

import numpy as np

from nvcodec.coding.nirvana.features import LEAST_QUANTISER, MOST_QUANTISER
from nvcodec.encode.nirvana.effort import quantiser_index
from nvcodec.options import CRF_RANGE


def test_indices():
    crfs = np.linspace(*CRF_RANGE, 121)
    for key in (False, True):
        found = [quantiser_index(crf, 4, key) for crf in crfs]
        assert found == sorted(found)
        assert found[0] >= LEAST_QUANTISER
        assert found[-1] <= MOST_QUANTISER
        assert len(set(found)) > 50
    assert all(quantiser_index(crf, 4, True) <= quantiser_index(crf, 4, False) for crf in crfs)


def test_groups_that_are_not_full():
    full = quantiser_index(30, 4, False)
    assert [quantiser_index(30, frames, False) - full for frames in (4, 3, 2, 1)] == [0, 1, 2, 4]
    assert len({quantiser_index(30, frames, True) for frames in (4, 3, 2, 1)}) == 1
