"""The quantiser index of each crf."""

import numpy as np

from nvcodec.coding.nirvana.features import LEAST_QUANTISER, MOST_QUANTISER
from nvcodec.encode.nirvana.effort import quantiser_index
from nvcodec.options import CRF_RANGE


def test_indices():
    crfs = np.linspace(*CRF_RANGE, 121)
    found = [quantiser_index(crf, 4) for crf in crfs]
    assert found == sorted(found)
    assert found[0] >= LEAST_QUANTISER
    assert found[-1] <= MOST_QUANTISER
    assert len(set(found)) > 50


def test_groups_that_are_not_full():
    assert [quantiser_index(30, frames) - quantiser_index(30, 4) for frames in (4, 3, 2, 1)] == [
        0,
        1,
        3,
        6,
    ]
