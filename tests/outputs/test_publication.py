"""Publishing, killed at each of its points: all old or all new after recovery, and nothing new before the commit."""

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.disks import small_disk

from carrel.outputs.copies import sha256_of
from carrel.outputs.journal import STAGING
from carrel.outputs.publication import Publication
from carrel.outputs.recovery import recover, settle
from carrel.outputs.targets import PublishConflict
from carrel.telemetry import faults

POINTS = ["publish.staged", "publish.synced", "publish.committed", "publish.moved", "publish.durable"]
NAMES = st.sampled_from(["a.csv", "b.csv", "o/a.csv", "o/p/c.csv", "m.json"])
CONTENTS = st.dictionaries(NAMES, st.binary(max_size=20), max_size=5)


class Killed(BaseException):
    pass


def _roots(folder: Path) -> list[Path]:
    roots = [folder / "high", folder / "medium"]
    for root in roots:
        root.mkdir(exist_ok=True)
    return roots


def _write(publication: Publication, roots: list[Path], files: dict[str, bytes], gone: list[str]) -> None:
    for name, data in files.items():
        for root in roots:
            publication.add_bytes(data, root / name)
    for name in gone:
        publication.remove(roots[1] / name)


def _visible(roots: list[Path]) -> dict[str, bytes]:
    found = {}
    for root in roots:
        for path in root.rglob("*"):
            if path.is_file() and STAGING not in path.parts:
                found[f"{root.name}/{path.relative_to(root)}"] = path.read_bytes()
    return found


def _expected(old: dict[str, bytes], files: dict[str, bytes], gone: list[str]) -> dict[str, bytes]:
    new = old | {f"{root}/{name}": data for name, data in files.items() for root in ("high", "medium")}
    return {path: data for path, data in new.items() if path not in {f"medium/{name}" for name in gone}}


@settings(max_examples=60, deadline=None)
@given(CONTENTS, CONTENTS, st.sampled_from(POINTS), st.integers(1, 6), st.data())
def test_killed_anywhere_it_is_all_old_or_all_new(
    before: dict[str, bytes], after: dict[str, bytes], place: str, count: int, data: st.DataObject
) -> None:
    gone = data.draw(st.lists(st.sampled_from(sorted(set(before) - set(after)) or ["none"]), unique=True, max_size=2))
    with tempfile.TemporaryDirectory() as folder:
        roots = _roots(Path(folder))
        first = Publication("one", roots)
        _write(first, roots, before, [])
        first.commit()
        first.finish()
        old = _visible(roots)
        new = _expected(old, after, gone)
        killed = _killed_at(place, count, lambda: _publish(roots, after, gone))
        if killed and place in ("publish.staged", "publish.synced"):
            assert _visible(roots) == old
        recover(roots)
        assert _visible(roots) == (old if killed and place in ("publish.staged", "publish.synced") else new)
        assert not [path for root in roots for path in (root / STAGING).glob("*")]


def _publish(roots: list[Path], files: dict[str, bytes], gone: list[str]) -> None:
    publication = Publication("two", roots)
    _write(publication, roots, files, gone)
    publication.commit()
    publication.finish()


def _killed_at(place: str, count: int, work) -> bool:
    seen = 0

    def hook(name: str) -> None:
        nonlocal seen
        seen += name == place
        if name == place and seen == count:
            raise Killed

    faults.on_point(hook)
    try:
        work()
    except Killed:
        return True
    finally:
        faults.on_point(None)
    return False


def test_journals_are_finished_in_the_order_of_their_commits(tmp_path: Path) -> None:
    roots = _roots(tmp_path)
    for name, data in (("z-first", b"old"), ("a-second", b"new")):
        publication = Publication(name, roots)
        publication.add_bytes(data, roots[1] / "manifest.json")
        _killed_at("publish.committed", 1, publication.commit)
    assert recover(roots) == ["z-first", "a-second"]
    assert (roots[1] / "manifest.json").read_bytes() == b"new"


