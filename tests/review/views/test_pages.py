"""The pages of the review site: what each person sees, what they may do there, and what they never learn."""

import re
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from tests.support.hostile_files import pdf, png
from tests.support.review import WORKSPACE, add_account, add_file, add_outputs, add_request, browse
from tests.support.review_pages import review_pages
from tests.support.review_showcase import ReviewShowcase, add_review_showcase

from carrel.review import settings as review_settings
from carrel.review.models import AuditEvent, FileVote, ReleaseRequest
from carrel.review.service import findings

pytestmark = pytest.mark.django_db
ACRO_OUTPUTS = Path(__file__).parents[2] / "disclosure/acro/outputs"
SECRET = "SECRET-OF-BEN"


@pytest.fixture
def showcase() -> ReviewShowcase:
    return add_review_showcase()


def test_every_page_answers_and_the_other_checkers_work_is_on_none(showcase: ReviewShowcase) -> None:
    """Section 2.3 and R19: in the independent phase nobody gets another's vote or comment, on any page."""
    request = showcase.request
    for account in (showcase.sam, showcase.ann):
        client = browse(account)
        for name, path, _ in review_pages(showcase):
            answer = client.get(path)
            assert answer.status_code in (200, 302, 403), (name, account, answer.status_code)
            page = answer.content.decode()
            assert SECRET not in page, name
            if str(request.pk) in path:
                # Ben asked for changes of model.csv in this turn, and Sam has not voted.
                assert "changes requested" not in page.lower(), name
                assert not re.search(r"<strong>Ben Okafor</strong>(?:(?!</li>).)*turn 3", page), name
    looks = browse(showcase.ann).get(f"/requests/{request.pk}/history/?looks=show").content.decode()
    assert "You</strong> looked at" in looks
    assert "Sam Roe</strong> looked at" not in looks
    assert "Sam Roe" not in browse(showcase.ann).get(f"/requests/{request.pk}/").content.decode()
    assert SECRET in browse(showcase.ben).get(f"/requests/{request.pk}/groups/tables/").content.decode()


def test_strangers_to_a_workspace_open_no_page_of_it(showcase: ReviewShowcase) -> None:
    client = browse(add_account("vic"))
    for name, path, _ in review_pages(showcase):
        expected = 200 if path.partition("?")[0] in ("/", "/workspaces/") else 403
        assert client.get(path).status_code == expected, name
    assert WORKSPACE not in client.get("/workspaces/").content.decode()


def test_the_queue_tells_progress_claims_and_age(showcase: ReviewShowcase) -> None:
    page = browse(showcase.sam).get("/").content.decode()
    assert "voted on 3 of 5" in page
    assert "1 day ago" in page
    assert page.index("Visits by plan</a>") < page.index("Notes of the model</a>")


def test_a_checker_votes_and_takes_it_back(showcase: ReviewShowcase) -> None:
    client, file = browse(showcase.sam), showcase.model
    address = f"/requests/{showcase.request.pk}/vote/{file.path}"
    votes = FileVote.objects.filter(file=file, checker="sam", vote="APPROVED", sha256=file.sha256)
    client.post(address, {"choice": "APPROVED", "sha256": file.sha256})
    assert votes.exists()
    page = client.get(f"/requests/{showcase.request.pk}/files/{file.path}").content.decode()
    assert 'aria-pressed="true"' in page
    client.post(address, {"choice": "APPROVED", "sha256": file.sha256, "reset": "1"})
    assert not votes.exists()
    answer = client.post(address, {"choice": "APPROVED", "sha256": "0" * 64}, follow=True)
    assert "was changed since you opened it" in answer.content.decode()
    assert browse(showcase.ann).post(address, {"choice": "APPROVED", "sha256": file.sha256}).status_code == 403


def test_comments_on_a_cell_are_linked_published_and_deleted(showcase: ReviewShowcase) -> None:
    client, base = browse(showcase.sam), f"/requests/{showcase.request.pk}"
    entered = {
        "text": "<b>How</b> many?",
        "visibility": "private",
        "file": "output/model.csv",
        "line": "8",
        "column": "people",
    }
    client.post(f"{base}/comments/", entered)
    comment = showcase.request.comments.get(text__startswith="<b>")
    page = client.get(f"{base}/files/output/model.csv?line=8&column=people").content.decode()
    assert "&lt;b&gt;How&lt;/b&gt;" in page
    assert 'class="number flagged commented chosen"' in page
    client.post(f"{base}/comments/{comment.pk}/publish/")
    comment.refresh_from_db()
    assert comment.is_public
    assert browse(showcase.ben).post(f"{base}/comments/{comment.pk}/delete/").status_code == 404
    client.post(f"{base}/comments/{comment.pk}/delete/")
    assert "many?" not in client.get(f"{base}/files/output/model.csv").content.decode()


