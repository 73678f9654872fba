"""Review and release at a terminal: the `carrel release` command, acting as accounts of the machine's users."""

import os
import pwd
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.support.review import WORKSPACE, add_account, add_outputs

from carrel.cli import release
from carrel.review import settings
from carrel.review.models import AuditEvent, ReleaseRequest

pytestmark = pytest.mark.django_db
TABLE = b"plan,visits\na,120\nb,240\n\x1b[2J"
LOGIN = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run `carrel release` as the user of this machine, who is this account."""
    monkeypatch.delenv("SUDO_UID", raising=False)
    monkeypatch.setenv("CARREL_APPS", "review")
    umask = os.umask(0o077)

    def run(username: str, *words: str) -> Result:
        monkeypatch.setenv("REVIEW_OS_USERS", f"{LOGIN}={username}")
        settings.get.cache_clear()
        return CliRunner().invoke(release.release_group, words)

    yield run
    os.umask(umask)


def said(result: Result) -> str:
    assert result.exit_code == 0, result.exception
    return result.output


def test_the_whole_way_without_a_browser(terminal: Any, storage: Path) -> None:
    add_account("ann", WORKSPACE)
    add_account("bob", is_checker=True)
    add_account("cat", is_checker=True)
    add_outputs({"output/visits.csv": TABLE})
    assert "unreleased    output/visits.csv" in said(terminal("ann", "list", WORKSPACE))
    words = ("--title", "Visits", "--context", "Visits by plan.", "--controls", "Rounded.", "--submit")
    request = said(terminal("ann", "request", WORKSPACE, "output/visits.csv", *words)).strip()
    shown = said(terminal("bob", "diff", request))
    assert "+a,120" in shown
    assert "\x1b" not in shown, "nothing of a file acts on the terminal"
    (seen,) = [line.removeprefix("+++ north/") for line in shown.splitlines() if line.startswith("+++ ")]
    assert "north/output/visits.csv" in said(terminal("bob", "check", request))
    other = f"{seen[:-4]}0000"
    assert "look at it again" in str(terminal("bob", "approve", request, other).exception)
    assert "Only output checkers" in str(terminal("ann", "approve", request, seen).exception)
    assert "some reviews submitted" in said(terminal("bob", "approve", request, seen, "--done"))
    assert "approved, files uploading" in said(terminal("cat", "approve", request, seen, "--done", "--release"))
    assert "north/output/visits.csv: released" in said(terminal("cat", "publish", request))
    assert (storage / "releases" / request / "north/output/visits.csv").read_bytes() == TABLE
    assert f"{request}  {WORKSPACE}  by ann: released  Visits" in said(terminal("cat", "list"))
    assert AuditEvent.objects.filter(event_type="REQUEST_FILE_VIEW", actor="bob").count() == 1


def test_what_is_refused_is_said(terminal: Any) -> None:
    add_account("ann", WORKSPACE)
    add_account("eve")
    add_outputs({"output/visits.csv": TABLE})
    assert "has no account nobody here" in str(terminal("nobody", "list").exception)
    assert "not a member" in str(terminal("eve", "list", WORKSPACE).exception)
    result = terminal("ann", "request", WORKSPACE, "output/visits.csv", "output/gone.csv", "--submit")
    assert result.exit_code == 1
    assert "output/gone.csv: " in result.output
    assert ReleaseRequest.objects.get().status == "PENDING"
    assert "There is no request 01" in str(terminal("eve", "diff", "01").exception)
    request = ReleaseRequest.objects.get().pk
    assert "not a member" in str(terminal("eve", "diff", request).exception)


def test_changes_are_requested_with_a_reason(terminal: Any) -> None:
    add_account("ann", WORKSPACE)
    add_account("bob", is_checker=True)
    add_outputs({"output/visits.csv": TABLE})
    words = ("--context", "Visits by plan.", "--controls", "Rounded.", "--submit")
    request = said(terminal("ann", "request", WORKSPACE, "output/visits.csv", *words)).strip()
    said(terminal("bob", "refuse", request, "output/visits.csv", "--why", "Round to 10.", "--done"))
    assert ReleaseRequest.objects.get().status == "PARTIALLY_REVIEWED"
