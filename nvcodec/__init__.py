"""A neural video codec: the `.nrv` format, its encoder and its decoder.

Nothing here has to do with NVIDIA's NVENC and NVDEC. `Decoder` and `encode` are imported when
they are first used, so that reading a file never loads the encoder. So is the module `torch`, which
loads PyTorch.
"""

from __future__ import annotations

from nvcodec.version import __version__

# Defined here because importing `typing` would take most of the time before a command can handle
# signals.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from nvcodec.decode.decoder import Decoder
    from nvcodec.decode.frame import Frame
    from nvcodec.encode.encoder import encode

__all__ = ["Decoder", "Frame", "__version__", "encode"]

_HOMES = {
    "Decoder": "nvcodec.decode.decoder",
    "Frame": "nvcodec.decode.frame",
    "encode": "nvcodec.encode.encoder",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "torch":
        return import_module("nvcodec.torch")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Stored, because importing the subpackage `encode` would put it under the same name.
    globals()[name] = getattr(import_module(_HOMES[name]), name)
    return globals()[name]
