import pytest

from tools.lib.apart import apart, peak_memory

MIB = 1 << 20


def filled(size):
    """Peak memory of a process that had `size` bytes."""
    data = b"x" * size
    return peak_memory(), len(data)


def test_memory_is_that_of_the_new_process():
    mine = b"x" * (300 * MIB)
    little, _ = apart(filled, 0)
    much, size = apart(filled, 100 * MIB)
    assert peak_memory() > len(mine)
    assert little < 300 * MIB
    assert 90 * MIB < much - little < 150 * MIB
    assert size == 100 * MIB


def test_errors_come_back():
    with pytest.raises(TypeError):
        apart(filled, "size")
