"""Output files: what another process writes or has left behind."""

import os
import subprocess
import sys

import pytest

from nvcodec.media.output import OutputFile


def test_two_writers_of_one_path(tmp_path):
    path = tmp_path / "a.nrv"
    with OutputFile(path) as first:
        first.file.write(b"first")
        for overwrite in (False, True):
            with pytest.raises(
                FileExistsError, match=r"a\.nrv is being written by another process"
            ):
                OutputFile(path, overwrite=overwrite)
        with OutputFile(tmp_path / "b.nrv") as other:
            other.commit()
        first.commit()
    assert path.read_bytes() == b"first"
    with OutputFile(path, overwrite=True) as again:
        again.commit()


def test_what_a_killed_process_left_goes(tmp_path):
    code = "import os,sys;from nvcodec.media.output import OutputFile;f=OutputFile(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code + ";os._exit(9)", tmp_path / "a.nrv"])
    (left,) = os.listdir(tmp_path)
    assert left.endswith(".part")
    with OutputFile(tmp_path / "a.nrv") as file:
        file.file.write(b"whole")
        file.commit()
    assert os.listdir(tmp_path) == ["a.nrv"]
    assert (tmp_path / "a.nrv").read_bytes() == b"whole"
