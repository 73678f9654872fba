"""The report as text, JSON and metrics, and that the page about it says all that there is."""

import json
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from carrel.ingest import run as package
from carrel.ingest.operations import reconciliation
from carrel.ingest.operations.status import WarehouseStatus
from carrel.ingest.run.report import Report, many, size
from carrel.ingest.values import Disposition
from carrel.synthetic import faults as made_faults

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "ingest-metrics.md").read_text()
CODE = Path(package.__file__).parents[1]

FULL = Report(
    run_id="r00000002",
    listed=1_234,
    known=1_200,
    dispositions={"ingested": 30, "partial": 4},
    quarantined={"json/nan": 4},
    rows={"MotionRecord_v1": 123_456},
    changes=["A_v1/x widening: int64 to float64"],
    failures=["s3://b/k: broken off 3 times"],
    not_fetched=[-5],
    replaced=1,
    bytes_read=3_000_000,
    json_bytes=20_000_000,
    seconds=2.0,
)


def test_the_report_for_people():
    assert FULL.text().splitlines() == [
        "1,234 archives listed, 1,200 known already, 34 looked at",
        "Run r00000002: 20.0 MB of JSON in 2.0 s (10.0 MB/s)",
        "Archives:",
        "  ingested          30",
        "  partial            4",
        "Rows added:",
        "  MotionRecord_v1     123,456",
        "Files in quarantine:",
        "  json/nan           4",
        "What the warehouse had of 1 record was replaced by a newer export",
        "Schema changes:",
        "  A_v1/x widening: int64 to float64",
        "Not fetched (the next run tries again):",
        "  s3://b/k: broken off 3 times",
    ]


def test_a_replay_says_what_it_does_not_take():
    text = replace(FULL, is_replay=True, known=1_232).text()
    assert "of 1 record was replaced by what was taken again" in text
    assert "Not taken by a replay, but by `carrel ingest run`: 2 archives, new at the source or rewritten there" in text
    assert "Not taken" not in replace(FULL, is_replay=True, known=1_234).text()


def test_a_run_with_nothing_to_do_is_one_line():
    assert Report(run_id=None, listed=1, known=1).text() == "1 archive listed, 1 known already, 0 looked at"


def test_what_was_finished_first_is_said():
    text = replace(FULL, rolled_forward="r00000001").text()
    assert text.startswith("Finished the interrupted run r00000001 first; ")


@pytest.mark.parametrize(
    ("report", "code"),
    [(Report(run_id=None), 0), (replace(FULL, failures=[]), 3), (FULL, 4), (replace(FULL, quarantined={}), 4)],
)
def test_exit_codes(report, code):
    assert report.exit_code == json.loads(report.to_json())["exit_code"] == code


def test_a_stored_report_comes_back_and_names_no_archive():
    assert Report.from_json(FULL.to_json()) == FULL
    stored = FULL.to_stored_json()
    assert b"s3://" not in stored
    assert Report.from_json(stored) == replace(FULL, failures=["not fetched"])


def test_small_numbers_in_words():
    assert [many(0, "row"), many(1, "row"), many(2_000, "row")] == ["0 rows", "1 row", "2,000 rows"]
    assert [size(0), size(12_345), size(1_234_567_890)] == ["0.0 kB", "12.3 kB", "1,234.6 MB"]


def test_every_key_of_the_report_is_documented():
    section = PAGE.partition("## The report")[2].partition("\n## ")[0]
    keys = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (.*?) \|", section, re.MULTILINE)))
    assert sorted(keys) == sorted(json.loads(FULL.to_json()))


def test_every_metric_is_documented_and_the_other_way_round():
    text = FULL.metrics(1_700_000_000.0).decode()
    made = {name + _label(text, name) for name in re.findall(r"^# TYPE (\w+) gauge$", text, re.MULTILINE)}
    assert made == set(re.findall(r"`(carrel_ingest_\w+(?:\{\w+\})?)`", PAGE))
    assert 'carrel_ingest_archives{disposition="partial"} 4.0' in text
    assert 'carrel_ingest_quarantined_files{fault="json/nan"} 4.0' in text
    assert "carrel_ingest_finished_timestamp_seconds 1.7e+09" in text


def _label(text, name):
    found = re.search(rf"^{name}(\{{\w+)=", text, re.MULTILINE)
    return f"{found[1]}}}" if found else ""


def test_every_disposition_and_finding_is_documented():
    assert [each for each in Disposition if f"| `{each}` |" not in PAGE] == []
    code = Path(reconciliation.__file__).read_text()
    kinds = set(re.findall(r'Discrepancy\(\s*"(\w+)"', code)) | reconciliation._UNSOUND
    assert [each for each in kinds if f"`{each}`" not in PAGE] == []
    assert "rows_missing" in kinds


def test_every_fault_is_documented():
    rows = [line.split("|")[1:4] for line in PAGE.partition("## Quarantine")[2].partition("\n## ")[0].splitlines()]
    known, stage = set(), ""
    for row in rows:
        if len(row) == 3:
            stage = row[0].strip(" `") or stage
            known |= {(stage, keyword) for keyword in re.findall(r"`(\w+)`", row[1])}
    used = set()
    for path in CODE.rglob("*.py"):
        if path.parent != Path(made_faults.__file__).parent:
            used |= set(re.findall(r'(?:Fault|FileRejected|ArchiveRejected)\(\s*"(\w+)", "(\w+)"', path.read_text()))
    assert len(used) > 20
    assert used - known == set()


def test_a_status_for_people():
    status = WarehouseStatus(
        run=3,
        state="done",
        dispositions={"ingested": 1},
        quarantined=1,
        tables=1,
        rows=1_000,
        size=2_500_000,
        last_run=None,
    )
    assert status.text().splitlines() == [
        "Last run: 3 (done)",
        "  ingested              1",
        "1 table, 1,000 rows, 2.5 MB",
        "1 file in quarantine",
    ]


def test_reports_of_earlier_versions_can_be_read():
    """Fields were only ever added, with a default."""
    assert [each.name for each in fields(Report) if each.name != "run_id" and not _has_default(each)] == []


def _has_default(field):
    from dataclasses import MISSING

    return field.default is not MISSING or field.default_factory is not MISSING
