"""The cache of compiled kernels, tested through a small package that uses it."""

import hashlib
import importlib
import inspect
import json
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest
from numba.core import caching, compiler, serialize

from nvcodec import compilation, kernel_cache, machine_code
from nvcodec.coding.carry import shift_low
from nvcodec.compiled import Kernel

ROOT = Path(__file__).resolve().parents[1]
MODULES = (
    *("__init__", "version", "baselines", "compiled", "compilation", "kernel_cache"),
    *("machine_code", "target"),
)
BELOW_A_FILE = "/dev/null/none"

LOW = """
from nvcodec.compiled import kernel
from nvcodec.tables import load_table
ONE = 1
FIRST = int(load_table("first.txt")[0])
@kernel
def more(x):
    return x + ONE + FIRST
"""
HIGH = """
from nvcodec.compiled import kernel
from nvcodec.low import (
    ONE,  # (not used)
    more,
)
@kernel
def twice(x):
    return more(more(x))
"""

# Each of `long` and `longer` is too long to be copied into its caller.
LONG = (
    """
import sys
from nvcodec.compiled import kernel
@kernel
def long(x, wanted):
    if x == wanted:
        raise ValueError("found")
"""
    + "\n".join(f"    x = (x * {2 * k + 3}) ^ (x // {k + 2})" for k in range(40))
    + """
    return x
"""
    + """
@kernel
def longer(x):
"""
    + "\n".join(f"    x = (x * {2 * k + 3}) ^ (x // {k + 2})" for k in range(40))
    + """
    return long(x, -1) + x
@kernel
def top(x):
    return longer(x) - 1
print(top(int(sys.argv[1])), top.loaded)
if len(sys.argv) > 2:
    print(long(int(sys.argv[1]), -1), long.loaded)
    try:
        long(7, 7)
    except ValueError as error:
        print(error)
"""
)

# Makes folders read-only for this process, which permissions do not for root.
RUN = """
import errno, json, os, sys
read_only, argument = json.loads(sys.argv[1])
def hook(event, arguments):
    writes = event in ("os.mkdir", "os.rename", "os.remove") or (
        event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    )
    if writes and any(str(arguments[0]).startswith(folder) for folder in read_only):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))
sys.addaudithook(hook)
from nvcodec.kernel_cache import unkept_told
reasons = []
with unkept_told(reasons.append):
    from nvcodec.high import twice
    value = twice(argument)
kept = twice.loaded
print(json.dumps({"value": value, "kept": kept, "reasons": reasons}))
"""


class Package:
    """A copy of what compiles kernels with two modules that have some."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "tree"
        self.code = self.root / "nvcodec"
        self.beside = self.code / "__pycache__"
        self.user = folder / "user"
        self.code.mkdir(parents=True)
        for name in MODULES:
            shutil.copy(ROOT / "nvcodec" / f"{name}.py", self.code)
        data = self.code / "tables" / "data"
        data.mkdir(parents=True)
        shutil.copy(ROOT / "nvcodec/tables/__init__.py", self.code / "tables")
        (data / "first.txt").write_text("100\n")
        (data / "second.txt").write_text("7\n")
        (self.code / "low.py").write_text(LOW)
        (self.code / "high.py").write_text(HIGH)

    def start(self, argument=5, *, read_only=(), before="", **environment):
        environment = {"XDG_CACHE_HOME": str(self.user), **environment}
        known = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
        asked = json.dumps([[str(folder) for folder in read_only], argument])
        return subprocess.Popen(
            [sys.executable, "-c", before + RUN, asked],
            env={**known, "PYTHONPATH": str(self.root), **environment},
            cwd=self.root,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, argument=5, **options):
        process = self.start(argument, **options)
        out, _ = process.communicate()
        assert process.returncode == 0
        return json.loads(out)

    def kept(self, folder=None):
        """The file of `twice`, the only one that a call looks for when it is kept."""
        folder = self.beside if folder is None else folder
        assert not list(folder.rglob("*.tmp"))
        return sorted(folder.rglob("high.twice*.nbc"))


@pytest.fixture
def package(tmp_path):
    return Package(tmp_path)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A package whose kernels are kept beside it."""
    made = Package(tmp_path_factory.mktemp("compiled"))
    assert made.run() == compiled_once()
    assert made.kept()
    return made


