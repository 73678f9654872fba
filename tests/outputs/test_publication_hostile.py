"""Publications that cannot be: found out before the journal, or taken back; and journals that nobody could carry out.

Whatever is published, and whatever stands in its way, the files are all old or all new, and nothing that is left keeps
the next start from working.
"""

import errno
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.disks import small_disk
from tests.support.users import as_ordinary_user

from carrel.outputs.journal import JOURNAL, STAGING
from carrel.outputs.publication import Publication
from carrel.outputs.recovery import recover, settle
from carrel.outputs.targets import PublishConflict
from carrel.telemetry import faults

LONG = "x" * 255


class Killed(BaseException):
    pass


def _roots(folder: Path) -> list[Path]:
    roots = [folder / "high", folder / "medium"]
    for root in roots:
        root.mkdir(parents=True, exist_ok=True)
    return roots


def _visible(roots: list[Path]) -> dict[str, bytes]:
    return {
        f"{root.name}/{path.relative_to(root)}": path.read_bytes()
        for root in roots
        for path in root.rglob("*")
        if path.is_file() and STAGING not in path.parts
    }


def _at(place: str, count: int, raised: BaseException, work: Callable[[], object]) -> bool:
    """Whether `raised` came out of `work` at the `count`th time that it was at `place`."""
    seen = 0

    def hook(name: str) -> None:
        nonlocal seen
        seen += name == place
        if name == place and seen == count:
            raise raised

    faults.on_point(hook)
    try:
        work()
    except type(raised):
        return True
    finally:
        faults.on_point(None)
    return False


def _leave_journal(roots: list[Path], name: str = "x") -> Publication:
    """A publication that was killed right after its commit."""
    publication = Publication(name, roots)
    publication.add_bytes(b"new", roots[0] / "a")
    publication.add_bytes(b"new", roots[1] / "b")
    assert _at("publish.committed", 1, Killed(), publication.commit)
    return publication


# Removals


@pytest.mark.parametrize("path", ["d", "f/below", LONG + "x", "d/" + "y" * 300, "none/at/all"])
def test_what_cannot_be_there_is_removed(tmp_path: Path, path: str) -> None:
    """The message beside an output is one that no disk can hold, or its name is that of a folder."""
    roots = _roots(tmp_path)
    (roots[1] / "d").mkdir()
    (roots[1] / "d/n.csv").write_bytes(b"n")
    (roots[1] / "f").write_bytes(b"f")
    publication = Publication("x", roots)
    publication.add_bytes(b"new", roots[0] / "a")
    publication.remove(roots[1] / path)
    publication.commit()
    publication.finish()
    assert _visible(roots) == {"high/a": b"new", "medium/d/n.csv": b"n", "medium/f": b"f"}
    assert recover(roots) == []


def test_a_folder_that_comes_to_stand_where_a_file_is_removed(tmp_path: Path) -> None:
    """`t.csv` and `t.csv.txt/n.csv` together: the message of the first would have the name of the folder."""
    roots = _roots(tmp_path)
    publication = Publication("x", roots)
    publication.add_bytes(b"t", roots[1] / "t.csv")
    publication.remove(roots[1] / "t.csv.txt")
    publication.add_bytes(b"n", roots[1] / "t.csv.txt/n.csv")
    publication.remove(roots[1] / "t.csv.txt/n.csv.txt")
    publication.commit()
    publication.finish()
    assert _visible(roots) == {"medium/t.csv": b"t", "medium/t.csv.txt/n.csv": b"n"}


def test_a_removal_done_again_spares_what_was_published_since(tmp_path: Path) -> None:
    """Until its journal is gone a publication is finished again at each start, whatever came after it."""
    roots = _roots(tmp_path)
    (roots[1] / "seen.csv").write_bytes(b"old")
    first = Publication("first", roots)
    first.remove(roots[1] / "seen.csv")
    first.commit()
    second = Publication("second", roots)
    second.add_bytes(b"new", roots[1] / "seen.csv")
    second.commit()
    assert recover(roots) == ["first", "second"]
    assert _visible(roots) == {"medium/seen.csv": b"new"}


