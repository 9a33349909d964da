"""The wheel: built from the source archive, installed alone, and run from another folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import llvmlite.binding
import pytest

from nvcodec.baselines import BASELINES
from tests.synthetic import DEEP, Plan, synthesize
from tools.kernel_wheel import add_kernels

ROOT = Path(__file__).resolve().parents[1]
NOT_SOURCE = ("*.pyc", "__pycache__", "*.nbi", "*.nbc", "*.egg-info")


def run(*arguments, cwd, **variables):
    """The standard output of a command that succeeds, away from this tree."""
    left_out = ("PYTHONPATH", "NUMBA_CACHE_DIR")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    environment |= variables
    done = subprocess.run(
        [str(argument) for argument in arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """(source archive, wheel) of a copy of the tree."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("nvcodec", "spec", "tests", "tools"):
        ignored = shutil.ignore_patterns(*NOT_SOURCE)
        shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    run(sys.executable, "-m", "build", "--no-isolation", cwd=tree)
    (archive,) = (tree / "dist").glob("*.tar.gz")
    (wheel,) = (tree / "dist").glob("*.whl")
    return archive, wheel


def install(wheel, home):
    """The folder of the commands of an environment that has the wheel.

    What it depends on comes from this environment, by a path file that does not bring along an
    editable nvcodec.
    """
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=home)
    python = home / "bin" / "python"
    run(
        *(sys.executable, "-m", "pip", "--python", python),
        *("install", "--no-deps", "--no-index", "--no-compile", wheel),
        cwd=home,
    )
    (packages,) = (home / "lib").glob("python*/site-packages")
    others = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "others.pth").write_text("\n".join(others) + "\n")
    return home / "bin"


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    return install(built[1], tmp_path_factory.mktemp("environment"))


@pytest.fixture
def execute(installed, tmp_path):
    """Run a command of the environment in an empty folder."""

    def execute(command, *arguments):
        return run(installed / command, *arguments, cwd=tmp_path)

    return execute


def package_files():
    """What a release has of the package, as paths in the wheel."""
    sources = [path.relative_to(ROOT) for path in (ROOT / "nvcodec").rglob("*.py")]
    tables = [path.name for path in (ROOT / "spec" / "tables").iterdir()]
    page = [path.relative_to(ROOT) for path in (ROOT / "nvcodec" / "play" / "page").iterdir()]
    files = {path.as_posix() for path in sources + page} | {"nvcodec/first_calls.json"}
    return files | {f"nvcodec/tables/data/{n}" for n in tables}


def test_contents_of_the_wheel(built):
    with zipfile.ZipFile(built[1]) as wheel:
        names = wheel.namelist()
        table = wheel.read("nvcodec/tables/data/sine.txt")
    package = {name for name in names if not name.split("/")[0].endswith(".dist-info")}
    assert package == package_files()
    assert table == (ROOT / "spec" / "tables" / "sine.txt").read_bytes()
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_contents_of_the_source_archive(built):
    with tarfile.open(built[0]) as archive:
        files = {m.name.partition("/")[2] for m in archive.getmembers() if m.isfile()}
    assert package_files() | {"LICENSE", "README.md", "pyproject.toml"} <= files


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A file and the samples of its first frame."""
    data, pictures = synthesize(Plan(shape=DEEP, frames=(2,), keys=(0,)))
    path = tmp_path_factory.mktemp("clip") / "clip.nrv"
    path.write_bytes(data)
    return path, pictures[0][0].tobytes()


def check_frames(path, luma):
    head, _, frames = path.read_bytes().partition(b"FRAME\n")
    assert head.startswith(b"YUV4MPEG2 W37 H22 ")
    assert frames.startswith(luma)


def test_a_wheel_with_kernels_compiles_nothing(built, clip, tmp_path, tmp_path_factory):
    host = llvmlite.binding.get_host_cpu_features()
    fitting = [baseline for baseline in BASELINES if baseline.fits(host)]
    if not fitting:
        pytest.skip("this processor has no baseline")
    work = [[["nvdec", "-y", "--verify", str(clip[0]), "clip.y4m"]]]
    wheel = add_kernels(built[1], fitting[-1:], work)
    home = tmp_path_factory.mktemp("carrying")
    command = install(wheel, home) / "nvdec"
    run(command, "--verify", clip[0], "clip.y4m", cwd=tmp_path, XDG_CACHE_HOME=str(tmp_path))
    check_frames(tmp_path / "clip.y4m", clip[1])
    assert not list(home.rglob("*.nbc"))
    assert not (tmp_path / "nvcodec").exists()


def test_commands_of_the_installed_wheel(execute, installed, clip, tmp_path):
    where = execute("python", "-c", "import nvcodec; print(nvcodec.__file__)")
    assert Path(where.strip()).is_relative_to(installed.parent)
    for command in ("nvenc", "nvdec", "nvinfo", "nvplay"):
        assert execute(command, "--version").startswith(f"{command} (nvcodec) ")
    path, luma = clip
    assert "GRUP          1" in execute("nvinfo", path)
    execute("nvdec", "--verify", path, "clip.y4m")
    check_frames(tmp_path / "clip.y4m", luma)