@pytest.fixture
def ready(compiled, tmp_path):
    """A copy of `compiled` for a test of its own."""
    made = Package(tmp_path)
    shutil.rmtree(made.code)
    shutil.copytree(compiled.code, made.code)
    return made


class Told:
    """A store beside a source, and what was told of kernels that it could not keep."""

    def __init__(self, folder, named=""):
        self.store = kernel_cache.Store(str(folder / "file.py"), "stamp", str(named))
        self.folders = [Path(place) for place in self.store.folders]
        self.reasons = []

    def save(self, content=b"machine code"):
        with kernel_cache.unkept_told(self.reasons.append):
            self.store.save("file.name", "key", content)

    def load(self):
        return list(self.store.load("file.name", "key"))


@pytest.fixture
def beside(tmp_path, monkeypatch):
    """A store whose places are beside the source, and the user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    return Told(tmp_path)


@pytest.fixture
def guarded(tmp_path):
    """A store whose only place is read only if nobody else can write it."""
    return Told(tmp_path, tmp_path / "named")


def compiled_once(value=207):
    return {"value": value, "kept": 0, "reasons": []}


def used(value=207):
    return {"value": value, "kept": 1, "reasons": []}


def edit(path, old, new):
    """Edit a file of the package and hide it: neither size nor time change."""
    times = os.stat(path)
    text = path.read_text().replace(old, new)
    path.write_text(text)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_kernels_are_kept_beside_the_package_and_used_in_a_copy(package, tmp_path):
    assert package.run() == compiled_once()
    assert package.run() == used()
    assert not package.user.exists()
    copy = Package(tmp_path / "copy")
    shutil.rmtree(copy.code)
    shutil.copytree(package.code, copy.code, copy_function=shutil.copyfile)
    assert copy.run(read_only=["/"]) == used()


@pytest.mark.parametrize(
    ("file", "old", "new", "value"),
    [
        ("low.py", "ONE = 1", "ONE = 2", 209),
        ("tables/data/first.txt", "100", "200", 407),
        ("tables/data/second.txt", "7", "8", None),
    ],
)
def test_what_a_kernel_inlines_decides_whether_it_is_used(ready, file, old, new, value):
    package, before = ready, ready.kept()
    edit(package.code / file, old, new)
    # Python would not see the change.
    for compiled_python in package.beside.glob("low.*.pyc"):
        compiled_python.unlink()
    if value is None:
        assert package.run() == used()
        return
    assert package.run() == compiled_once(value)
    assert package.run() == used(value)
    assert len(before) == len(package.kept()) == 1
    assert before != package.kept()


def test_settings_that_change_code_have_kernels_of_their_own(ready):
    assert ready.run(NUMBA_BOUNDSCHECK="1") == compiled_once()
    assert ready.run() == ready.run(NUMBA_BOUNDSCHECK="1") == used()


def test_a_package_that_is_read_only_has_a_users_cache(package):
    options = {"read_only": [package.root]}
    assert package.run(**options) == compiled_once()
    assert package.run(**options) == used()
    assert not package.kept()
    (file,) = package.kept(package.user)
    assert file.parent.parent == package.user / "nvcodec"
    for made in (file.parent, file.parent.parent):
        assert made.stat().st_mode & 0o777 == 0o700


def test_without_any_place_kernels_are_compiled_in_memory(package, compiled):
    environment = {"HOME": BELOW_A_FILE, "NUMBA_CACHE_DIR": BELOW_A_FILE, "XDG_CACHE_HOME": ""}
    result = package.run(read_only=["/"], **environment)
    assert (result["value"], result["kept"]) == (207, 0)
    assert str(package.beside) in result["reasons"][0]
    assert BELOW_A_FILE in result["reasons"][0]
    # Where it is ready it is used all the same.
    shutil.copytree(compiled.beside, package.beside, dirs_exist_ok=True)
    assert package.run(read_only=["/"], **environment) == used()


def test_without_a_home_the_account_has_one(tmp_path, monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    folders = Told(tmp_path, BELOW_A_FILE).folders
    assert folders[0].is_relative_to(BELOW_A_FILE)
    assert folders[1] == tmp_path / "__pycache__"
    assert [folder.parent.name for folder in folders[2:]] in ([], ["nvcodec"])


def test_a_folder_that_the_user_names_is_the_only_place(ready, tmp_path):
    named = str(tmp_path / "named")
    assert ready.run(NUMBA_CACHE_DIR=named) == compiled_once()
    shutil.rmtree(ready.beside)
    assert ready.run(NUMBA_CACHE_DIR=named) == used()
    assert not ready.kept()


def only_file(told):
    (file,) = told.folders[0].glob("*.nbc")
    return file


def test_what_others_can_write_is_not_read(guarded):
    guarded.save()
    file = only_file(guarded)
    assert guarded.load() == [b"machine code"]
    file.chmod(0o666)
    assert guarded.load() == []
    guarded.save()
    assert guarded.load() == [b"machine code"]
    assert file.stat().st_mode & 0o022 == 0
    assert guarded.reasons == []
    file.parent.chmod(0o777)
    assert guarded.load() == []
    guarded.save()
    assert "others can write" in guarded.reasons[0]


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="gives files away")
def test_what_belongs_to_others_is_not_read(guarded):
    guarded.save()
    file = only_file(guarded)
    os.chown(file, 12345, -1)
    assert guarded.load() == []
    guarded.save()
    assert guarded.load() == [b"machine code"]
    os.chown(file.parent, 12345, -1)
    assert guarded.load() == []
    guarded.save()
    assert len(guarded.reasons) == 1


def _whole(content):
    return hashlib.sha256(content).digest() + content


DAMAGES = [
    lambda data: b"",
    lambda data: data[: len(data) // 2],
    lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    lambda data: bytes(64) + data[64:],
]
"""Of files."""

UNUSABLE = [b"no pickle", b"(I1\nI2\nt."]
"""Contents of intact files."""


def run_long(package, *arguments):
    """What `LONG` prints, as lines."""
    (package.code / "long.py").write_text(LONG)
    done = subprocess.run(
        [sys.executable, "-c", "import nvcodec.long", *arguments],
        env={**os.environ, "PYTHONPATH": str(package.root), "XDG_CACHE_HOME": str(package.user)},
        capture_output=True,
        text=True,
        cwd=package.root,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_kernels_that_are_linked(package):
    (first,) = run_long(package, "5")
    value = first.split()[0]
    assert first == f"{value} 0"
    assert run_long(package, "5") == [f"{value} 1"]
    # A callee's file that is missing is compiled again, with what needs it.
    (callee,) = package.beside.glob("long.long-*.nbc")
    callee.unlink()
    assert run_long(package, "5") == [f"{value} 0"]
    # Python can call it too.
    called = run_long(package, "5", "and long")
    assert (called[0], called[1].split()[1], called[2]) == (f"{value} 1", "0", "found")
    again = run_long(package, "5", "and long")
    assert again == [called[0], called[1].replace(" 0", " 1"), "found"]


FAMILY = (
    """
