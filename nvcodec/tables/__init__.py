"""The tables of the specification: integers from the data files of `spec/tables`."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt


@lru_cache
def load_table(name: str) -> npt.NDArray[np.int32]:
    """Return the integers of the table file `name`, for example `"sine.txt"`.

    A file holds integers separated by white space; lines that begin with `#` are skipped. The
    result has shape (count,), is read-only and is shared between calls.

    Raises FileNotFoundError for an unknown table, ValueError when an entry is not an integer.
    """
    text = files(__package__).joinpath("data", name).read_text(encoding="ascii")
    entries = [e for line in text.splitlines() if not line.startswith("#") for e in line.split()]
    table = np.array([int(entry) for entry in entries], dtype=np.int32)
    table.flags.writeable = False
    return table


@lru_cache
def load_binary(name: str, bits: int) -> npt.NDArray[np.signedinteger]:
    """Return the integers of `bits` bits of the binary data file `name` (spec 11.2).

    The result has shape (count,), is read-only and is shared between calls. Raises
    FileNotFoundError for an unknown table.
    """
    data = files(__package__).joinpath("data", name).read_bytes()
    return np.frombuffer(data, np.dtype(f"<i{bits // 8}"))
