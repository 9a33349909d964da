"""The commands as processes: start-up, pipes, signals, terminals.

Tests wait for events, never for a fixed time.
"""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.cli.support import (
    FOREVER,
    NIRVANA,
    PAPER,
    ROOT,
    argv,
    assert_same_pictures,
    call,
    ended,
    leftovers,
    moving,
    ndjson,
    one_line,
    parse_y4m,
    start,
    y4m,
)
from tests.synthetic import Plan, synthesize

# PAPER loads PyTorch, which takes seconds: for what has to be trained without end.
FAST = (*NIRVANA, "--preset", "fast")

PLAN = Plan(width=21, height=13, frames=(3, 3, 1), keys=(0, 2), durations=(3,))


def run(command, *arguments, **options):
    with ended(start(command, *arguments, **options)) as process:
        out, err = process.communicate()
    return process.returncode, out, (err or b"").decode()


SIGNALS = [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.deep)]
"""Both take the same way; test_an_interrupt_at_the_very_start has both in the main run."""


@pytest.mark.parametrize("command", ["nvenc", "nvdec", "nvinfo", "nvplay"])
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_say_what_they_are_not_and_import_little(command, option):
    program = f"""
import sys
from nvcodec.cli.{command} import main
try:
    main(["{option}"], prog_name="{command}")
except SystemExit as end:
    assert end.code == 0
heavy = {{"torch", "numba", "numpy", "av", "construct", "tqdm", "distributed"}} & set(sys.modules)
assert not heavy, heavy
"""
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert "not NVIDIA" in " ".join(result.stdout.split())


