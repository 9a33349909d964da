"""The encoder: pictures to a bitstream. The decoder imports nothing from here."""

import os

# PyTorch reads this when it is imported. Threads that spin while they wait for each other lose
# more than half of the speed on a machine that has anything else to do.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
