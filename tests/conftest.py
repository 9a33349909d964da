"""Settings of the whole test run."""

import os

# Triton's kernels run on the host, in its interpreter, in every process that imports it after this.
os.environ["TRITON_INTERPRET"] = "1"
