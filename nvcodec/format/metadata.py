"""The mETa unit (spec 2.6): takes a Zstandard frame, gives a checked JSON object, and back."""

import json
from functools import partial
from typing import Any, Final

import zstandard

from nvcodec.format.errors import CorruptError
from nvcodec.format.payloads import require_bytes

MAX_METADATA_BYTES: Final = 65536
"""Bytes of the JSON object of one unit."""

MAX_METADATA: Final = 16
"""Units of a file, which also bounds what a reader keeps of them."""

_RULE: Final = "2.6"

_require_bytes = partial(
    require_bytes, most=MAX_METADATA_BYTES, what="metadata", rule=_RULE, error=CorruptError
)


def parse_metadata(payload: bytes) -> dict[str, Any]:
    """Read the payload of a mETa unit.

    Raises:
        CorruptError: it is not one Zstandard frame with a declared size of at most 65536 bytes,
            or its content is not one UTF-8 JSON object with members of the known types (spec 2.6).

    """
    try:
        declared = zstandard.get_frame_parameters(payload).content_size
    except zstandard.ZstdError as error:
        raise CorruptError("the payload is not a Zstandard frame", rule=_RULE) from error
    if declared == zstandard.CONTENTSIZE_UNKNOWN:
        raise CorruptError("the Zstandard frame does not declare its content size", rule=_RULE)
    # The library allocates the size that the frame declares, even above the given maximum.
    _require_bytes(declared)
    try:
        text = zstandard.ZstdDecompressor().decompress(payload, allow_extra_data=False)
        value = json.loads(text.decode("utf-8"))
        _dump(value)
    except zstandard.ZstdError as error:
        raise CorruptError("the Zstandard frame does not decompress", rule=_RULE) from error
    except (ValueError, RecursionError) as error:
        raise CorruptError("the content is not UTF-8 JSON", rule=_RULE) from error
    return _require_members(value)


def build_metadata(metadata: dict[str, Any]) -> bytes:
    """The payload of a mETa unit.

    Raises:
        CorruptError: the object is not JSON, is above 65536 bytes, or a known member has another
            type than spec 2.6 says.

    """
    try:
        text = _dump(_require_members(metadata))
    except (TypeError, ValueError, RecursionError) as error:
        raise CorruptError(f"the metadata is not JSON: {error}", rule=_RULE) from error
    _require_bytes(len(text))
    return zstandard.ZstdCompressor(level=19, write_content_size=True).compress(text)


def _dump(value: Any) -> bytes:
    # Refuses what Python's parser accepts: NaN, infinities and unpaired surrogates.
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(
        "utf-8"
    )


def _require_members(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise CorruptError("the metadata is not a JSON object", rule=_RULE)
    if not all(isinstance(name, str) for name in value):
        raise CorruptError("the metadata has a name that is not a string", rule=_RULE)
    if not isinstance(value.get("encoder", ""), str):
        raise CorruptError("the metadata member encoder is not a string", rule=_RULE)
    if not isinstance(value.get("settings", {}), dict):
        raise CorruptError("the metadata member settings is not an object", rule=_RULE)
    tags = value.get("tags", {})
    if not isinstance(tags, dict) or not all(isinstance(tag, str) for tag in tags.values()):
        raise CorruptError("the metadata member tags is not an object of strings", rule=_RULE)
    if value.get("field_order", "top") not in ("top", "bottom"):
        raise CorruptError("the metadata member field_order is not top or bottom", rule=_RULE)
    return value
