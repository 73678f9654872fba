"""What an attempt's folder says, and what of it is believed after the machine was restarted."""

from pathlib import Path

import pytest
from tests.support.agents import deep_folder

from carrel.agent import folder as folders
from carrel.agent.attempt import StartState
from carrel.agent.folder import AttemptFolder, Prepared
from carrel.messages.tasks import Task
from carrel.outputs.trees import remove_tree

TASK = Task(id="j-001", backend="b", type="runjob", definition={}, created_at=1)


@pytest.fixture
def folder(tmp_path: Path) -> AttemptFolder:
    made = AttemptFolder(tmp_path / "volumes/j-001")
    made.open(TASK)
    return made


def _restart_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "boot_id", lambda: "another boot")


def test_a_task_is_kept_as_it_first_came(folder: AttemptFolder) -> None:
    folder.open(TASK.model_copy(update={"backend": "other"}))
    assert folder.read_task() == TASK
    assert (folder.root / "task.json").stat().st_mode & 0o777 == 0o600


def test_preparing_is_not_believed_after_a_restart_of_the_machine(
    folder: AttemptFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert folder.read_prepared() is None
    folder.write_prepared(Prepared(image_id="image", bound={"a": "/b"}, study_actions=["x"], database_version="v"))
    found = folder.read_prepared()
    assert found is not None
    assert (found.image_id, found.bound, found.study_actions) == ("image", {"a": "/b"}, ["x"])
    assert found.at_ns == (folder.root / "prepared.json").stat().st_mtime_ns
    _restart_machine(monkeypatch)
    assert folder.read_prepared() is None


def test_a_start_begun_before_a_restart_of_the_machine_is_over(
    folder: AttemptFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert folder.read_start() is StartState.NOT_YET
    folder.write_start(done=False)
    assert folder.read_start() is StartState.BEGUN
    _restart_machine(monkeypatch)
    assert folder.read_start() is StartState.DONE


@pytest.mark.parametrize("name", ["task.json", "cancelled", "prepared.json", "started.json", "metrics.json"])
@pytest.mark.parametrize("text", ["", "{", "\0\0"])
def test_what_a_power_cut_left_half_written_is_as_good_as_not_there(
    folder: AttemptFolder, name: str, text: str
) -> None:
    (folder.root / name).write_text(text)
    found = {
        "task.json": folder.read_task(),
        "cancelled": folder.read_cancellation(),
        "prepared.json": folder.read_prepared(),
        "started.json": None if folder.read_start() is StartState.NOT_YET else 1,
        "metrics.json": folder.read_metrics() or None,
    }
    assert found[name] is None


def test_reset_forgets_preparing_and_starting(folder: AttemptFolder) -> None:
    folder.write_prepared(Prepared(image_id="image"))
    folder.write_start(done=False)
    folder.reset()
    assert folder.read_prepared() is None
    assert folder.read_start() is StartState.NOT_YET


def test_a_folder_however_deep_is_removed_and_no_link_followed(tmp_path: Path) -> None:
    (tmp_path / "safe").mkdir()
    (tmp_path / "safe/file").write_text("x")
    root = tmp_path / "job"
    root.mkdir()
    (root / "link").symlink_to(tmp_path / "safe")
    with deep_folder(root):
        remove_tree(root)
    assert not root.exists()
    assert (tmp_path / "safe/file").exists()
