"""The quantiser index of each crf."""

import numpy as np

from nvcodec.coding.nirvana.features import LEAST_QUANTISER, MOST_QUANTISER
from nvcodec.encode.nirvana.effort import quantiser_index
from nvcodec.options import CRF_RANGE


def test_indices():
    crfs = np.linspace(*CRF_RANGE, 121)
    for key in (False, True):
        found = [quantiser_index(crf, key) for crf in crfs]
        assert found == sorted(found)
        assert found[0] >= LEAST_QUANTISER
        assert found[-1] <= MOST_QUANTISER
        assert len(set(found)) > 50
    assert all(quantiser_index(crf, True) <= quantiser_index(crf, False) for crf in crfs)
