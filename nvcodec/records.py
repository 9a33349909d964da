"""Records: arrays of fixed sizes in one block of memory, passed to kernels as one pointer.

A call of a kernel unpacks each array of a tuple into seven numbers. A record is one pointer however
many arrays it holds, and the compiler knows their sizes.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np


def array(kind: Any, *shape: int) -> Any:
    """A field that is an array of a NumPy type and a shape."""
    return np.dtype((kind, shape))


def nested(kind: type[Record]) -> Any:
    """A field that is another record."""
    return kind.dtype()


class _Data:
    """The memory of a record, as NumPy gives it."""

    def __get__(self, record: Any, _: object) -> Any:
        return np.void.data.__get__(record)


class _Made(np.record):  # type: ignore[misc]
    """What `make` returns; it holds its memory.

    Each call of a kernel asks a record for it, and NumPy describes all fields then: of a large one
    that takes 30 microseconds.
    """

    data: Any = _Data()


class Record:
    """Base of records: each attribute of a subclass is an `array` or `nested`.

    `make` returns the object that kernels take. Its attributes are views of its memory.
    """

    @classmethod
    def dtype(cls) -> np.dtype[Any]:
        """The aligned structured dtype of the fields; a subclass may give them other types."""
        fields: dict[str, Any] = {}
        for base in reversed(cls.__mro__):
            fields |= {n: kind for n, kind in vars(base).items() if isinstance(kind, np.dtype)}
        return np.dtype((np.record, np.dtype(list(fields.items()), align=True)))

    @classmethod
    def make(cls, **values: Any) -> Self:
        """A record of zeros, or one with these values: all fields or none.

        Raises TypeError when a field is missing or is none of the record.
        """
        kind = np.dtype((_Made, cls.dtype()))
        memory = np.zeros(kind.itemsize, np.uint8)
        made: Any = memory.view(kind)[0]
        vars(made)["data"] = memory.data
        if values and values.keys() != set(made.dtype.names):
            raise TypeError(f"{cls.__name__} has the fields {', '.join(made.dtype.names)}")
        for name, value in values.items():
            made[name] = value
        return made  # type: ignore[no-any-return]
