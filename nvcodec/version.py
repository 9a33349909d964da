"""The version of the package, and the fingerprint that tells its states apart."""

from __future__ import annotations

__version__ = "0.1.0"

_fingerprints: list[str] = []


def fingerprint() -> str:
    """The version and a hash of all sources and tables: what writes the same bytes has the same."""
    if not _fingerprints:
        _fingerprints.append(_computed())
    return _fingerprints[0]


def _computed() -> str:
    # Imported here, as this module is loaded before a command can handle signals.
    import hashlib
    from pathlib import Path

    root = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.suffix in (".py", ".txt", ".bin") and path.is_file():
            data = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()} {len(data)}\n".encode() + data)
    return f"{__version__}+{digest.hexdigest()[:12]}"
