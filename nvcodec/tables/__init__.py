"""The tables of the specification: integers from the data files of `spec/tables`."""

from __future__ import annotations

import os
from functools import lru_cache

# Defined here, as NumPy is not needed to list a file.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_FOLDER = os.path.join(os.path.dirname(__file__), "data")


def read_table(name: str) -> list[int]:
    """The integers of the table file `name`, for example `"sine.txt"`.

    A file holds integers separated by white space; lines that begin with `#` are skipped. Raises
    FileNotFoundError for an unknown table, ValueError when an entry is not an integer.
    """
    with open(os.path.join(_FOLDER, name), encoding="ascii") as file:
        return [int(entry) for line in file if line[0] != "#" for entry in line.split()]


@lru_cache
def load_table(name: str) -> npt.NDArray[np.int32]:
    """The integers of `read_table` as an array.

    It has shape (count,), is read-only and is shared between calls.
    """
    import numpy as np

    table = np.array(read_table(name), np.int32)
    table.flags.writeable = False
    return table


@lru_cache
def load_binary(name: str, bits: int) -> npt.NDArray[np.signedinteger]:
    """Return the integers of `bits` bits of the binary data file `name` (spec 11.2).

    The result has shape (count,), is read-only and is shared between calls. Raises
    FileNotFoundError for an unknown table.
    """
    import numpy as np

    with open(os.path.join(_FOLDER, name), "rb") as file:
        data = file.read()
    return np.frombuffer(data, np.dtype(f"<i{bits // 8}"))
