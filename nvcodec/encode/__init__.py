"""The encoder: pictures to a bitstream. The decoder imports nothing from here."""

import os
import sys
from types import ModuleType
from typing import Any

# PyTorch reads this when it is imported. Threads that spin while they wait for each other lose
# more than half of the speed on a machine that has anything else to do.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


class _Callable(ModuleType):
    """The package, which may be called as the function `nvcodec.encode`.

    Both have one name. Whoever imports a part of the package first makes `nvcodec.encode` the
    package; a call must do the same then.
    """

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from nvcodec.encode.encoder import encode

        return encode(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