def test_a_stage_used_again_finishes_what_was_committed_under_its_name(tmp_path: Path) -> None:
    roots = _roots(tmp_path)
    publication = Publication("x", roots)
    publication.add_bytes(b"1", roots[0] / "a")
    _killed_at("publish.committed", 1, publication.commit)
    Publication("x", roots)
    assert (roots[0] / "a").read_bytes() == b"1"


def test_settle_says_whether_it_was_committed(tmp_path: Path) -> None:
    roots = _roots(tmp_path)
    publication = Publication("x", roots)
    publication.add_bytes(b"1", roots[0] / "a")
    assert settle("x", roots) is False
    assert not (roots[0] / STAGING / "x").exists()
    publication = Publication("x", roots)
    publication.add_bytes(b"1", roots[0] / "a")
    _killed_at("publish.moved", 1, publication.commit)
    assert settle("x", roots) is True


@pytest.mark.parametrize(("there", "wanted"), [("o", "o/a.csv"), ("o/a.csv/x", "o/a.csv")])
def test_what_cannot_be_stored_is_found_before_the_commit(tmp_path: Path, there: str, wanted: str) -> None:
    roots = _roots(tmp_path)
    (roots[0] / there).parent.mkdir(parents=True, exist_ok=True)
    (roots[0] / there).write_bytes(b"old")
    publication = Publication("x", roots)
    publication.add_bytes(b"new", roots[0] / wanted)
    publication.add_bytes(b"new", roots[0] / "b")
    with pytest.raises(PublishConflict):
        publication.commit()
    assert publication.settle() is False
    assert _visible(roots[:1]) == {f"high/{there}": b"old"}


def test_a_linked_file_is_the_same_file_and_a_copied_one_is_not(tmp_path: Path) -> None:
    roots = _roots(tmp_path)
    source = tmp_path / "made.csv"
    source.write_bytes(b"x" * 5000)
    publication = Publication("x", roots)
    fd = os.open(source, os.O_RDONLY)
    linked = publication.add_file(fd, roots[0] / "linked.csv", link=True)
    publication.add_file(fd, roots[0] / "copied.csv")
    os.close(fd)
    publication.add_copy(linked.path, roots[1] / "seen.csv")
    publication.commit()
    assert (roots[0] / "linked.csv").stat().st_ino == source.stat().st_ino
    others = [roots[0] / "copied.csv", roots[1] / "seen.csv"]
    assert all(path.stat().st_ino != source.stat().st_ino for path in others)
    assert linked.sha256 == sha256_of(source) == sha256_of(others[0]) == sha256_of(others[1])
    assert linked.size == 5000


FILL = """
import sys
from pathlib import Path
from carrel.outputs.publication import Publication
roots = [Path(sys.argv[1]) / "high", Path(sys.argv[1]) / "medium"]
publication = Publication("x", roots)
try:
    for number in range(100):
        publication.add_bytes(b"new" * 50_000, roots[0] / f"{number}.csv")
    publication.add_bytes(b"new", roots[1] / "manifest.json")
    publication.commit()
except OSError as error:
    publication.settle()
    print(error.errno)
"""


def test_a_full_disk_damages_nothing(tmp_path: Path) -> None:
    """A real one, and a process of its own that meets it."""
    with small_disk(tmp_path / "small", "2m") as disk:
        old = [disk.path / "high" / "0.csv", disk.path / "medium" / "manifest.json"]
        for path in old:
            path.parent.mkdir()
            path.write_text("old\n")
        done = subprocess.run([sys.executable, "-c", FILL, disk.path], capture_output=True, text=True, check=False)
        assert done.stdout == f"{errno.ENOSPC}\n", done.stderr
        assert [path.read_text() for path in old] == ["old\n", "old\n"]
        assert [path.name for path in disk.path.rglob("*.csv")] == ["0.csv"]