# What cannot be stored is found before the journal


@pytest.mark.parametrize("name", [LONG + "x", "d/" * 3000 + "x", "loop/x", "file/x", "full", "file/../" + LONG + "x"])
def test_a_name_that_cannot_be_is_a_conflict_and_changes_nothing(tmp_path: Path, name: str) -> None:
    roots = _roots(tmp_path)
    (roots[0] / "loop").symlink_to("loop")
    (roots[0] / "file").write_bytes(b"f")
    (roots[0] / "full").mkdir()
    (roots[0] / "full/x").write_bytes(b"x")
    before = _visible(roots)
    publication = Publication("x", roots)
    publication.add_bytes(b"new", roots[0] / "new/folder/a")
    publication.add_bytes(b"new", roots[0] / name)
    with pytest.raises(PublishConflict, match="cannot be stored"):
        publication.commit()
    assert publication.settle() is False
    assert _visible(roots) == before
    assert not (roots[0] / "new").exists()
    assert recover(roots) == []


def test_two_files_of_one_name_are_a_conflict(tmp_path: Path) -> None:
    roots = _roots(tmp_path)
    publication = Publication("x", roots)
    publication.add_bytes(b"1", roots[0] / "a")
    publication.add_bytes(b"2", roots[0] / "a")
    with pytest.raises(PublishConflict, match="same name"):
        publication.commit()


def test_folders_without_files_give_way(tmp_path: Path) -> None:
    """As a publication that was killed before its commit leaves them."""
    roots = _roots(tmp_path)
    (roots[0] / "a.csv/b/c").mkdir(parents=True)
    publication = Publication("x", roots, clear_empty=True)
    publication.add_bytes(b"new", roots[0] / "a.csv")
    publication.commit()
    assert _visible(roots) == {"high/a.csv": b"new"}


RIGHTS = """
import sys
from pathlib import Path
from carrel.outputs.publication import Publication
from carrel.outputs.recovery import recover
from carrel.outputs.targets import StorageNotWritable
root = Path(sys.argv[1])
publication = Publication("x", [root])
publication.add_bytes(b"new", root / "a")
publication.add_bytes(b"new", root / sys.argv[2])
try:
    publication.commit()
except StorageNotWritable as error:
    print(error)
publication.settle()
print(recover([root]))
"""


def _publish_as_user(root: Path, path: str) -> list[str]:
    command = [*as_ordinary_user(), sys.executable, "-c", RIGHTS, str(root), path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("mode", "path"), [(0o500, "output/t.csv"), (0o000, "output/t.csv"), (0o500, "output/p/t.csv")]
)
def test_a_folder_that_may_not_be_written_is_named_before_the_commit(tmp_path: Path, mode: int, path: str) -> None:
    (tmp_path / "output").mkdir()
    (tmp_path / "output").chmod(mode)
    try:
        said, recovered = _publish_as_user(tmp_path, path)
    finally:
        (tmp_path / "output").chmod(0o700)
    assert said.startswith("output")
    assert said.endswith("cannot be written: permission denied")
    assert recovered == "[]"
    assert not (tmp_path / "a").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mark a file as one that never changes")
def test_a_file_that_never_changes_is_named_before_the_commit(tmp_path: Path) -> None:
    target = tmp_path / "t.csv"
    target.write_bytes(b"old")
    if subprocess.run(["chattr", "+i", target], capture_output=True, check=False).returncode:
        pytest.skip("this file system has no such mark")
    try:
        publication = Publication("x", [tmp_path])
        publication.add_bytes(b"new", tmp_path / "a")
        publication.add_bytes(b"new", target)
        with pytest.raises(Exception, match=r"t\.csv cannot be written"):
            publication.commit()
        assert publication.settle() is False
    finally:
        subprocess.run(["chattr", "-i", target], check=True)
    assert target.read_bytes() == b"old"
    assert not (tmp_path / "a").exists()


