import os
from pathlib import Path

import pytest

from carrel.agent.errors import WorkspaceArchived
from carrel.agent.storage import Storage, check_identifier, check_name, owned
from carrel.units.settings import SettingsError


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    made = Storage(tmp_path / "high", tmp_path / "medium", tmp_path / "high/archives", tmp_path / "high/volumes")
    made.create()
    return made


def test_the_contracts_layout(storage: Storage) -> None:
    assert storage.workspace("w").relative_to(storage.high).as_posix() == "workspaces/w"
    assert storage.manifest("w").relative_to(storage.medium).as_posix() == "workspaces/w/metadata/manifest.json"
    high, medium = storage.action_logs("w", "an action")
    assert high.relative_to(storage.high).as_posix() == "workspaces/w/metadata/an action.log"
    assert medium.relative_to(storage.medium).as_posix() == "workspaces/w/metadata/an action.log"
    folder = storage.job_folder("j1", 1_700_000_000)
    assert folder.relative_to(storage.high).as_posix() == "logs/2023-11/os-job-j1"


def test_a_job_is_found_by_its_id_alone(storage: Storage) -> None:
    assert storage.find_job_folder("j1") is None
    folder = storage.job_folder("j1", 1_700_000_000)
    folder.mkdir(parents=True)
    (folder / "metadata.json").write_text("{}")
    assert storage.find_job_folder("j1") == folder


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\nb", "x" * 201])
def test_names_that_are_no_file_names(name: str) -> None:
    with pytest.raises(ValueError, match="file name"):
        check_name(name)


@pytest.mark.parametrize("name", ["", "..", ".a", "a/b", "a b", "-a", "é"])
def test_ids_that_are_no_ids(name: str) -> None:
    with pytest.raises(ValueError, match="identifier"):
        check_identifier(name)


@pytest.mark.parametrize("suffix", [".tar.gz", ".tar.zstd", ".tar.xz"])
def test_an_archived_workspace(storage: Storage, suffix: str) -> None:
    storage.check_not_archived("w")
    (storage.archives / f"w{suffix}").touch()
    with pytest.raises(WorkspaceArchived, match="Workspace w has been archived"):
        storage.check_not_archived("w")
    storage.workspace("w").mkdir()
    storage.check_not_archived("w")


def test_storage_has_one_owner_at_a_time(storage: Storage) -> None:
    with owned(storage, "north"):
        with (
            pytest.raises(SettingsError, match=rf"the agent of north \(process {os.getpid()} on ") as caught,
            owned(storage, "south"),
        ):
            pass
        assert "Stop it, or use other folders" in str(caught.value)
    with owned(storage, "south"):
        pass


def test_a_shared_level_4_folder_is_refused_too(storage: Storage, tmp_path: Path) -> None:
    other = Storage(tmp_path / "high2", storage.medium, tmp_path / "high2/archives", tmp_path / "high2/volumes")
    with owned(storage, "north"), pytest.raises(SettingsError), owned(other, "south"):
        pass