def test_python_m_nvcodec_has_all_commands():
    command = [sys.executable, "-m", "nvcodec"]
    result = subprocess.run([*command, "--help"], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0
    assert "not NVIDIA" in result.stdout
    assert all(name in result.stdout for name in ("nvenc", "nvdec", "nvinfo", "nvplay"))
    assert subprocess.run([*command, "nvdec"], capture_output=True, cwd=ROOT).returncode == 2


def test_a_read_only_installation_uses_its_kernels(tmp_path):
    path = tmp_path / "x.nrv"
    path.write_bytes(synthesize(PLAN)[0])
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    code, expected, _ = run("nvdec", path, "-", env=environment)
    assert code == 0
    program = """
import errno, os, sys
def hook(event, arguments):
    # Standard output is opened by number.
    writes = event == "os.mkdir" or event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    if writes and isinstance(arguments[0], str):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))
sys.addaudithook(hook)
from nvcodec.cli.nvdec import main
main(prog_name="nvdec")
"""
    result = subprocess.run(
        [sys.executable, "-c", program, path, "-"],
        env={**environment, "NUMBA_CACHE_DIR": "/dev/null/none"},
        cwd=ROOT,
        capture_output=True,
    )
    assert (result.returncode, result.stdout) == (0, expected)
    assert b"cannot be kept" not in result.stderr


def test_a_pipeline(tmp_path):
    pictures = moving(3, 24, 16)
    (tmp_path / "x.y4m").write_bytes(y4m(pictures))
    with (
        open(tmp_path / "x.y4m", "rb") as file,
        ended(start("nvenc", *FAST, "-", "-", stdin=file)) as encoder,
        ended(start("nvdec", "--verify", "-", "-", stdin=encoder.stdout)) as decoder,
    ):
        encoder.stdout.close()
        out, err = decoder.communicate()
        assert decoder.returncode == 0, err
        assert encoder.wait() == 0
        encoder.stdout = None
    header, decoded = parse_y4m(out)
    assert b"W24 H16 F25:1" in header
    assert len(decoded) == 3


def test_frames_arrive_while_the_encoder_waits_for_its_input():
    pictures = moving(30, 24, 16)
    data = y4m(pictures)
    with (
        ended(start("nvenc", *FAST, "--group-size", 2, "-", "-")) as encoder,
        ended(start("nvdec", "-", "-", stdin=encoder.stdout)) as decoder,
    ):
        encoder.stdout.close()
        encoder.stdin.write(data[: len(data) * 2 // 3])
        encoder.stdin.flush()
        frame = 6 + 24 * 16 * 3 // 2
        header = decoder.stdout.readline()
        first = decoder.stdout.read(2 * frame)
        assert first.startswith(b"FRAME\n")
        assert encoder.poll() is None
        encoder.stdin.write(data[len(data) * 2 // 3 :])
        encoder.stdin.close()
        rest = decoder.stdout.read()
        assert (encoder.wait(), decoder.wait()) == (0, 0)
        encoder.stdin = encoder.stdout = None
    assert len(parse_y4m(header + first + rest)[1]) == 30


def interrupt(process, number=signal.SIGINT):
    os.kill(process.pid, number)
    out, err = process.communicate()
    assert process.returncode == 130, err
    assert err.decode().count("\n") == 1, err
    return out, err.decode()


@pytest.mark.parametrize("number", SIGNALS)
def test_an_interrupt_keeps_the_groups_before(tmp_path, number):
    source, out = tmp_path / "in.y4m", tmp_path / "out.nrv"
    source.write_bytes(y4m(moving(4, 24, 16)))
    arguments = ("--json", "--group-size", 2, source, out)
    with ended(start("nvenc", *PAPER, *arguments, others=FOREVER)) as process:
        while json.loads(process.stdout.readline())["type"] != "group":
            pass
        assert not out.exists()
        last, err = interrupt(process, number)
    assert "interrupted" in err
    assert "has the 2 frames before" in err
    assert json.loads(last)["exit_code"] == 130
    assert leftovers(tmp_path) == []
    result = call("nvdec", "--verify", out, tmp_path / "out.y4m")
    assert result.exit_code == 0
    assert len(parse_y4m((tmp_path / "out.y4m").read_bytes())[1]) == 2


@pytest.mark.parametrize("number", SIGNALS)
def test_an_interrupt_while_the_producer_stalls(tmp_path, number):
    out = tmp_path / "out.nrv"
    with ended(start("nvenc", *FAST, "--json", "--group-size", 2, "-", out)) as process:
        process.stdin.write(y4m(moving(20, 24, 16)))
        process.stdin.flush()
        # Some groups wait for the pictures after them.
        for line in process.stdout:
            if json.loads(line).get("ordinal") == 3:
                break
        _, err = interrupt(process, number)
    assert "interrupted" in err
    assert 4 <= int(re.search(r"has the (\d+) frames before", err)[1]) < 20
    assert call("nvdec", "--verify", out, "null").exit_code == 0
    assert leftovers(tmp_path) == []


# Sends itself a signal when a module is about to be imported.
_STOPPED_AT = """
import os, signal, sys
stopped_at = sys.argv.pop(1)
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == stopped_at:
            os.kill(os.getpid(), signal.{signal})
sys.meta_path.insert(0, Finder())
from nvcodec.cli.start import {command}
{command}()
"""


def test_next_to_nothing_is_imported_before_signals_are_handled():
    program = "import sys; before = set(sys.modules); import nvcodec.cli.start; "
    program += "print(*sorted(set(sys.modules) - before))"
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = [{str(ROOT)!r}]; "]
    command[-1] += program
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    ours = {"nvcodec", "nvcodec.cli", "nvcodec.cli.start", "nvcodec.version"}
    others = set(result.stdout.split()) - ours
    # `os` and what it needs are there before any program begins.
    small = {"__future__", "enum", "functools", "itertools", "operator", "signal", "types"}
    small |= {"os", "os.path", "stat", "genericpath", "posixpath", "gc"}
    assert others <= small | {
        name for name in others if name.startswith(("_", "collections", "keyword", "reprlib"))
    }


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("command", ["nvenc", "nvdec", "nvinfo", "nvplay"])
def test_an_interrupt_at_the_very_start(command, number):
    program = _STOPPED_AT.format(signal=number, command=command)
    for module in ("click", f"nvcodec.cli.{command}", "nvcodec.cli.outcome"):
        result = subprocess.run(
            [sys.executable, "-c", program, module, "--help"], capture_output=True, cwd=ROOT
        )
        assert (result.returncode, result.stderr) == (130, b"interrupted\n"), module


def test_an_interrupt_before_the_first_group_leaves_nothing(tmp_path):
    source, out = tmp_path / "in.y4m", tmp_path / "out.nrv"
    source.write_bytes(y4m(moving(2, 24, 16)))
    with ended(start("nvenc", *PAPER, "--json", source, out, fresh=FOREVER)) as process:
        assert json.loads(process.stdout.readline())["type"] == "start"
        interrupt(process)
    assert os.listdir(tmp_path) == ["in.y4m"]


def test_an_interrupted_decode_keeps_its_frames(tmp_path):
    data, pictures = synthesize(PLAN)
    out = tmp_path / "out.y4m"
    first_group = 3 * 21 * 13 * 3 // 2
    with ended(start("nvdec", "-", out)) as process:
        # FEND does not come, so the decoder waits for it.
        process.stdin.write(data[:-30])
        process.stdin.flush()
        while not any(part.stat().st_size > first_group for part in tmp_path.glob("*.part")):
            assert process.poll() is None
            time.sleep(0.01)
        _, err = interrupt(process)
    decoded = parse_y4m(out.read_bytes())[1]
    assert_same_pictures(decoded, pictures[: len(decoded)])
    assert len(decoded) >= 2
    assert f"interrupted; {out} has the {len(decoded)} frames before" in err
    assert leftovers(tmp_path) == []


def test_a_named_pipe_is_written_directly(tmp_path):
    data, pictures = synthesize(PLAN)
    path, fifo = tmp_path / "x.nrv", tmp_path / "fifo.y4m"
    path.write_bytes(data)
    os.mkfifo(fifo)
    with ended(start("nvdec", path, fifo)) as process:
        with open(fifo, "rb") as reader:
            assert_same_pictures(parse_y4m(reader.read())[1], pictures)
        assert process.wait() == 0
    assert fifo.is_fifo()


def test_a_reader_that_leaves(tmp_path):
    path = tmp_path / "x.nrv"
    path.write_bytes(
        synthesize(Plan(width=301, height=200, frames=(3, 3, 3), keys=(0,), durations=(3,)))[0]
    )
    with ended(start("nvdec", path, "-")) as process:
        assert len(process.stdout.read(100)) == 100
        process.stdout.close()
        err = process.stderr.read()
        assert process.wait() == 1
        process.stdout = None
    assert err == b""
    with ended(start("nvinfo", path)) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1
        process.stdout = None


def test_full_and_closed_standard_streams(tmp_path):
    path = tmp_path / "x.nrv"
    path.write_bytes(synthesize(PLAN)[0])
    with open("/dev/full", "wb") as full:
        code, _, err = run("nvdec", path, "-", stdout=full)
    assert (code, err) == (1, "nvdec: standard output: No space left on device\n")
    for command, arguments, redirect, name in (
        ("nvdec", ("-", "null"), "<&-", "standard input"),
        ("nvdec", (path, "-"), ">&-", "standard output"),
        ("nvdec", ("-q", "--md5", path, "null"), ">&-", "standard output"),
        ("nvinfo", (path,), ">&-", "standard output"),
    ):
        line = " ".join(argv(command, *arguments)) + " " + redirect
        result = subprocess.run(["sh", "-c", line], capture_output=True, text=True, cwd=ROOT)
        assert (result.returncode, result.stderr) == (1, f"{command}: {name}: it is closed\n")


def test_standard_error_that_cannot_be_written(tmp_path):
    data, pictures = synthesize(PLAN)
    path, out = tmp_path / "x.nrv", tmp_path / "out.y4m"
    path.write_bytes(data)

    def decoded(process):
        assert process.wait() == 0
        assert_same_pictures(parse_y4m(out.read_bytes())[1], pictures)

    with open("/dev/full", "wb") as full, ended(start("nvdec", path, out, stderr=full)) as process:
        decoded(process)
    with ended(start("nvdec", "-y", path, out)) as process:
        process.stderr.close()
        decoded(process)
        process.stderr = None
    line = " ".join(argv("nvdec", "-y", path, out)) + " 2>&-"
    with ended(subprocess.Popen(["sh", "-c", line], cwd=ROOT)) as process:
        decoded(process)
    with open("/dev/full", "wb") as full:
        assert run("nvdec", tmp_path / "none.nrv", "null", stderr=full)[0] == 1


def on_terminal(command, *arguments):
    """Run a command whose standard error (and input, output) is a terminal; what it shows."""
    master, slave = pty.openpty()
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), slave)
    with ended(start(command, *arguments, **streams)) as process:
        os.close(slave)
        shown = b""
        # Linux ends a terminal that nobody has open any more with an error.
        with contextlib.suppress(OSError):
            while data := os.read(master, 1000):
                shown += data
        code = process.wait()
    os.close(master)
    return code, shown.decode()


def test_progress_on_a_terminal_only(tmp_path):
    source, out = tmp_path / "in.y4m", tmp_path / "out.nrv"
    source.write_bytes(y4m(moving(3, 24, 16)))
    code, shown = on_terminal("nvenc", *FAST, source, out)
    assert code == 0
    assert "group 0" in shown
    assert "/3 frames" in shown
    code, shown = on_terminal("nvdec", out, "null")
    assert code == 0
    assert "3/3" in shown
    code, shown = on_terminal("nvdec", "-q", out, "null")
    assert (code, shown) == (0, "")
    code, _, err = run("nvdec", out, "null")
    assert code == 0
    assert err.count("\n") == 1
    assert "\r" not in err


def test_binary_data_stays_off_the_terminal(tmp_path):
    path = tmp_path / "x.nrv"
    path.write_bytes(synthesize(PLAN)[0])
    for command, source, output in [
        ("nvdec", path, "-"),
        ("nvdec", "-", "null"),
        ("nvenc", "-", "out.nrv"),
    ]:
        code, shown = on_terminal(command, source, output)
        assert code == 2
        assert "is a terminal" in shown
        assert shown.count("\n") == 1


# A segment of one group, then one of two, the second of which can be made to take for ever.
TWO_SEGMENTS = y4m(moving(5, 24, 16, 0) + moving(6, 24, 16, 2))


def first_group(process):
    """The JSON line of the first group, once it is written."""
    while (line := json.loads(process.stdout.readline()))["type"] != "group":
        pass
    return line


def resumed(source, out, first, *options):
    """Resume an encode: the same file as an undisturbed one, the first group not trained again."""
    result = call("nvenc", *PAPER, "--json", "--group-size", 5, "--resume", *options, source, out)
    assert result.exit_code == 0, result.stderr
    assert ndjson(result.stdout)[1] == first
    whole = out.with_name("whole.nrv")
    assert call("nvenc", *PAPER, "--group-size", 5, source, whole).exit_code == 0
    assert out.read_bytes() == whole.read_bytes()
    assert not os.path.exists(f"{out}.segments")


@pytest.mark.deep
@pytest.mark.usefixtures("quick")
def test_an_interrupt_of_jobs_keeps_what_is_finished(tmp_path):
    source, out = tmp_path / "in.y4m", tmp_path / "out.nrv"
    source.write_bytes(TWO_SEGMENTS)
    arguments = ("--json", "--group-size", 5, "--jobs", 2, source, out)
    with ended(
        start("nvenc", *PAPER, *arguments, others=FOREVER, start_new_session=True)
    ) as process:
        first = first_group(process)
        workers = psutil.Process(process.pid).children(recursive=True)
        # To all processes, as a terminal does.
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130, err
    err = err.decode()
    assert err.count("\n") == 1, err
    assert f"{out} has the 5 frames before; --resume -y goes on" in err
    assert workers
    assert not psutil.wait_procs(workers, timeout=10)[1]
    assert call("nvdec", "--verify", out, "null").exit_code == 0
    assert leftovers(tmp_path) == []
    resumed(source, out, first, "-y")


@pytest.mark.usefixtures("quick")
def test_finished_segments_survive_a_kill(tmp_path):
    source, out = tmp_path / "in.y4m", tmp_path / "out.nrv"
    source.write_bytes(TWO_SEGMENTS)
    arguments = ("--json", "--group-size", 5, "--resume", source, out)
    with ended(
        start("nvenc", *PAPER, *arguments, others=FOREVER, start_new_session=True)
    ) as process:
        first = first_group(process)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert not out.exists()
    result = call("nvenc", *PAPER, "--group-size", 5, source, out)
    assert result.exit_code == 1
    assert "--resume" in result.stderr
    assert "crf" in one_line(
        call("nvenc", *PAPER, "--group-size", 5, "--resume", "--crf", 1, source, out), 2
    )
    resumed(source, out, first)


def test_jobs_and_resuming_need_a_file(tmp_path):
    out = tmp_path / "out.nrv"
    data = y4m(moving(1, 24, 16))
    for options in (["--jobs", 2], ["--resume"]):
        assert "write it to one" in one_line(
            call("nvenc", *FAST, *options, "-", out, stdin=data), 2
        )
    (tmp_path / "in.y4m").write_bytes(data)
    result = call("nvenc", *FAST, "--resume", tmp_path / "in.y4m", "-")
    assert "output file" in one_line(result, 2)


@pytest.mark.parametrize(
    ("command", "kib"), [("nvenc", 300_000), ("nvenc", 700_000), ("nvdec", 450_000)]
)
def test_little_memory_is_one_sentence(tmp_path, command, kib):
    resource = pytest.importorskip("resource")
    source = tmp_path / ("in.y4m" if command == "nvenc" else "in.nrv")
    source.write_bytes(y4m(moving(2, 24, 16)) if command == "nvenc" else synthesize(PLAN)[0])
    result = subprocess.run(
        [sys.executable, "-m", "nvcodec", command, source, tmp_path / "out.nrv"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (kib << 10, kib << 10)),
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert result.returncode == 1
    assert result.stderr.startswith(f"{command}: out of memory: this process may have {kib} KiB")
    assert len(result.stderr.splitlines()) == 1


def test_few_open_files_are_one_sentence(tmp_path):
    resource = pytest.importorskip("resource")
    source = tmp_path / "in.y4m"
    source.write_bytes(y4m(moving(4, 24, 16)))
    result = subprocess.run(
        [sys.executable, "-m", "nvcodec", "nvenc", "--jobs", "2", "--key-interval", "0.05"]
        + ["--preset", "ultrafast", source, tmp_path / "out.nrv"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40)),
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert result.returncode == 1
    assert result.stderr.startswith("nvenc: worker processes do not start: they need 96 open files")
    assert len(result.stderr.splitlines()) == 1
    assert os.listdir(tmp_path) == ["in.y4m"]
