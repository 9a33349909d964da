"""Default contexts of model 3 (spec 11.7): those of the motion, content and network substreams."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nvcodec.coding.rangecoder import Contexts
from nvcodec.tables import load_table

MOTION_CONTEXTS = 88
CONTENT_CONTEXTS = 635
NETWORK_CONTEXTS = 62


class DefaultContexts(NamedTuple):
    """Contexts of each substream."""

    motion: Contexts
    content: Contexts
    network: Contexts


def default_contexts() -> DefaultContexts:
    """Fresh copies of the default contexts."""
    table = load_table("nirvana_contexts.txt").reshape(-1, 2)
    ends = np.cumsum([MOTION_CONTEXTS, CONTENT_CONTEXTS])
    return DefaultContexts(*np.split(np.ascontiguousarray(table[:, [0, 0, 1]]), ends))