def test_an_author_goes_from_a_workspace_to_a_submitted_request(showcase: ReviewShowcase) -> None:
    client = browse(showcase.ann)
    form = {"to": "new", "title": "Rates", "group": "rates", "file_type": "OUTPUT"}
    refused = client.post("/workspaces/visits-by-plan/add/", form, follow=True)
    assert "Tick at least one file" in refused.content.decode()
    paths = ["output/old/rates.csv", "output/raw.csv.txt"]
    page = client.post("/workspaces/visits-by-plan/add/", form | {"path": paths}, follow=True).content.decode()
    assert "Added 1 file." in page
    assert "output/raw.csv.txt: " in page
    request = ReleaseRequest.objects.get(title="Rates")
    base = f"/requests/{request.pk}"
    suggested = client.get(f"{base}/groups/rates/").content.decode()
    assert "Made by tabulate at commit 3fa9c1e." in suggested
    client.post(f"{base}/groups/rates/", {"context": "Rates by year.", "controls": "Rounded."})
    assert client.post(f"{base}/submit/").status_code == 422, "the policy on permitted results was not confirmed"
    page = client.post(f"{base}/submit/", {"confirmed": "on"}, follow=True).content.decode()
    assert "Submitted. The checkers are told." in page
    assert client.get(f"{base}/withdraw/", follow=True).content.decode().count("cannot be changed") == 1


def test_checkers_return_early_or_approve_together(showcase: ReviewShowcase) -> None:
    sam = browse(showcase.sam)
    sam.post(f"/requests/{showcase.request.pk}/return-early/", {"reason": "Wrong population."})
    page = browse(showcase.ann).get(f"/requests/{showcase.request.pk}/").content.decode()
    assert "Returned to the author" in page
    assert "Wrong population." in page
    assert SECRET not in page
    sam.post(f"/requests/{showcase.finished.pk}/approve/")
    showcase.finished.refresh_from_db()
    assert showcase.finished.status == "APPROVED"


def test_an_author_justifies_findings_on_the_page(showcase: ReviewShowcase) -> None:
    ReleaseRequest.objects.filter(pk=showcase.request.pk).update(status="RETURNED")
    finding = showcase.model.checks.first().findings.first()
    address = f"/requests/{showcase.request.pk}/justify/{showcase.model.path}"
    client = browse(showcase.ann)
    assert "Tick at least one" in client.post(address, {"text": "So."}, follow=True).content.decode()
    client.post(address, {"text": "Nobody is named.", "finding": [str(finding.pk)]})
    finding.refresh_from_db()
    assert finding.justification == "Nobody is named."


