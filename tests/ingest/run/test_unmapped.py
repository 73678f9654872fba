"""Files that belong to no dataset: counted wherever one looks, unless somebody said that nobody wants them."""

import json
import zipfile
from dataclasses import replace

import pytest
from click.testing import CliRunner
from tests.support.ingest import MAPPING, Folder, deliver, ingest, schemas

from carrel.ingest.cli import ingest as command
from carrel.ingest.operations.ingestion import run
from carrel.ingest.operations.reconciliation import reconcile
from carrel.ingest.operations.status import read_status
from carrel.ingest.operations.withdrawal import withdraw
from carrel.ingest.run import Setting, inline
from carrel.ingest.run.report import Report
from carrel.ingest.run.unmapped import NEXT_STEP
from carrel.ingest.store import open_storage

MORE = {
    "secret-name.json": b"[1]",
    "folder/picture.png": b"\x89PNG",
    "info.json": b"{}",  # the shipped mapping ignores it
    ".DS_Store": b"Bud1",
    "__MACOSX/._anything.json": b"\x00\x05\x16\x07",
}
"""Two files that nobody knows, and three that nobody wants."""


def deliver_more(folder, name, record, day=1, more=MORE):
    deliver(folder, name, record, {"a": day}, day)
    with zipfile.ZipFile(folder / f"{name}.zip", "a") as archive:
        for path, data in more.items():
            archive.writestr(path, data)


@pytest.fixture
def archives(tmp_path):
    folder = tmp_path / "archives"
    folder.mkdir()
    deliver_more(folder, "one", "one")
    deliver(folder, "plain", "plain", {"a": 1})
    return folder


def counts(warehouse, archives, mapping=MAPPING):
    """What `status` and `reconcile` say."""
    storage, known = open_storage(str(warehouse)), schemas(mapping).mapping
    return read_status(storage, known).unmapped_files, reconcile(storage, Folder(archives).list(), known).unmapped_files


def test_the_report_counts_them_and_names_none(archives, tmp_path):
    report = ingest(tmp_path / "w", Folder(archives))
    assert report.unmapped_files == json.loads(report.to_json())["unmapped_files"] == 2
    assert f"Files of no dataset: 2 ({NEXT_STEP})" in report.text().splitlines()
    assert b"carrel_ingest_unmapped_files 2.0" in report.metrics(0.0)
    assert Report.from_json(report.to_stored_json()).unmapped_files == 2
    assert b"secret-name" not in report.to_json()


def test_status_and_reconcile_tell_the_same_number_with_the_next_step(archives, tmp_path):
    ingest(tmp_path / "w", Folder(archives))
    assert counts(tmp_path / "w", archives) == (2, 2)
    for words in (["status"], ["reconcile", str(archives)]):
        done = CliRunner().invoke(command, [*words, "--warehouse", str(tmp_path / "w")])
        assert f"Files of no dataset: 2 ({NEXT_STEP})" in done.stdout.splitlines()
        assert "secret-name" not in done.stdout
        done = CliRunner().invoke(command, [*words, "--warehouse", str(tmp_path / "w"), "--json"])
        assert json.loads(done.stdout)["unmapped_files"] == 2


def test_an_archive_of_which_nothing_is_mapped_counts_too(archives, tmp_path):
    with zipfile.ZipFile(archives / "plain.zip", "w") as archive:
        archive.writestr("strange.json", b"{}")
    assert ingest(tmp_path / "w", Folder(archives)).unmapped_files == 3
    assert counts(tmp_path / "w", archives) == (3, 3)


def test_nothing_is_said_where_there_is_none(tmp_path):
    folder = tmp_path / "archives"
    folder.mkdir()
    deliver(folder, "plain", "plain", {"a": 1})
    report = ingest(tmp_path / "w", Folder(folder))
    assert report.unmapped_files == 0
    assert "no dataset" not in report.text()
    assert "no dataset" not in CliRunner().invoke(command, ["status", "--warehouse", str(tmp_path / "w")]).stdout


def test_a_record_counts_once_however_often_it_was_exported(archives, tmp_path):
    ingest(tmp_path / "w", Folder(archives))
    deliver_more(archives, "again", "one", day=2)
    deliver_more(archives, "between", "one", day=3, more={})
    deliver_more(archives, "last", "one", day=4, more={"secret-name.json": b"[1]"})
    assert ingest(tmp_path / "w", Folder(archives)).unmapped_files == 1
    assert counts(tmp_path / "w", archives) == (1, 1)


def test_a_file_that_the_mapping_now_ignores_is_wanted_by_nobody(archives, tmp_path):
    ingest(tmp_path / "w", Folder(archives))
    mapping = f"{MAPPING}ignored:\n  '*.png': pictures are looked at elsewhere\n"
    assert counts(tmp_path / "w", archives, mapping) == (1, 1)
    (tmp_path / "mapping.yaml").write_text(mapping)
    words = ["status", "--warehouse", str(tmp_path / "w"), "--mapping", str(tmp_path / "mapping.yaml")]
    assert "Files of no dataset: 1 (" in CliRunner().invoke(command, words).stdout


def test_the_next_step_leads_there(archives, tmp_path):
    ingest(tmp_path / "w", Folder(archives))
    mapping = (
        f"{MAPPING}ignored: {{'*.png': nobody looks at them}}\n"
        "legacy: {any: {1: {secret-name.json: Secrets_v1, anything.json: Anything_v1}}}\n"
    )
    setting = Setting(warehouse=str(tmp_path / "w"), source=Folder(archives), schemas=schemas(mapping), pool=inline())
    report = run(replace(setting, replay=lambda ref: True))
    assert (report.unmapped_files, report.rows["Secrets_v1"]) == (0, 1)
    assert counts(tmp_path / "w", archives, mapping) == (0, 0)


def test_of_who_withdrew_nothing_is_counted(archives, tmp_path):
    ingest(tmp_path / "w", Folder(archives))
    withdraw(str(tmp_path / "w"), ("of one",), ())
    assert counts(tmp_path / "w", archives) == (0, 0)
