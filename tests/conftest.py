"""Settings of the whole test run."""

import os
import signal

import pytest

pytest_plugins = ["tests.interpreter", "tests.kernels"]

# Triton's kernels run on the host, in its interpreter, in every process that imports it after this.
os.environ["TRITON_INTERPRET"] = "1"

# Tests run side by side: PyTorch's own threads would wait for cores that others use.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Processes that tests start inherit an ignored Ctrl-C, as what runs in the background has it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that compile kernels for many others come first, in one process.

    Otherwise two processes that run side by side would compile them at the same time.
    """
    items.sort(key=lambda item: item.get_closest_marker("compiles") is None)