def test_bytes_never_run_and_leave_only_with_a_checker(showcase: ReviewShowcase) -> None:
    base, sam = f"/requests/{showcase.request.pk}", browse(showcase.sam)
    drawing = sam.get(f"{base}/content/output/visits.svg")
    assert drawing["Content-Type"] == "text/plain; charset=utf-8"
    assert drawing["Content-Security-Policy"] == "sandbox; default-src 'none'; frame-ancestors 'none'"
    assert drawing["X-Content-Type-Options"] == "nosniff"
    add_file(showcase.request, "output/map.PNG", png(9, 9, b""))
    assert sam.get(f"{base}/content/output/map.PNG")["Content-Type"] == "image/png"
    add_file(showcase.request, "output/other.png", b"<script>x()</script>")
    assert sam.get(f"{base}/content/output/other.png")["Content-Type"] == "text/plain; charset=utf-8"
    again = sam.get(f"{base}/content/output/visits.svg", headers={"If-None-Match": drawing["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert sam.get("/workspaces/visits-by-plan/content/metadata/manifest.json")["Content-Type"].startswith("text/plain")
    for outside in ("metadata/../../x", "output/raw.csv", "%2e%2e/x"):
        assert sam.get(f"/workspaces/visits-by-plan/content/{outside}").status_code == 404
    kept = sam.get(f"{base}/download/output/model.csv")
    assert kept["Content-Disposition"].startswith("attachment")
    assert AuditEvent.objects.filter(event_type="REQUEST_FILE_DOWNLOAD", actor="sam").count() == 1
    own = add_request(showcase.sam, status="SUBMITTED")
    add_file(own, "a.csv", b"a\n")
    assert sam.get(f"/requests/{own.pk}/download/a.csv").status_code == 403
    assert browse(showcase.ann).get(f"{base}/download/output/model.csv").status_code == 403


def test_more_files_ask_the_database_no_more_often(showcase: ReviewShowcase) -> None:
    client, request = browse(showcase.sam), showcase.request
    pages = {f"/requests/{request.pk}/": 18, f"/requests/{request.pk}/files/output/model.csv": 22, "/": 14}

    def asked() -> dict[str, int]:
        numbers = {}
        for path in pages:
            with CaptureQueriesContext(connection) as queries:
                assert client.get(path).status_code == 200
            numbers[path] = len(queries)
        return numbers

    few = asked()
    for number in range(20):
        add_file(request, f"output/more{number}.csv", b"a,b\n1,2\n")
        add_file(add_request(showcase.ann, status="SUBMITTED"), "a.csv", b"a\n")
    assert asked() == few
    assert all(few[path] <= most for path, most in pages.items()), few


def test_a_file_is_compared_with_turns_and_requests(showcase: ReviewShowcase) -> None:
    base, sam = f"/requests/{showcase.request.pk}", browse(showcase.sam)
    page = sam.get(f"{base}/compare/{showcase.model.path}").content.decode()
    assert "3 cells changed</strong>, no row added, none removed." in page
    assert "One difference is small: <strong>5</strong> could be worked out from both versions." in page
    assert "<del>1285</del> <ins>1290</ins>" in page
    by_lines = sam.get(f"{base}/compare/{showcase.model.path}?with=turn-1&as=text").content.decode()
    assert "plan 25 %,<del>1285</del>" in by_lines
    assert "The same bytes" in sam.get(f"{base}/compare/output/visits_by_plan.csv").content.decode()
    outputs = add_request(showcase.ann, submitted_at=timezone.now(), status="REJECTED")
    add_file(outputs, "output/map.png", png(9, 9, b"one"))
    add_file(showcase.request, "output/map.png", png(9, 9, b"other"))
    page = sam.get(f"{base}/compare/output/map.png").content.decode()
    assert ", rejected</option>" in page
    assert f'src="{base}/earlier-content/output/map.png?with={outputs.pk}"' in page
    earlier = sam.get(f"{base}/earlier-content/output/map.png?with={outputs.pk}")
    assert (earlier.content, earlier["Content-Type"]) == (png(9, 9, b"one"), "image/png")
    assert sam.get(f"{base}/earlier-content/output/map.png?with={showcase.own.pk}").status_code == 404


def test_an_author_redacts_a_file_without_javascript(showcase: ReviewShowcase) -> None:
    ReleaseRequest.objects.filter(pk=showcase.request.pk).update(status="RETURNED")
    data = b"region,people\r\neast,5\r\nwest,100\r\nnorth,200\r\ntotal,305\r\n"
    file = add_file(showcase.request, "output/regions.csv", data)
    base, ann = f"/requests/{showcase.request.pk}", browse(showcase.ann)
    address = f"{base}/redact/output/regions.csv"
    assert 'value="2:2"> 5</label>' in ann.get(address).content.decode()
    form = {"sha256": file.sha256, "at": "1:1"}
    page = ann.post(address, form | {"do": "small"}).content.decode()
    assert "<del>5</del> <ins>[REDACTED]</ins>" in page
    assert "1 redacted or small count can be worked out from the totals.</strong>" in page
    assert "line 3, people: 100" in page
    assert "totals that stand in another file" in page
    taken = form | {"do": "take", "tick": ["2:2"], "proposed": "3:2"}
    assert "The totals of this file give no redacted cell away." in ann.post(address, taken).content.decode()
    chosen = form | {"tick": ["2:2", "3:2"], "do": "save"}
    assert ann.post(address, chosen).status_code == 422, "there is no reason"
    assert ann.post(address, chosen | {"reason": "x", "sha256": "0" * 64}).status_code == 422, "other bytes"
    ann.post(address, chosen | {"reason": "Five people."})
    derived = showcase.request.files.get(path="output/regions.redacted.csv")
    assert (derived.derived_from, derived.derivation_reason) == (file, "Five people.")
    shown = ann.get(f"{base}/compare/{derived.path}").content.decode()
    assert "<del>100</del> <ins>[REDACTED]</ins>" in shown
    assert "its original, output/regions.csv</option>" in shown
    content = ann.get(f"{base}/content/{derived.path}").content
    assert content == data.replace(b"east,5", b"east,[REDACTED]").replace(b"100", b"[REDACTED]")
    page = ann.post(f"{base}/redact/logs/model.log", {"sha256": "0" * 64}).content.decode()
    assert "The file was changed since you opened it." in page
    refused = browse(showcase.sam).get(address, follow=True).content.decode()
    assert "Only the request" in refused
    assert "/redact/" not in refused


def test_acros_results_are_shown_as_far_as_they_are_of_these_bytes(showcase: ReviewShowcase) -> None:
    names = ("results.json", "output_0_0.csv", "checksums/output_0_0.csv.txt")
    parts = {f"acro/{name}": (ACRO_OUTPUTS / name).read_bytes() for name in names}
    table = parts.pop("acro/output_0_0.csv")
    add_outputs(parts)
    add_file(showcase.request, "acro/output_0_0.csv", table)
    base, sam = f"/requests/{showcase.request.pk}", browse(showcase.sam)
    findings = sam.get(f"{base}/findings/acro/output_0_0.csv").content.decode()
    assert "The checksum is that of these bytes." in findings
    assert "MinimumThresholdCheck: 2 cells" in findings
    assert "made up: counts" in findings
    shown = sam.get(f"{base}/files/acro/output_0_0.csv").content.decode()
    assert shown.count('<span class="rule">ACRO MinimumThresholdCheck</span>') == 2
    showcase.request.files.filter(path="acro/output_0_0.csv").delete()
    add_file(showcase.request, "acro/output_0_0.csv", table + b"\n")
    findings = sam.get(f"{base}/findings/acro/output_0_0.csv").content.decode()
    assert "Not checked: output_0_0.csv is not the file that ACRO checked" in findings
    assert "ACRO MinimumThresholdCheck</span>" not in sam.get(f"{base}/files/acro/output_0_0.csv").content.decode()
    add_file(showcase.request, "acro/other.csv", b"a,b\n1,2\n")
    assert "does not name other.csv" in sam.get(f"{base}/findings/acro/other.csv").content.decode()
    add_outputs({"acro/results.json": b"[]"})
    assert "acro/results.json cannot be used" in sam.get(f"{base}/findings/acro/other.csv").content.decode()


def test_an_html_file_is_a_page_in_a_sandbox_and_only_its_own_tab_may_frame_it(showcase: ReviewShowcase) -> None:
    add_file(showcase.request, "output/report.html", b"<META http-equiv=refresh content=0><link rel=preconnect><p>Hi")
    base, sam = f"/requests/{showcase.request.pk}", browse(showcase.sam)
    tab = sam.get(f"{base}/files/output/report.html")
    assert f'<iframe class="sandboxed" sandbox="" src="{base}/page/output/report.html"' in tab.content.decode()
    assert "frame-src 'self'" in tab["Content-Security-Policy"]
    assert "frame-src" not in sam.get(f"{base}/files/output/report.html?as=text")["Content-Security-Policy"]
    page = sam.get(f"{base}/page/output/report.html")
    assert page.content == b"<not-META http-equiv=refresh content=0><not-link rel=preconnect><p>Hi"
    assert page["Content-Security-Policy"].startswith("sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src")
    assert (page["X-Frame-Options"], page["X-Content-Type-Options"]) == ("SAMEORIGIN", "nosniff")
    assert sam.get(f"{base}/page/output/visits.svg").status_code == 404


def test_a_pdf_is_drawn_here_and_its_text_checked_where_the_policy_allows_it(
    showcase: ReviewShowcase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = add_file(showcase.request, "output/report.pdf", pdf("plan,people", "free,3", "25,500"))
    base, sam = f"/requests/{showcase.request.pk}", browse(showcase.sam)
    address = f"{base}/files/{file.path}"
    assert "This type of file is not shown here" in sam.get(address).content.decode()
    assert sam.get(f"{base}/content/{file.path}").status_code == 404
    (tmp_path / "policy.yaml").write_text("file_types: [.csv, .pdf]\n")
    monkeypatch.setenv("REVIEW_POLICY", str(tmp_path / "policy.yaml"))
    review_settings.get.cache_clear()
    page = sam.get(address).content.decode()
    assert "Page 1 of 1, drawn on the server." in page
    assert 'src="data:image/png;base64,' in page
    assert "free,3" in sam.get(f"{address}?as=text").content.decode()
    look = findings.look(showcase.request, file.path, file.sha256, [])
    assert {finding.rule for finding in look.findings} == {"small-count"}
    assert look.unchecked == "what its pages show as pictures"
