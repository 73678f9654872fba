"""The audit log: filters, export, and that taking it out is an event too."""

import csv
import io
import json
from pathlib import Path

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from tests.support.jobserver import add_person, add_project, browse

from carrel import jobserver
from carrel.jobserver import audit_log
from carrel.jobserver.audit_log import FORMULA_STARTS, csv_line, csv_lines, events_of
from carrel.jobserver.models import AuditEvent
from carrel.jobserver.models.audit import SECURITY
from carrel.jobserver.service.audit import record

pytestmark = pytest.mark.django_db


@pytest.fixture
def lead() -> Client:
    """Somebody who may read the log, with some events in it."""
    project = add_project("alpha")
    record("command line", "role.assigned", category=SECURITY, subject_type="user", subject="ann", new={"role": "X"})
    record("command line", "role.removed", category=SECURITY, subject_type="user", subject="ann", old={"role": "X"})
    record(add_person("sam"), "project.changed", project=project, subject="alpha", old={"name": "A"}, new={"name": "B"})
    return browse(add_person("gov", "GovernanceLead"))


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({}, 3),
        ({"action": "role"}, 2),
        ({"action": "role.removed"}, 1),
        ({"actor": "sam"}, 1),
        ({"project": "alpha"}, 1),
        ({"category": "security"}, 2),
        ({"q": "ann removed"}, 1),
        ({"subject": "ann"}, 2),
        ({"since": "2000-01-01"}, 3),
        ({"until": "2000-01-01"}, 0),
        ({"since": "nonsense", "actor": "\x00"}, 3),
    ],
)
def test_filters(lead: Client, query: dict[str, str], count: int) -> None:
    assert events_of(query).count() == count


def test_words_are_looked_for_in_the_newest_events_and_the_page_says_so(
    lead: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "newest" not in lead.get("/staff/audit/?q=ann").content.decode().replace("newest first", "")
    monkeypatch.setattr(audit_log, "NEWEST_SEARCHED", 1)
    page = lead.get("/staff/audit/?q=ann").content.decode()
    assert "No event" in page
    assert "Words are looked for in the newest" in page
    # The files hold all, and other filters look at everything.
    assert b"role.removed" in b"".join(lead.get("/staff/audit/export.csv?q=ann").streaming_content)
    assert "role.removed" in lead.get("/staff/audit/?subject=ann").content.decode()


def test_the_page_says_what_became_of_what(lead: Client) -> None:
    page = lead.get("/staff/audit/?project=alpha").content.decode()
    assert "name: A" in page
    assert "name: B" in page
    assert "1 event" in page


def test_the_log_is_for_those_who_may_read_it() -> None:
    staff = browse(add_person("sam", "StaffAreaAdministrator"))
    for path in ("/staff/audit/", "/staff/audit/export.csv", "/staff/audit/export.jsonl"):
        assert staff.get(path).status_code == 403
        assert browse().get(path).status_code == 302


def test_exports_hold_the_filtered_events_and_are_events(lead: Client) -> None:
    answer = lead.get("/staff/audit/export.jsonl?action=role")
    rows = [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]
    assert [row["action"] for row in rows] == ["role.assigned", "role.removed"]
    answer = lead.get("/staff/audit/export.csv?action=role")
    table = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [json.loads(row["new"]) if row["new"] else None for row in table] == [{"role": "X"}, None]
    exported = AuditEvent.objects.filter(action="audit.exported")
    assert [(event.category, event.new) for event in exported] == [("access", {"action": "role"})] * 2


@given(
    st.lists(st.one_of(st.sampled_from(["=1+1", " -1", "\n@SUM(A1)", "\t=1", "＝1"]), st.text(), st.none()), min_size=1)
)
def test_no_cell_of_any_export_is_a_formula(cells: list[str | None]) -> None:
    (row,) = csv.reader(io.StringIO(csv_line(cells), newline=""))
    for cell, text in zip(cells, row, strict=True):
        assert text in (cell or "", f"'{cell}")
        assert not text.lstrip(" ").startswith(FORMULA_STARTS)


def test_all_csv_is_written_by_the_one_function_that_sees_to_it() -> None:
    writers = [path.name for path in Path(jobserver.__file__).parent.rglob("*.py") if "csv.writer" in path.read_text()]
    assert writers == ["audit_log.py"]


def test_csv_begins_with_the_names_of_its_columns() -> None:
    assert next(iter(csv_lines([]))).startswith("at,category,action,actor")
