"""The audit log taken out and verified: the chain, its anchors, and both without Carrel."""

import json
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from carrel.review import settings
from carrel.review.anchors import heads_of
from carrel.review.chain import hash_of
from carrel.review.models import AuditAnchor, AuditEvent
from carrel.review.queries.audit import verify
from carrel.review.sending.housekeeping import keep_house
from carrel.review.service import anchors
from carrel.review.service.audit import record

pytestmark = pytest.mark.django_db
PAGE = Path(__file__).parents[2] / "docs/governance/audit.md"


def audit(*words: str) -> str:
    out = StringIO()
    call_command("audit", *words, stdout=out)
    return out.getvalue()


def add_events(*actors: str) -> None:
    for actor in actors:
        record("REQUEST_COMMENT", actor=actor, workspace="visits", path="a.csv", extra={"text": "à\n", "share": 0.1})


def tamper(sql: str, *values: object) -> None:
    """As somebody with the database's own tools does, who takes the triggers away first."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER IF EXISTS review_audit_no_update")
        cursor.execute("DROP TRIGGER IF EXISTS review_audit_no_delete")
        cursor.execute(sql, values)


def rewrite(since: int) -> None:
    """Hash everything from this event on anew, so that the chain is whole again."""
    previous = AuditEvent.objects.get(number=since - 1).hash
    for event in json.loads("[" + ",".join(audit("export").splitlines()) + "]")[since - 1 :]:
        event["previous_hash"] = previous
        tamper(
            "UPDATE review_auditevent SET previous_hash = %s, hash = %s WHERE number = %s",
            previous,
            previous := hash_of(event),
            event["number"],
        )


def test_a_whole_chain_and_its_anchors() -> None:
    assert anchors.write_when_due() is None, "there is nothing to anchor"
    add_events("ann", "bob")
    with pytest.raises(SystemExit) as ended:
        audit("verify")
    assert ended.value.code == 2, "no anchor: not checked"
    assert verify().unchecked == ("Anchors were not checked: none has been written yet.",)
    assert (anchor := anchors.write_when_due())
    assert anchor.number == 2
    assert anchors.write_when_due() is None
    add_events("cat")
    assert "Event 3" in audit("anchor")
    assert audit("verify") == "3 events: each follows the one before. 2 anchors fit.\n"
    # Killed between the line and the row, it is written once more.
    AuditAnchor.objects.all().delete()
    anchors.write_when_due()
    assert verify().heads == 3


def test_changes_are_found() -> None:
    add_events("ann", "bob", "cat", "dan")
    anchors.write()
    tamper("UPDATE review_auditevent SET actor = 'eve' WHERE number = 2")
    with pytest.raises(CommandError, match="Event 2 was changed") as failure:
        audit("verify")
    assert failure.value.returncode == 1
    rewrite(2)
    assert "Event 4 is not the one that line 1 of audit-anchors.jsonl" in verify().fault
    tamper("DELETE FROM review_auditevent WHERE number > 3")
    assert "Event 4 is missing: line 1 of audit-anchors.jsonl" in verify().fault


def test_anchors_that_are_gone_or_torn() -> None:
    add_events("ann")
    path = settings.get().anchors
    path.parent.mkdir()
    path.write_bytes(b'{"day": "2026-12-0')
    anchors.write()
    report = verify()
    assert (report.heads, report.fault) == (1, "")
    assert report.unchecked == ("Line 1 of audit-anchors.jsonl is no anchor.",)
    path.write_bytes(b"")
    assert "lacks the anchor of" in verify().fault
    path.unlink()
    assert "audit-anchors.jsonl is missing" in verify().fault
    path.mkdir()
    assert "cannot be read" in verify().unchecked[0]
    assert heads_of([b"[]", b"7", b'{"number": "1", "hash": "", "day": ""}', b"\xff"], "a")[0] == []


def test_exports_by_filters_and_is_an_event() -> None:
    add_events("ann", "bob")
    assert [json.loads(line)["actor"] for line in audit("export", "--actor", "bob").splitlines()] == ["bob"]
    event = AuditEvent.objects.order_by("number").last()
    assert event
    assert (event.number, event.event_type, event.extra) == (3, "AUDIT_EXPORT", {"actor": "bob"})
    day = f"{event.at:%Y-%m-%d}"
    assert len(audit("export", "--since", day, "--until", day, "--workspace", "visits").splitlines()) == 2
    assert audit("export", "--until", "2020-01-01") == ""
    with pytest.raises(CommandError, match="invalid day value"):
        audit("export", "--since", "yesterday")


def test_the_program_of_the_page(tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.+?)```", PAGE.read_text(), re.DOTALL)
    script, export = tmp_path / "verify.py", tmp_path / "events.jsonl"
    script.write_text(program)
    add_events("ann", "bob", "cat")
    anchors.write()
    export.write_text(audit("export"))

    def run() -> str:
        command = [sys.executable, "-I", script, export, settings.get().anchors]
        done = subprocess.run(command, capture_output=True, text=True)
        return f"{done.returncode} {done.stdout}{done.stderr}".strip()

    assert run() == "0 4 events, whole."
    whole = export.read_text()
    export.write_text(whole.replace('"bob"', '"eve"'))
    assert run() == "1 Event 2 is missing, out of place or changed."
    export.write_text(whole.splitlines(keepends=True)[0])
    assert "1 The anchor of" in run()


def test_the_daily_work_writes_the_anchor_and_survives_what_fails(caplog: pytest.LogCaptureFixture) -> None:
    add_events("ann")
    keep_house()
    assert AuditAnchor.objects.get().number == 1
    AuditAnchor.objects.all().delete()
    settings.get().anchors.unlink()
    settings.get().anchors.mkdir()
    keep_house()
    assert "A piece of housekeeping failed" in caplog.text