from nvcodec.compiled import kernel
def made(number):
    def member(x):
"""
    + "\n".join(f"        x = (x * {2 * k + 3}) ^ (x // {k + 2})" for k in range(40))
    + """
        return 2 * (x // 2) + number
    return kernel(member)
even, odd = made(0), made(1)
@kernel
def difference(x):
    return odd(x) - even(x)
print(difference(5))
"""
)


def test_kernels_of_one_definition_are_kept_apart(package):
    (package.code / "family.py").write_text(FAMILY)
    for _ in ("compiled", "loaded"):
        done = subprocess.run(
            [sys.executable, "-c", "import nvcodec.family"],
            env={
                **os.environ,
                "PYTHONPATH": str(package.root),
                "XDG_CACHE_HOME": str(package.user),
            },
            capture_output=True,
            text=True,
            cwd=package.root,
        )
        assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


ALL_KINDS = """
import sys
from typing import NamedTuple
import numpy as np
from nvcodec.compiled import allocating, kernel
class Pair(NamedTuple):
    first: np.ndarray
    second: int
@kernel
def total(values, pair, record, scale):
    sum = 0
    for k in range(values.shape[0]):
        sum += values[k, 0] + pair.first[k] * pair.second
    record.count[0] += 1
    return scale * sum
@kernel
def both(x):
    return x + 1, x * 2
@allocating
def doubled(values):
    if values.size == 3:
        raise ValueError(values.size)
    return 2 * values
record = np.zeros((), np.dtype((np.record, np.dtype([("count", "i4", (2,))], align=True))))[()]
wide = np.arange(24).reshape(4, 6)
locked = wide.copy()
locked.flags.writeable = False
for values in (wide, wide[::2], np.asfortranarray(wide), locked, wide.astype("u1"), wide / 2):
    first = values[:, 0]
    pair = Pair(first, np.int8(2))
    print(total(values, Pair(first, 2), record, 1), total(values, pair, record, 1.5))
print(both(1), both(True), both(np.uint8(255)), both(x=0.5), record.count.tolist())
print("numba" in sys.modules, total.loaded, both.loaded)
print(doubled(wide[0]).tolist(), doubled(wide[1:3, 1]).tolist(), doubled.loaded)
try:
    doubled(np.zeros(3))
except ValueError as error:
    print(repr(error))
try:
    total([1], 2, 3, 4)
except TypeError as error:
    print(error)
import numba
print(numba.njit(lambda x: doubled(x) + both(x.size)[1])(wide[0]).tolist())
print(doubled(wide[2]).tolist())
"""


def test_kept_kernels_take_all_kinds_of_arguments_without_numba(package):
    """Numba can be imported and used after that, with the same kernels."""
    (package.code / "kinds.py").write_text(ALL_KINDS)
    runs = [
        subprocess.run(
            [sys.executable, "-c", "import nvcodec.kinds"],
            env={**os.environ, "PYTHONPATH": str(package.root)},
            capture_output=True,
            text=True,
            cwd=package.root,
        )
        for _ in range(2)
    ]
    assert [run.returncode for run in runs] == [0, 0], runs[0].stderr + runs[1].stderr
    compiled, loaded = (run.stdout.splitlines() for run in runs)
    assert compiled == [
        *("108 162.0", "36 54.0", "108 162.0", "108 162.0", "108 162.0", "54.0 81.0"),
        "(2, 2) (2, 2) (256, 510) (1.5, 1.0) [12, 0]",
        "True 0 0",
        "[0, 2, 4, 6, 8, 10] [14, 26] 0",
        "ValueError(3)",
        "kernels take numbers, arrays, records and tuples of these, no list",
        *("[12, 14, 16, 18, 20, 22]", "[24, 26, 28, 30, 32, 34]"),
    ]
    assert loaded[6:9] == [compiled[6], "False 12 4", compiled[8][:-1] + "2"]
    assert loaded[:6] + loaded[9:] == compiled[:6] + compiled[9:]


CARRYING = """
from nvcodec import baselines
none = baselines.Baseline("none", "generic", ("a feature that no processor has",))
own = baselines.Baseline("own", "x86-64", ("cmov", "cx8", "fxsr", "sse2"))
baselines.BASELINES = none, own
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="baselines are of x86-64")
def test_a_pack_is_used_where_the_processor_fits(package, tmp_path):
    kept = tmp_path / "kept"
    folder = package.code / "compiled_kernels"
    folder.mkdir()
    built = {
        "NUMBA_CACHE_DIR": str(kept),
        "NUMBA_CPU_NAME": "x86-64",
        "NUMBA_CPU_FEATURES": "+cmov,+cx8,+fxsr,+sse2",
    }
    assert package.run(**built) == compiled_once()
    assert kernel_cache.pack(str(kept), str(folder / "own.pack")) > 0
    shutil.copy(folder / "own.pack", folder / "none.pack")
    assert package.run(before=CARRYING, read_only=["/"]) == used()
    # What is not in it is compiled for the same target, and kept.
    assert package.run(0.5, before=CARRYING) == compiled_once(202.5)
    assert package.run(0.5, before=CARRYING) == used(202.5)
    # Settings of Numba are obeyed.
    assert package.run(before=CARRYING, NUMBA_CPU_NAME="generic") == compiled_once()
    shutil.rmtree(package.beside, ignore_errors=True)
    (folder / "own.pack").write_bytes((folder / "own.pack").read_bytes()[:-1])
    result = package.run(before=CARRYING)
    assert (result["value"], result["reasons"]) == (207, [])


