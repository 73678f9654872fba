"""What of a study a job may see, and when that has changed."""

from pathlib import Path

import pytest

from carrel.local.code import Hashes, leave_out, version_of

HIDDEN = leave_out(["output/*.csv", "output/one.txt", "*/deep/*.json"], Path())


@pytest.mark.parametrize(
    "path", [".git", "sub/.git", "metadata", ".staging", ".carrel", "output/a.csv", "output/one.txt", "x/deep/y.json"]
)
def test_hidden(path):
    assert HIDDEN(path)


@pytest.mark.parametrize(
    "path", ["project.yaml", "sub/metadata", "output/a.txt", "output/deep/a.csv", ".gitignore", "x/deep/y/z.json"]
)
def test_seen(path):
    assert not HIDDEN(path)


def test_no_pattern_hides_nothing_but_ours():
    assert not leave_out([], Path())("output/a.csv")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "output").mkdir()
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "output/a.csv").write_text("1")
    return tmp_path


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (lambda f: (f / "a.py").write_text("2"), False),
        (lambda f: (f / "b.py").touch(), False),
        (lambda f: (f / "a.py").rename(f / "c.py"), False),
        (lambda f: (f / "output/a.csv").write_text("2"), True),
        (lambda f: (f / "a.py").touch(), True),
    ],
)
def test_the_hash_of_the_code(folder, change, same):
    hashes = Hashes()
    before = hashes.of_code(folder, HIDDEN)
    change(folder)
    assert (hashes.of_code(folder, HIDDEN) == before) is same
    assert Hashes().of_code(folder, HIDDEN) == hashes.of_code(folder, HIDDEN)


def test_a_folder_that_is_no_repository_has_no_version(tmp_path):
    assert version_of(tmp_path).commit == ""
