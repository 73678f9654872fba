"""Requests that are made by command and timer, of what is new in certain folders."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from tests.support.review import WORKSPACE, add_account, add_outputs

from carrel.review.models import AuditEvent, ReleaseRequest

pytestmark = pytest.mark.django_db
TABLE = b"plan,visits\na,120\nb,240\n"


@pytest.fixture
def regular(tmp_path: Path) -> Any:
    """Run `carrel manage review_regular` with these changes to one entry."""
    (tmp_path / "workdir").mkdir(exist_ok=True)

    def run(**changes: Any) -> str:
        entry = {
            "username": None,
            "workspace_name": WORKSPACE,
            "dirs": ["output/tables", "output/figures/"],
            "context": "Visits by plan.",
            "controls": "Rounded to 5.",
            "supporting_files": ["output/protocol.md"],
            "submit": True,
            **changes,
        }
        path = tmp_path / "regular_release_requests.json"
        path.write_text(json.dumps([entry, {**entry, "workspace_name": "gone"}]))
        out = io.StringIO()
        call_command("review_regular", str(path), stdout=out)
        return out.getvalue()

    return run


@pytest.fixture
def _outputs() -> None:
    add_account("ann", WORKSPACE)
    add_outputs(
        {"output/tables/a.csv": TABLE, "output/figures/b.csv": TABLE + b"c,360\n", "output/protocol.md": b"How.\n"}
    )


@pytest.mark.usefixtures("_outputs")
def test_what_is_new_is_requested_once_in_a_group_for_each_folder(regular: Any) -> None:
    said = regular()
    request = ReleaseRequest.objects.get()
    assert f"{WORKSPACE}: {request.pk} is submitted\n" in said
    assert "gone: not made: There is no workspace gone" in said
    assert (request.status, request.author_id, request.is_automatic) == ("SUBMITTED", "ann", True)
    files = request.files.order_by("path").values_list("path", "group__name", "file_type")
    assert list(files) == [
        ("output/figures/b.csv", "output figures", "OUTPUT"),
        ("output/protocol.md", "output tables", "SUPPORTING"),
        ("output/tables/a.csv", "output tables", "OUTPUT"),
    ]
    assert all(event.extra["automated_action"] for event in AuditEvent.objects.filter(request=request.pk))
    assert "is not over" in regular()
    ReleaseRequest.objects.update(status="RELEASED")
    request.files.update(released_at=request.created_at)
    assert f"{WORKSPACE}: nothing is new" in regular()
    assert ReleaseRequest.objects.count() == 1


@pytest.mark.usefixtures("_outputs")
def test_one_that_was_killed_in_between_is_finished_and_without_submit_it_waits(regular: Any) -> None:
    assert "is prepared" in regular(submit=False)
    assert ReleaseRequest.objects.get().status == "PENDING"
    assert "is submitted" in regular()
    assert ReleaseRequest.objects.get().status == "SUBMITTED"


@pytest.mark.usefixtures("_outputs")
def test_what_the_file_may_not_say(regular: Any) -> None:
    with pytest.raises(CommandError, match="no context or no controls"):
        regular(context=" ")
    with pytest.raises(CommandError, match=r"0\.dirs: "):
        regular(dirs=[])
    assert "nobody" in regular(username="nobody")