def test_damaged_packs_are_not_read(beside, tmp_path, monkeypatch):
    monkeypatch.setattr(kernel_cache, "_packs", [])
    beside.save()
    path = tmp_path / "own.pack"
    assert kernel_cache.pack(str(beside.folders[0]), str(path)) == 1
    shutil.rmtree(beside.folders[0])
    assert kernel_cache.carry(str(path))
    assert beside.load() == [b"machine code"]
    data = path.read_bytes()
    for damaged in (data[:-1], data[:4], b"", data[:8] + b"x" + data[9:]):
        kernel_cache._packs.clear()
        path.write_bytes(damaged)
        kernel_cache.carry(str(path))
        assert beside.load() == []


def test_what_is_beside_the_source_is_read_first(beside):
    beside.save()
    shutil.copytree(beside.folders[0], beside.folders[1])
    shutil.rmtree(beside.folders[0])
    assert beside.load() == [b"machine code"]
    beside.save(b"other")
    assert beside.load() == [b"other", b"machine code"]


def test_damaged_files_are_not_read(beside):
    beside.save()
    file = only_file(beside)
    whole = file.read_bytes()
    for damage in DAMAGES:
        assert beside.load() == [b"machine code"]
        file.write_bytes(damage(whole))
        assert beside.load() == []
        beside.save()


