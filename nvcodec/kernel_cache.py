"""Files of compiled kernels: takes bytes under a key, gives them back if the sources are the same.

`stamp` is a digest of everything that can be compiled into a kernel: the module's source, the
sources of the modules that it imports, directly or not, and the tables that these load. Numba
inlines functions and freezes constants across files, so the machine code depends on all of them.
The digest is of content, not of times, so a copied or installed tree keeps its kernels.

A wheel may carry kernels in one file, a pack. `carry` opens it. `Store` looks there first, then in
all of these places, and writes to the first that it can:

1. The folder that NUMBA_CACHE_DIR names. Where it can be written, it is the only place.
2. Python's own cache folder beside the module, `__pycache__`.
3. The folder `nvcodec` in the user's cache folder.

The files hold pickles, which run code when they are loaded. Of places 1 and 3 only those folders
and files are read that belong to the user or to root and that nobody else can write. Whoever can
write the files of place 2 can write Python's compiled modules there too, so it is trusted as much.

A pack is trusted as the modules beside it.

Nothing here raises an error for the state of a file or folder. A file that cannot be read gives
None. A kernel that cannot be written anywhere is reported to `unkept_told`.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import importlib.util
import json
import os
import re
import stat
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

try:
    import fcntl
except ImportError:
    # There are no claims on this system, and no processes that compile ahead.
    fcntl = None  # type: ignore[assignment]

_PACKAGE = __name__.partition(".")[0]
_TABLES = f"{_PACKAGE}.tables"

_IMPORT = re.compile(rb"import[ \t]+(\((?:[^)#]|#[^\n]*\n)*\)|(?:\\\n|[^\n#])*)")
_FROM = re.compile(rb"[ \t]*(?:from[ \t]+([\w.]+)[ \t]+)?")
"""The part of a line before _IMPORT."""
_TABLE = re.compile(rb"load_table\([ \t\n]*(?:[\"']([\w.]+)[\"'])?")
_COMMENT = re.compile(rb"#.*")
_NAME = re.compile(r"[\w.]+")
"""Also matches `as` and the alias after it, which is harmless: there are no such modules."""

_DIGEST_BYTES = 32
_SUFFIX = ".nbc"
_OF_KERNELS = (_SUFFIX, ".nbi", ".tmp")
_CLAIMS = "nvcodec.lock"
"""A file of each place; who compiles a kernel locks the byte that its name gives."""

CLAIMS_WORK = fcntl is not None
"""Whether two processes never compile the same kernel, on this system."""
_MOST_WAITED, _WAITED_AT_ONCE = 60.0, 0.01
"""Seconds."""

writing = threading.Lock()
"""Held while a file is written."""

_tellers: list[Callable[[str], None]] = []


@contextlib.contextmanager
def unkept_told(tell: Callable[[str], None]) -> Iterator[None]:
    """Call `tell` with a reason for each kernel that the block compiles but cannot store."""
    _tellers.append(tell)
    try:
        yield
    finally:
        _tellers.remove(tell)


def tell_unkept(reason: str) -> None:
    """Report that a kernel was compiled in memory only."""
    for tell in list(_tellers):
        tell(reason)


_seekers: list[Callable[[Any, str], None]] = []


@contextlib.contextmanager
def missing_told(tell: Callable[[Any, str], None]) -> Iterator[None]:
    """Call `tell` with each kernel that Python calls and that is not kept, and with its key."""
    _seekers.append(tell)
    try:
        yield
    finally:
        _seekers.remove(tell)


def missing(kernel: Any, key: str) -> None:
    """Report that a kernel has to be compiled."""
    for tell in list(_seekers):
        tell(kernel, key)


_watchers: list[tuple[Callable[[], None], Callable[[], None]]] = []


@contextlib.contextmanager
def compiling_told(begins: Callable[[], None], ends: Callable[[], None]) -> Iterator[None]:
    """Call `begins` and `ends` around each kernel that is compiled while the block runs."""
    _watchers.append((begins, ends))
    try:
        yield
    finally:
        _watchers.remove((begins, ends))


@contextlib.contextmanager
def compiling() -> Iterator[None]:
    """Report that the block compiles a kernel."""
    for begins, _ in list(_watchers):
        begins()
    yield
    for _, ends in list(_watchers):
        ends()


@dataclass(frozen=True)
class _Source:
    digest: bytes
    imports: tuple[str, ...]
    """Imported modules, and `module.name` of each imported name, as it may be a module too."""
    tables: tuple[str, ...]
    """Names of loaded tables; an empty string where the call does not have a literal name."""


@functools.cache
def _source(path: str) -> _Source:
    with open(path, "rb") as file:
        text = file.read()
    imports: dict[str, None] = {}
    for statement in _IMPORT.finditer(text):
        start = statement.start()
        before = _FROM.fullmatch(text, text.rfind(b"\n", 0, start) + 1, start)
        if before is not None:
            listed = _NAME.findall(_COMMENT.sub(b"", statement[1]).decode())
            if before[1] is not None:
                parent = before[1].decode()
                listed = [parent, *(f"{parent}.{name}" for name in listed)]
            imports |= dict.fromkeys(listed)
    calls = [] if b"def load_table" in text else _TABLE.findall(text)
    tables = tuple(name.decode() for name in calls)
    return _Source(hashlib.sha256(text).digest(), tuple(imports), tables)


@functools.cache
def _path(module: str) -> str | None:
    """The source of a module whose outermost package is loaded; None if there is no such module."""
    top, *inner = module.split(".")
    for folder in getattr(sys.modules.get(top), "__path__", ()):
        base = os.path.join(folder, *inner)
        for path in (os.path.join(base, "__init__.py"), f"{base}.py"):
            if os.path.isfile(path):
                return path
    return None


@functools.cache
def _imported(path: str, package: str) -> tuple[tuple[str, str], ...]:
    """Modules that a source imports of this package and of another one, with their sources."""
    found = []
    for name in _source(path).imports:
        if name.partition(".")[0] in (_PACKAGE, package):
            # Only a package's names can be modules.
            parent = _path(name.rpartition(".")[0]) or "__init__.py"
            file = _path(name) if os.path.basename(parent) == "__init__.py" else None
            if file is not None:
                found.append((name, file))
    return tuple(found)


def _table_paths(name: str) -> list[str]:
    tables = _path(_TABLES)
    if tables is None:
        return []
    folder = os.path.join(os.path.dirname(tables), "data")
    names = [name] if name else sorted(os.listdir(folder))
    return [os.path.join(folder, name) for name in names]


@functools.cache
def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).digest()


@functools.cache
def stamp(module: str, path: str) -> str | None:
    """A digest of everything that can be compiled into the kernels of a module.

    Import statements count anywhere in a file, if they name modules of this package or of the
    module's own package. Nothing is executed, so imports by other means are not seen. None if a
    source cannot be read, or if there is no module, as at a prompt.
    """
    if module == "__main__":
        return None
    package = module.partition(".")[0]
    found: dict[str, bytes] = {}
    pending = [(module, path)]
    try:
        while pending:
            name, path = pending.pop()
            if name in found:
                continue
            source = _source(path)
            found[name] = source.digest
            for table in source.tables:
                for at in _table_paths(table):
                    found[f"table:{os.path.basename(at)}"] = _content(at)
            pending += _imported(path, package)
    except OSError:
        return None
    joined = b"".join(name.encode() + b"\0" + found[name] for name in sorted(found))
    return hashlib.sha256(joined).hexdigest()[:16]


@dataclass(frozen=True)
class _Place:
    folder: str
    guarded: bool
    """Whether files are read only if no other user can write them."""

    def trusted(self, of: os.stat_result) -> bool:
        """Whether a file or folder may be read from here."""
        if not self.guarded or os.name != "posix":
            return True
        return of.st_uid in (os.getuid(), 0) and not of.st_mode & (stat.S_IWGRP | stat.S_IWOTH)

    def ready(self) -> bool:
        """Whether the folder is there and trusted."""
        try:
            return self.trusted(os.stat(self.folder))
        except OSError:
            return False

    def make(self) -> None:
        """Make the folder; raises OSError."""
        if self.guarded:
            # Private to the user. makedirs applies its mode to the innermost folder only.
            os.makedirs(os.path.dirname(self.folder), 0o700, exist_ok=True)
            os.makedirs(self.folder, 0o700, exist_ok=True)
        else:
            os.makedirs(self.folder, exist_ok=True)

    def read(self, name: str) -> bytes | None:
        """The content of the file `name`; None if it is missing, not trusted or damaged."""
        try:
            with open(os.path.join(self.folder, name), "rb") as file:
                if not self.trusted(os.fstat(file.fileno())):
                    return None
                data = file.read()
        except OSError:
            return None
        return _content_of(data)

    def write(self, name: str, content: bytes) -> None:
        """Write a file atomically, even if other processes write it too; raises OSError."""
        path = os.path.join(self.folder, name)
        part = f"{path}.{uuid.uuid4().hex[:16]}.tmp"
        try:
            # At most mode 0644 with any umask: not writable by others, so it is trusted later.
            with writing:
                with open(part, "xb", opener=lambda p, flags: os.open(p, flags, 0o644)) as file:
                    file.write(hashlib.sha256(content).digest() + content)
                os.replace(part, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(part)
            raise


@functools.cache
def _writable(folder: str) -> bool:
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def _user_folder() -> str | None:
    """The user's cache folder for this package, by the platform's convention."""
    if sys.platform == "win32":
        root = os.environ.get("LOCALAPPDATA", "")
    elif sys.platform == "darwin":
        root = os.path.expanduser("~/Library/Caches")
    else:
        root = os.environ.get("XDG_CACHE_HOME", "")
        # XDG_CACHE_HOME must be absolute. Without HOME or an account the home stays "~".
        root = root if os.path.isabs(root) else os.path.expanduser("~/.cache")
    return os.path.join(root, _PACKAGE) if os.path.isabs(root) else None


def _places(path: str, named: str) -> list[_Place]:
    """The places of a source file's kernels, in the order of the module's docstring."""
    folder = os.path.dirname(os.path.abspath(path))
    # A folder for each source folder, so that two installations keep each other's files.
    own = f"{os.path.basename(folder)}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}"
    of_name = [_Place(os.path.join(os.path.abspath(named), own), True)] if named else []
    if named and _writable(named):
        return of_name
    beside = _Place(os.path.dirname(importlib.util.cache_from_source(path)), False)
    user = _user_folder()
    of_user = [_Place(os.path.join(user, own), True)] if user else []
    return [*of_name, beside, *of_user]


@dataclass(frozen=True)
class _Pack:
    """A file with many kernels: the length of a JSON object, the object, and their content.

    The length has 8 bytes, little-endian. The object has offset and length by name.
    """

    path: str
    entries: dict[str, tuple[int, int]]

    def read(self, name: str) -> bytes | None:
        """The content of the kernel `name`; None if it is missing or damaged."""
        place = self.entries.get(name)
        if place is None:
            return None
        try:
            with open(self.path, "rb") as file:
                file.seek(place[0])
                return _content_of(file.read(place[1]))
        except OSError:
            return None


_packs: list[_Pack] = []


def carry(path: str) -> bool:
    """Read kernels from a pack too. False if it is missing or damaged."""
    try:
        with open(path, "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            start = 8 + size
            entries = json.loads(file.read(size)) if size < os.path.getsize(path) else {}
    except (OSError, ValueError):
        return False
    places = {name: (start + offset, length) for name, (offset, length) in entries.items()}
    _packs.append(_Pack(path, places))
    return bool(places)


def pack(folder: str, path: str) -> int:
    """Write a pack of all kernels in a folder and those in it; returns their number."""
    found = {
        name: os.path.join(inside, name)
        for inside, _, names in os.walk(folder)
        for name in names
        if name.endswith(_SUFFIX)
    }
    entries, contents, offset = {}, [], 0
    for name in sorted(found):
        with open(found[name], "rb") as file:
            contents.append(file.read())
        entries[name] = offset, len(contents[-1])
        offset += len(contents[-1])
    index = json.dumps(entries).encode()
    with open(path, "wb") as file:
        file.writelines([len(index).to_bytes(8, "little"), index, *contents])
    return len(entries)


def _content_of(data: bytes) -> bytes | None:
    """What a file of a kernel holds; None if it is damaged."""
    digest, content = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    # A changed byte in machine code could crash the process or give wrong results.
    return content if hashlib.sha256(content).digest() == digest else None


@functools.cache
def _opened(path: str) -> int:
    """Open a file of claims; it stays open, as closing it would release all of them."""
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)


def _lock_byte(descriptor: int, byte: int) -> bool:
    """Lock a byte of a file of claims; False if another process has locked it."""
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
    except OSError as error:
        # Where there are no locks (ENOLCK and others) a claim is as good as none.
        return error.errno not in (errno.EACCES, errno.EAGAIN)
    return True


class Store:
    """The kernels of one source file.

    `stamp` is the module's stamp, `named` the folder that NUMBA_CACHE_DIR names, or "". A kernel
    has a name, which begins with the file's name, and a key: any text that says what else it
    depends on.
    """

    def __init__(self, path: str, stamp: str, named: str) -> None:
        self._file = os.path.splitext(os.path.basename(path))[0]
        self._stamp = stamp
        self._places = _places(path, named)
        self._pruned: set[str] = set()

    @property
    def folders(self) -> list[str]:
        """Folders that are searched in this order; the first writable one gets new kernels."""
        return [place.folder for place in self._places]

    def load(self, kernel: str, key: str) -> Iterator[bytes]:
        """The stored content of a kernel, from each place that has it."""
        for carried in _packs:
            content = carried.read(self._name(kernel, key))
            if content is not None:
                yield content
        for place in self._places:
            if place.ready():
                content = place.read(self._name(kernel, key))
                if content is not None:
                    yield content

    def save(self, kernel: str, key: str, content: bytes) -> None:
        """Store a kernel in the first place that can be written; report it if there is none."""
        reasons = []
        for place in self._places:
            try:
                place.make()
                if place.ready():
                    self._prune(place)
                    place.write(self._name(kernel, key), content)
                    return
                reasons.append(f"others can write {place.folder}")
            except OSError as error:
                reasons.append(f"{place.folder}: {error.strerror or error}")
        tell_unkept("; ".join(reasons))

    @contextlib.contextmanager
    def claimed(self, kernel: str, key: str, *, wait: bool = True) -> Iterator[bool]:
        """Claim the compilation of a kernel: no other process has the same claim meanwhile.

        Gives False if another process has it and `wait` is false. A process that ends loses its
        claims. One that was stopped keeps them, so a claim is waited for for a minute only. What
        cannot be locked is not: two processes may then compile the same, which does no harm.
        """
        descriptor = self._claims() if fcntl is not None else None
        if descriptor is None:
            yield True
            return
        name = self._name(kernel, key).encode()
        byte = int.from_bytes(hashlib.sha256(name).digest()[:8], "little") >> 2
        until = time.monotonic() + (_MOST_WAITED if wait else 0)
        while not (is_ours := _lock_byte(descriptor, byte)) and time.monotonic() < until:
            time.sleep(_WAITED_AT_ONCE)
        if not is_ours:
            yield wait
            return
        try:
            yield True
        finally:
            with contextlib.suppress(OSError):
                fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, byte)

    def can_be_claimed(self) -> bool:
        """Whether there is a place to keep kernels, with claims."""
        return fcntl is not None and self._claims() is not None

    def _claims(self) -> int | None:
        """The file of claims where new kernels are kept."""
        for place in self._places:
            with contextlib.suppress(OSError):
                place.make()
                if place.ready():
                    return _opened(os.path.join(place.folder, _CLAIMS))
        return None

    def remove(self, kernel: str) -> None:
        """Remove a kernel under all keys."""
        for place in self._places:
            self._unlink(place, lambda name: name.startswith(f"{kernel}."))

    def _name(self, kernel: str, key: str) -> str:
        digest = hashlib.sha256(key.encode()).hexdigest()[:24]
        return f"{kernel}.{self._stamp}.{digest}{_SUFFIX}"

    def _prune(self, place: _Place) -> None:
        """Remove, once, what earlier versions of the source file left."""
        if place.folder not in self._pruned:
            self._pruned.add(place.folder)
            prefix, stamp = f"{self._file}.", f".{self._stamp}."
            self._unlink(place, lambda name: name.startswith(prefix) and stamp not in name)

    @staticmethod
    def _unlink(place: _Place, unwanted: Callable[[str], bool]) -> None:
        with contextlib.suppress(OSError):
            for name in os.listdir(place.folder):
                if name.endswith(_OF_KERNELS) and unwanted(name):
                    with contextlib.suppress(OSError):
                        os.unlink(os.path.join(place.folder, name))
