"""The nirvana codec with another table, for ablations only.

While a block runs, encodes and decodes of this process have the table: sizes are those of files
that decode. A name that no longer exists in the codec raises AttributeError.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from nvcodec.coding.nirvana import entropy, table
from nvcodec.coding.nirvana.table import Table
from nvcodec.encode.nirvana import gradient
from nvcodec.model.nirvana import moved, network, synthesis
from tools.lib.nirvana_float import NirvanaNetwork
from tools.lib.nirvana_table import integers

_READERS = (entropy, gradient, moved, network)
"""The modules that make networks of the table."""


def table_of(network: NirvanaNetwork) -> Table:
    """The table of a network. Raises ValueError for weights or sums out of range."""
    weights, biases = integers(network)
    files = {16: weights, 32: biases}
    with patch.object(table, "load_binary", lambda name, bits: files[bits]):
        return table.load.__wrapped__()


@contextmanager
def with_table(other: Table) -> Iterator[None]:
    """While the block runs, the codec has this table."""
    with ExitStack() as stack:
        stack.callback(_forget)
        for module in _READERS:
            stack.enter_context(patch.object(module, "load", lambda: other))
        _forget()
        yield


def _forget() -> None:
    """Drop all networks that were made of a table."""
    for module in (*_READERS, synthesis):
        for value in vars(module).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()