@pytest.mark.parametrize("content", UNUSABLE)
def test_what_cannot_be_used_counts_as_missing(beside, content, monkeypatch):
    monkeypatch.setattr(Kernel, "store", beside.store)
    beside.store.save(shift_low.name, "key", content)
    assert list(beside.store.load(shift_low.name, "key")) == [content]
    assert shift_low._load("key") is None


def test_damaged_files_are_replaced(ready):
    (file,) = ready.kept()
    for data in (DAMAGES[2](file.read_bytes()), _whole(UNUSABLE[1])):
        file.write_bytes(data)
        assert ready.run() == compiled_once()
    assert ready.run() == used()


def test_a_place_whose_file_cannot_be_replaced_is_passed_over(beside):
    beside.save()
    file = only_file(beside)
    file.unlink()
    (file / "full").mkdir(parents=True)
    beside.save(b"other")
    assert (beside.load(), beside.reasons) == ([b"other"], [])
    assert list(beside.folders[1].glob("*.nbc"))


def test_a_full_disk_leaves_nothing_behind(beside):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        beside.save(bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "too large" in beside.reasons[0]
    assert [list(folder.iterdir()) for folder in beside.folders] == [[], []]


def test_processes_that_compile_at_once(package):
    processes = [package.start(argument) for argument in (5, 0.5)]
    results = [json.loads(process.communicate()[0]) for process in processes]
    assert [result["value"] for result in results] == [207, 202.5]
    assert package.run(5) == used()
    assert package.run(0.5) == used(202.5)


COUNTED = """
from nvcodec.high import twice
from nvcodec.kernel_cache import compiling_told, missing_told
compiled, missing = [], []
with missing_told(lambda kernel, key: missing.append(kernel.name)):
    with compiling_told(lambda: None, lambda: compiled.append(1)):
        print(twice(5), len(compiled), len(missing))
"""


def test_processes_compile_a_kernel_once(package):
    environment = {**os.environ, "PYTHONPATH": str(package.root)}
    command = [sys.executable, "-c", COUNTED]

    def begun():
        return subprocess.Popen(
            command, env=environment, cwd=package.root, stdout=subprocess.PIPE, text=True
        )

    def results(*processes):
        return [[int(n) for n in each.communicate()[0].split()] for each in processes]

    both = results(begun(), begun())
    assert [value for value, _, _ in both] == [207, 207]
    assert sum(compiled for _, compiled, _ in both) == 2
    assert results(begun()) == [[207, 0, 0]]


CLAIMING = """
import sys, time
from nvcodec.kernel_cache import Store
with Store(sys.argv[1], "stamp", sys.argv[2]).claimed("file.name", "key"):
    print("claimed", flush=True)
    time.sleep(60)
"""


def test_a_claim_ends_with_its_process(tmp_path):
    where = str(tmp_path / "file.py"), str(tmp_path / "kernels")
    store = kernel_cache.Store(where[0], "stamp", where[1])
    with subprocess.Popen(
        [sys.executable, "-c", CLAIMING, *where], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "claimed\n"
        with store.claimed("file.name", "key", wait=False) as is_ours:
            assert not is_ours
        with store.claimed("file.other", "key", wait=False) as is_ours:
            assert is_ours
        process.kill()
    with store.claimed("file.name", "key", wait=False) as is_ours:
        assert is_ours


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("from a.b import c", {"a.b", "a.b.c"}),
        ("    from a.b import c as d, e", {"a.b", "a.b.c", "a.b.e"}),
        ("from a import (  # (one)\n    b,  # two)\n    c,\n)", {"a", "a.b", "a.c"}),
        ("from a import b, \\\n    c", {"a", "a.b", "a.c"}),
        ("import a.b as c, d.e  # f", {"a.b", "d.e"}),
        ("x = important + 1", set()),
    ],
)
def test_imports_are_found(tmp_path, statement, found):
    path = tmp_path / "source.py"
    path.write_text(f'"""Text."""\n\n{statement}\nimported = 1\n')
    imports = set(kernel_cache._source(str(path)).imports)
    assert found <= imports
    assert all(".as" in name or ".d" in name or name in (*found, "as", "c") for name in imports)


