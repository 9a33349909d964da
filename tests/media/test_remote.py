"""Sources and outputs in stores of fsspec."""

import fsspec
import pytest

import nvcodec
from nvcodec.encode.encoder import encode
from nvcodec.encode.segments.jobs import JobsError, identity
from nvcodec.media.remote import is_remote
from nvcodec.media.source import SourceError
from tests.cli.support import call, moving, one_line, y4m

FAST = {"model": "nirvana", "preset": "fast"}


@pytest.fixture
def store():
    system = fsspec.filesystem("memory")
    system.pipe("/in.y4m", y4m(moving(2, 24, 16)))
    yield system
    system.store.clear()


def test_from_store_to_store(store, tmp_path):
    encode("memory://in.y4m", "memory://out.nrv", **FAST)
    path = tmp_path / "in.y4m"
    path.write_bytes(store.cat("/in.y4m"))
    encode(path, tmp_path / "out.nrv", **FAST)
    assert store.cat("/out.nrv") == (tmp_path / "out.nrv").read_bytes()
    assert sorted(store.ls("/", detail=False)) == ["/in.y4m", "/out.nrv"]
    with pytest.raises(FileExistsError, match="use -y"):
        encode("memory://in.y4m", "memory://out.nrv", **FAST)
    encode("memory://in.y4m", "memory://out.nrv", overwrite=True, **FAST)


def test_a_decode_from_a_store(store, tmp_path):
    encode("memory://in.y4m", "memory://out.nrv", **FAST)
    with nvcodec.Decoder("memory://out.nrv") as decoder:
        assert len(list(decoder.frames(verify=True))) == 2
        assert decoder[1].index == 1
    out = tmp_path / "out.y4m"
    assert call("nvdec", "--md5", "memory://out.nrv", out).exit_code == 0
    assert "GRUP" in call("nvinfo", "memory://out.nrv").stdout
    folder = ("--suffix", ".y4m", "--output-dir", tmp_path / "many", "--resume")
    assert call("nvdec", *folder, "memory://out.nrv").exit_code == 0
    assert (tmp_path / "many" / "out.y4m").read_bytes() == out.read_bytes()
    assert "0 decoded, 1 done before" in call("nvdec", *folder, "memory://out.nrv").stderr
    encode("memory://in.y4m", "memory://out.nrv", overwrite=True, **(FAST | {"crf": 50}))
    assert call("nvdec", *folder, "-y", "memory://out.nrv").exit_code == 0
    assert (tmp_path / "many" / "out.y4m").read_bytes() != out.read_bytes()
    line = one_line(call("nvdec", "memory://none.nrv", "null"), 1)
    assert line == "nvdec: memory://none.nrv: No such file or directory"


def test_an_upload_that_fails_leaves_nothing(store, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def fail(*_):
        raise RuntimeError("no rights")

    monkeypatch.setattr(type(store), "mv", fail)
    with pytest.raises(OSError, match="no rights"):
        encode("memory://in.y4m", "memory://out.nrv", **FAST)
    assert not store.exists("/out.nrv")
    assert not list(tmp_path.iterdir())


def test_what_a_store_does_not_have():
    with pytest.raises(SourceError, match=r"cannot read memory://none\.y4m: No such file"):
        encode("memory://none.y4m", "out.nrv", **FAST)
    with pytest.raises(JobsError, match="output file"):
        encode("memory://in.y4m", "memory://out.nrv", resume=True, **FAST)


def test_which_urls_are_of_a_store(store):
    assert is_remote("s3://bucket/a.mp4")
    assert not is_remote("https://example.org/a.mp4")
    assert not is_remote("/a/b.mp4")
    assert not is_remote("unknown://a")
    assert identity("memory://in.y4m")["size"] == str(len(store.cat("/in.y4m")))