# Other file systems


def _scratch(tmp_path: Path) -> tuple[list[Path], Path]:
    roots = _roots(tmp_path)
    other = tmp_path / "other"
    (roots[0] / "output").symlink_to(other)
    return roots, other


def test_a_target_on_another_disk_is_copied_there(tmp_path: Path) -> None:
    roots, other = _scratch(tmp_path)
    with small_disk(other, "2m") as disk:
        (disk.path / "t.csv").write_bytes(b"old")
        (disk.path / "gone.csv").write_bytes(b"old")
        publication = Publication("x", roots)
        publication.add_bytes(b"new", roots[0] / "output/t.csv")
        publication.add_bytes(b"new", roots[0] / "output/p/u.csv")
        publication.remove(roots[0] / "output/gone.csv")
        publication.add_bytes(b"new", roots[0] / "m.json")
        publication.commit()
        publication.finish()
        found = {str(path.relative_to(other)): path.read_bytes() for path in other.rglob("*") if path.is_file()}
        assert found == {"t.csv": b"new", "p/u.csv": b"new"}
        assert (roots[0] / "m.json").read_bytes() == b"new"


@pytest.mark.parametrize("place", ["publish.staged", "publish.synced", "publish.committed", "publish.moved"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_killed_on_two_disks_it_is_all_old_or_all_new(tmp_path: Path, place: str, count: int) -> None:
    roots, other = _scratch(tmp_path)
    with small_disk(other, "2m") as disk:
        old = {"t.csv": b"old", "gone.csv": b"old"}
        for name, data in old.items():
            (disk.path / name).write_bytes(data)
        publication = Publication("x", roots)
        publication.add_bytes(b"new", roots[0] / "output/t.csv")
        publication.remove(roots[0] / "output/gone.csv")
        publication.add_bytes(b"new", roots[0] / "m.json")
        killed = _at(place, count, Killed(), publication.commit)
        recover(roots)
        found = {path.name: path.read_bytes() for path in other.rglob("*") if path.is_file()}
        undone = killed and place in ("publish.staged", "publish.synced")
        assert found == (old if undone else {"t.csv": b"new"})
        assert (roots[0] / "m.json").exists() is not undone


def test_a_mount_of_the_same_disk_is_another_place_too(tmp_path: Path) -> None:
    roots = _roots(tmp_path)
    (roots[0] / "output").mkdir()
    (tmp_path / "other").mkdir()
    command = ["mount", "--bind", str(tmp_path / "other"), str(roots[0] / "output")]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting needs root with CAP_SYS_ADMIN")
    try:
        publication = Publication("x", roots)
        publication.add_bytes(b"new", roots[0] / "output/t.csv")
        publication.commit()
        publication.finish()
    finally:
        subprocess.run(["umount", str(roots[0] / "output")], check=True)
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["t.csv"]


def test_a_disk_that_becomes_read_only_takes_nothing(tmp_path: Path) -> None:
    """After the journal: all is taken back, and what cannot be taken back yet is at the next start."""
    roots, other = _scratch(tmp_path)
    with small_disk(other, "2m") as disk:
        (disk.path / "t.csv").write_bytes(b"old")
        (roots[0] / "m.json").write_bytes(b"old")
        publication = Publication("x", roots)
        publication.add_bytes(b"new", roots[0] / "m.json")
        publication.add_bytes(b"new", roots[0] / "output/t.csv")
        assert _at("publish.committed", 1, Killed(), publication.commit)
        disk.change("ro")
        assert recover(roots) == []
        disk.change("rw")
        assert (disk.path / "t.csv").read_bytes() == b"old"
        assert (roots[0] / "m.json").read_bytes() == b"old"
        assert recover(roots) == []


# Journals that nobody could carry out


DAMAGED = [
    b"",
    b"{",
    b"\xff\xfe",
    b"null",
    b"[]",
    b"7",
    b"[" * 100_000,
    b'{"committed_ns": 1}',
    b'{"operations": []}',
    b'{"committed_ns": "x", "operations": []}',
    b'{"committed_ns": 1, "operations": {"a": 1}}',
    b'{"committed_ns": 1, "operations": [1]}',
    b'{"committed_ns": 1, "operations": [{"root": 7, "remove": "a"}]}',
    b'{"committed_ns": 1, "operations": [{"root": -1, "remove": "a"}]}',
    b'{"committed_ns": 1, "operations": [{"root": true, "remove": "a"}]}',
    b'{"committed_ns": 1, "operations": [{"root": 0}]}',
    b'{"committed_ns": 1, "operations": [{"root": 0, "remove": "../outside"}]}',
    b'{"committed_ns": 1, "operations": [{"root": 0, "remove": "/etc/x"}]}',
    b'{"committed_ns": 1, "operations": [{"root": 0, "remove": "a\\u0000b"}]}',
    b'{"committed_ns": 1, "operations": [{"root": 0, "remove": "\\ud800"}]}',
    b'{"committed_ns": 1, "operations": [{"root": 0, "move": "../../x", "to": "a"}]}',
    b'{"committed_ns": 1, "operations": [{"root": 0, "move": ["x"], "to": "a"}]}',
    b'{"committed_ns": 1, "operations": [{"root": 0, "move": "000000", "to": 7}]}',
    b'{"committed_ns": 1, "operations": [{"root": 0, "move": "000000", "to": "a", "inode": "x"}]}',
    b'{"committed_ns": 1, "operations": [{"root": 0, "move": "000000", "to": "a", "beside": "../x"}]}',
]


@pytest.mark.parametrize("data", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_journal_is_set_aside_and_the_others_are_finished(tmp_path: Path, data: bytes) -> None:
    roots = _roots(tmp_path)
    (tmp_path / "outside").write_bytes(b"mine")
    _leave_journal(roots, "good")
    folder = roots[0] / STAGING / "bad"
    folder.mkdir()
    (folder / "000000").write_bytes(b"new")
    (folder / JOURNAL).write_bytes(data)
    assert recover(roots) == ["good"]
    assert _visible(roots) == {"high/a": b"new", "medium/b": b"new"}
    assert (tmp_path / "outside").read_bytes() == b"mine"
    assert [path.name[:11] for path in (roots[0] / STAGING).iterdir()] == [".aside-bad-"]
    assert recover(roots) == []
    assert Publication("bad", roots).settle() is False


@pytest.mark.parametrize("kind", ["folder", "link", "fifo", "unreadable"])
def test_a_journal_that_is_no_file(tmp_path: Path, kind: str) -> None:
    roots = _roots(tmp_path)
    journal = roots[0] / STAGING / "bad" / JOURNAL
    journal.parent.mkdir(parents=True)
    if kind == "folder":
        journal.mkdir()
    elif kind == "link":
        journal.symlink_to(journal)
    elif kind == "fifo":
        os.mkfifo(journal)
    else:
        journal.write_bytes(b"{}")
        journal.chmod(0)
    assert recover(roots) == []
    assert Publication("bad", roots).settle() is False


def test_what_is_no_stage_is_left_alone(tmp_path: Path) -> None:
    """An old version published the output `.staging/t.csv` of a study there."""
    roots = _roots(tmp_path)
    (roots[0] / STAGING).mkdir()
    (roots[0] / STAGING / "t.csv").write_bytes(b"n")
    (roots[0] / STAGING / "link").symlink_to(tmp_path)
    (roots[1] / STAGING).write_bytes(b"a file")
    assert recover(roots) == []
    assert (roots[0] / STAGING / "t.csv").read_bytes() == b"n"


def test_journals_of_old_versions_are_finished(tmp_path: Path) -> None:
    """As those are that kept an agent from starting: the message of `t.csv` has the name of a folder."""
    roots = _roots(tmp_path)
    folder = roots[0] / STAGING / "old"
    (roots[1] / "t.csv.txt").mkdir()
    folder.mkdir(parents=True)
    (folder / "000000").write_bytes(b"new")
    operations = [{"root": 1, "remove": "t.csv.txt"}, {"root": 1, "remove": LONG + "x"}]
    operations += [{"root": 0, "move": "000000", "to": "a"}]
    (folder / JOURNAL).write_text(json.dumps({"committed_ns": 1, "operations": operations}))
    assert recover(roots) == ["old"]
    assert _visible(roots) == {"high/a": b"new"}


@pytest.mark.parametrize("gone", ["medium", "medium/.staging"])
def test_a_root_that_is_gone(tmp_path: Path, gone: str) -> None:
    """A disk that is not mounted: what lay on it is not called done."""
    roots = _roots(tmp_path)
    (roots[0] / "a").write_bytes(b"old")
    _leave_journal(roots)
    (tmp_path / gone).rename(tmp_path / "elsewhere")
    assert recover(roots) == []
    assert (roots[0] / "a").read_bytes() == b"old"
    roots[1].mkdir(exist_ok=True)
    publication = Publication("y", roots)
    publication.add_bytes(b"next", roots[0] / "a")
    publication.commit()
    assert (roots[0] / "a").read_bytes() == b"next"


def test_nothing_is_left_of_a_change_that_fails_after_the_journal(tmp_path: Path) -> None:
    roots = _roots(tmp_path)
    (roots[0] / "a").write_bytes(b"old")
    (roots[1] / "gone").write_bytes(b"old")
    for count in (1, 2, 3):
        publication = Publication("x", roots)
        publication.add_bytes(b"new", roots[0] / "a")
        publication.remove(roots[1] / "gone")
        publication.add_bytes(b"new", roots[1] / "d/b")
        assert _at("publish.moved", count, OSError(errno.EIO, "broken"), publication.commit)
        assert publication.settle() is False
        assert _visible(roots) == {"high/a": b"old", "medium/gone": b"old"}
        assert not (roots[1] / "d").exists()
        assert not list((roots[0] / STAGING).glob("*"))


@pytest.mark.parametrize("count", range(1, 5))
@pytest.mark.parametrize("place", ["publish.undoing", "publish.undone"])
def test_killed_while_it_is_taken_back(tmp_path: Path, place: str, count: int) -> None:
    roots = _roots(tmp_path)
    (roots[0] / "a").write_bytes(b"old")
    (roots[1] / "gone").write_bytes(b"old")
    publication = Publication("x", roots)
    publication.add_bytes(b"new", roots[0] / "a")
    publication.remove(roots[1] / "gone")
    publication.add_bytes(b"new", roots[1] / "b")
    assert _at("publish.committed", 1, Killed(), publication.commit)
    (roots[1] / "b").mkdir()
    (roots[1] / "b/in the way").write_bytes(b"x")
    killed = _at(place, count, Killed(), lambda: recover(roots))
    assert killed or (place, count) in {
        ("publish.undoing", 2),
        ("publish.undoing", 3),
        ("publish.undoing", 4),
        ("publish.undone", 4),
    }
    recover(roots)
    assert _visible(roots) == {"high/a": b"old", "medium/gone": b"old", "medium/b/in the way": b"x"}
    assert not list((roots[0] / STAGING).glob("*"))


# Anything at all

_PART = st.sampled_from(["a", "a.txt", "t.csv", "t.csv.txt", "T.csv", "n.csv", LONG, LONG[:251], "é.csv", ".x"])
_PATH = st.lists(_PART, min_size=1, max_size=3).map("/".join)
_CHANGE = st.tuples(st.sampled_from(["add", "remove"]), st.integers(0, 1), _PATH)
_TREE = st.lists(st.tuples(st.integers(0, 1), _PATH), max_size=6)
_POINTS = ["publish.staged", "publish.synced", "publish.committed", "publish.moved", "publish.durable"]
_DAMAGE = st.lists(st.tuples(st.sampled_from(["file", "folder", "gone"]), st.integers(0, 1), _PATH), max_size=2)


def _grow(roots: list[Path], tree: list[tuple[int, str]]) -> None:
    for root, path in tree:
        target = roots[root] / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(b"old")
        except OSError:
            continue


def _meddle(roots: list[Path], damage: list[tuple[str, int, str]]) -> None:
    """Somebody else's hands, between a kill and the next start."""
    for kind, root, path in damage:
        target = roots[root] / path
        try:
            if kind == "gone":
                target.unlink()
            elif kind == "folder":
                target.mkdir(parents=True)
                (target / "in the way").write_bytes(b"x")
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(b"meddled")
        except OSError:
            continue


def _publication(roots: list[Path], changes: list[tuple[str, int, str]]) -> Publication:
    publication = Publication("x", roots, clear_empty=True)
    for kind, root, path in changes:
        if kind == "add":
            publication.add_bytes(b"new", roots[root] / path)
        else:
            publication.remove(roots[root] / path)
    return publication


@settings(max_examples=60, deadline=None)
@given(_TREE, st.lists(_CHANGE, min_size=1, max_size=6), st.sampled_from(_POINTS), st.integers(1, 5), st.booleans())
def test_any_publication_is_all_old_or_all_new(
    tree: list[tuple[int, str]], changes: list[tuple[str, int, str]], place: str, count: int, dies: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        roots = _roots(Path(folder))
        _grow(roots, tree)
        old = _visible(roots)
        publication = _publication(roots, changes)
        raised = Killed() if dies else OSError(errno.EIO, "broken")
        committed = False

        def work() -> None:
            nonlocal committed
            publication.commit()
            committed = True
            publication.finish()

        try:
            stopped = _at(place, count, raised, work)
        except PublishConflict:
            stopped = False
        recover(roots)
        visible = _visible(roots)
        finished = committed or (stopped and dies and place in ("publish.committed", "publish.moved"))
        if not finished:
            assert visible == old
        else:
            assert visible == _expected(old, changes)
        assert not list((roots[0] / STAGING).glob("*"))
        again = Publication("x", roots)
        again.add_bytes(b"x", roots[0] / "the next one")
        again.commit()


def _expected(old: dict[str, bytes], changes: list[tuple[str, int, str]]) -> dict[str, bytes]:
    names = {(kind, f"{('high', 'medium')[root]}/{path}") for kind, root, path in changes}
    kept = {name: data for name, data in old.items() if ("remove", name) not in names}
    return kept | {name: b"new" for kind, name in names if kind == "add"}


@settings(max_examples=60, deadline=None)
@given(_TREE, st.lists(_CHANGE, min_size=1, max_size=6), _DAMAGE, st.sampled_from(_POINTS), st.integers(1, 4))
def test_no_journal_outlives_a_start_whatever_happened_meanwhile(
    tree: list[tuple[int, str]],
    changes: list[tuple[str, int, str]],
    damage: list[tuple[str, int, str]],
    place: str,
    count: int,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        roots = _roots(Path(folder))
        _grow(roots, tree)
        publication = _publication(roots, changes)
        try:
            _at(place, count, Killed(), publication.commit)
        except PublishConflict:
            publication.settle()
        _meddle(roots, damage)
        recover(roots)
        assert not [path for root in roots for path in (root / STAGING).glob("*") if not path.name.startswith(".")]
        assert recover(roots) == []
        assert settle("x", roots) is False