def test_what_numba_is_expected_to_have():
    """Fails where a new version of Numba needs other modules `compilation` and `machine_code`."""
    asked = caching._Cache.__abstractmethods__
    assert asked <= set(vars(compilation._KernelCache)), "the cache has new methods"
    for method, parameters in {
        "load_overload": ["self", "sig", "target_context"],
        "save_overload": ["self", "sig", "data"],
    }.items():
        found = inspect.signature(getattr(caching._Cache, method)).parameters
        assert list(found) == parameters, method
    assert hasattr(compiler.CompileResult, "_reduce")
    assert hasattr(compiler.CompileResult, "_rebuild")
    assert callable(serialize.dumps)
    assert isinstance(numba.njit(lambda x: x)._cache, caching.NullCache)
    for module in ("_helperlib", "_dynfunc", "core.runtime._nrt_python"):
        alone = machine_code._c_module(module)
        assert alone.c_helpers == importlib.import_module(f"numba.{module}").c_helpers
    assert {"make_function", "Environment"} <= set(vars(machine_code._c_module("_dynfunc")))
    dispatcher = compilation.dispatcher(shift_low)
    assert isinstance(dispatcher._cache, compilation._KernelCache)


def test_no_other_module_compiles():
    """Numba's own cache would not see changes of what a kernel inlines."""
    sources = [*(ROOT / "nvcodec").rglob("*.py"), *(ROOT / "tools").rglob("*.py")]
    callers = [
        path
        for path in sources
        if re.search(r"\bn?jit\(|@(numba\.)?n?jit|\bCPUDispatcher\b", path.read_text())
    ]
    assert [path.name for path in callers if "cuda" not in path.parts] == ["compilation.py"]


def test_modules_with_kernels_are_imported_without_numba():
    """Its import would take longer than all else before a first frame."""
    sources = [path for path in (ROOT / "nvcodec").rglob("*.py") if "cuda" not in path.parts]
    sources = [path for path in sources if "from nvcodec.compiled import" in path.read_text()]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in sources]
    names.remove("nvcodec.compilation")
    assert len(names) > 50
    statement = f"import sys, {', '.join(names)}; print('numba' in sys.modules)"
    known = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    done = subprocess.run(
        [sys.executable, "-c", statement], env=known, capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout == "False\n", done.stderr
