import gzip
import os

import pytest

from carrel.local.errors import LocalError
from carrel.local.unzip import unzip


def pack(path, content=b"a,b\n1,2\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, mtime=0))
    return path


def test_a_folder_is_unpacked_with_all_below_it(tmp_path):
    pack(tmp_path / "a.csv.gz")
    pack(tmp_path / "deep/b c.csv.gz", b"x\n")
    assert len(list(unzip(tmp_path))) == 2
    assert (tmp_path / "a.csv").read_bytes() == b"a,b\n1,2\n"
    assert (tmp_path / "deep/b c.csv").read_bytes() == b"x\n"


def test_a_newer_copy_is_left_alone_and_an_older_one_replaced(tmp_path):
    packed = pack(tmp_path / "a.csv.gz")
    list(unzip(packed))
    assert list(unzip(packed)) == []
    (tmp_path / "a.csv").write_text("mine")
    os.utime(tmp_path / "a.csv", (1, 1))
    list(unzip(packed))
    assert (tmp_path / "a.csv").read_bytes() == b"a,b\n1,2\n"


@pytest.mark.parametrize(
    "content", [b"not gzip", gzip.compress(b"x" * 1000, mtime=0)[:-12], gzip.compress(b"y" * 99, mtime=0)[:12] + b"zz"]
)
def test_a_damaged_file_leaves_nothing_behind(tmp_path, content):
    (tmp_path / "a.csv.gz").write_bytes(content)
    with pytest.raises(LocalError, match="cannot be unpacked"):
        list(unzip(tmp_path))
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv.gz"]


def test_a_missing_path_and_a_wrong_one_are_sentences(tmp_path):
    with pytest.raises(LocalError, match="does not exist"):
        unzip(tmp_path / "nothing")
    (tmp_path / "x.zip").touch()
    with pytest.raises(LocalError, match=r"is not a \.gz file"):
        unzip(tmp_path / "x.zip")
