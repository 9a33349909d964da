"""Records: one block of memory, seen from Python and from kernels."""

import numpy as np
import pytest

from nvcodec import compilation
from nvcodec.compiled import kernel
from nvcodec.records import Record, array, nested


class Inner(Record):
    numbers = array(np.int64, 3)


class Outer(Record):
    small = array(np.uint8, 5)
    reals = array(np.float32, 2, 4)
    inner = nested(Inner)


@kernel
def fill(record, value):
    for k in range(record.inner.numbers.size):
        record.inner.numbers[k] = value + k
    row = record.reals[1]
    row[2] = value
    return record.small[4]


def test_a_kernel_writes_into_a_record():
    record = Outer.make()
    record.small[:] = 7
    assert not record.reals.any()
    assert fill(record, 40) == 7
    assert record.inner.numbers.tolist() == [40, 41, 42]
    assert record.reals.tolist() == [[0] * 4, [0, 0, 40, 0]]


def test_names_of_machine_code_do_not_tell_what_was_compiled_before():
    """Processes that compile at the same time use each other's kernels, by name."""
    fill(Outer.make(), 1)
    ((arguments, result),) = compilation.dispatcher(fill).overloads.items()
    assert f"Li{arguments[0]._code}E" not in result.fndesc.llvm_func_name


def test_values_are_copied():
    given = np.arange(8, dtype=np.float32).reshape(2, 4)
    record = Outer.make(small=3, reals=given, inner=Inner.make(numbers=[1, 2, 3]))
    given[:] = -1
    assert record.small.tolist() == [3] * 5
    assert record.inner.numbers.tolist() == [1, 2, 3]
    assert record.reals.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    other = Outer.make()
    record.reals[0, 0] = 9
    assert not other.reals.any()


@pytest.mark.parametrize("values", [{"small": 1}, {"numbers": 1, "other": 2}])
def test_all_fields_or_none(values):
    # What is forgotten would be zero: a price of zero makes a choice free.
    with pytest.raises(TypeError, match="has the fields small, reals, inner"):
        Outer.make(**values)


def test_arrays_are_aligned():
    record = Outer.make()
    assert record.inner.numbers.ctypes.data % 8 == 0
    assert record.reals.ctypes.data % 4 == 0
