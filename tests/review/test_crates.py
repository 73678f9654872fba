"""The proof of a release: each point of ro-crate.md, the bag, the chain's head, and roc-validator's word on it."""

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from tests.support.crates import validator_problems
from tests.support.review import WORKSPACE, add_account, add_outputs, browse, viewer_for

from carrel.review import settings
from carrel.review.crate.entities import FIVE_SAFES, SHP
from carrel.review.crate.profile import METADATA, faults_of, graph_of, head_of, references
from carrel.review.decisions import Vote
from carrel.review.models import Account, AuditEvent, DisclosureCheck, FileFinding, ReleaseRequest
from carrel.review.queries.crates import crate_fault
from carrel.review.sending.housekeeping import keep_house
from carrel.review.service import anchors, comments, crates, files, findings, groups, releases, requests, votes

pytestmark = pytest.mark.django_db

TABLE = b"plan,visits\na,120\nb,240\n"
SECRET = b"plan,visits\na,3\n"
LOG = """made a table
=============JOB SUMMARY=============
job_definition_id: other

=============JOB SUMMARY=============
job_definition_id: 5enpabcdefghngpj
commit: {commit}
docker_image_id: sha256:0123abcd
exit_code: 0
created_at: 2026-11-30T10:00:00.123456789Z
completed_at: 2026-11-30T10:02:00Z
database_name: default
status_message: Completed successfully

outputs:
  output/visits.csv  - moderately_sensitive
"""
POLICY = """
projects:
  Visits by plan: {approval: REC 26/0001, funder: Example Trust}
proof: {organisation: Example Hospital, organisation_url: "https://hospital.example.org", license: "https://creativecommons.org/licenses/by/4.0/"}
"""


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    monkeypatch.setenv("REVIEW_POLICY", str(path))
    settings.get.cache_clear()
    author = add_account("ann", WORKSPACE)
    author.orcid = "0000-0002-1825-0097"
    author.save()
    add_account("bob", is_checker=True)
    add_account("cat", is_checker=True)


def people() -> list[Any]:
    return [viewer_for(Account.objects.get(pk=name)) for name in ("ann", "bob", "cat")]


def release(data: bytes = TABLE) -> ReleaseRequest:
    """A request with an output and a supporting file, sent back once, reviewed by two, released."""
    ann, bob, cat = people()
    folder = add_outputs({"output/visits.csv": data, "output/secret.csv": SECRET}, database_version="2026-11-01")
    (folder / "metadata/tabulate.log").write_text(LOG)
    request = requests.create(ann, WORKSPACE, title="Visits")
    files.add(ann, request, "output/visits.csv", group="Tables")
    files.add(ann, request, "output/secret.csv", group="Tables", file_type="SUPPORTING")
    groups.describe(ann, request, "tables", context="Visits by plan.", controls="Rounded to 5.")
    for file in request.files.all():
        if pending := FileFinding.objects.filter(check_run__file=file).values_list("pk", flat=True):
            findings.justify(ann, file, list(pending), "Counts are of plans, not people.")
    requests.submit(ann, request)
    file = request.files.get(path="output/visits.csv")
    comments.comment(bob, request, "Never to be public.", is_public=False, group=file.group)
    comments.comment(bob, request, "Rounded as it should be. <script>", is_public=True, group=file.group)
    for checker in (bob, cat):
        votes.vote(checker, file, Vote.APPROVED, sha256=file.sha256)
        votes.submit_review(checker, request)
    requests.approve(bob, request)
    for waiting in releases.waiting_files(request):
        releases.uploaded(waiting, waiting.sha256)
    return ReleaseRequest.objects.get(pk=request.pk)


def payload_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def released_crate(data: bytes = TABLE) -> tuple[ReleaseRequest, Path, dict[str, dict[str, Any]]]:
    request = release(data)
    keep_house()
    path = crates.path_of(request)
    return request, path, graph_of(json.loads(payload_of(path)[f"data/{METADATA}"]))


def named(graph: dict[str, dict[str, Any]], value: Any) -> list[dict[str, Any]]:
    return [graph[target] for target in references(value)]


def test_each_point_of_the_profile(backend: None) -> None:
    request, _, graph = released_crate()
    root = graph["./"]
    assert FIVE_SAFES in references(root["conformsTo"])
    file, _ = named(graph, root["hasPart"])
    assert (file["@id"], file["sha256"]) == (
        "north/output/visits.csv",
        request.files.get(path="output/visits.csv").sha256,
    )
    (study,) = named(graph, root["mainEntity"])
    assert (study["@type"][1], study["codeRepository"]) == ("SoftwareSourceCode", "https://git.example.org/visits")
    (project,) = named(graph, root["sourceOrganization"])
    assert (project["@type"], project["name"]) == ("Project", "Visits by plan")
    assert [row["value"] for row in named(graph, project["identifier"])] == ["REC 26/0001"]
    assert [row["name"] for row in named(graph, project["funder"])] == ["Example Trust"]
    assert [row["name"] for row in named(graph, project["member"])] == ["Example University"]
    assert [row["name"] for row in named(graph, root["publisher"])] == ["Example Hospital"]
    assert root["license"] == {"@id": "https://creativecommons.org/licenses/by/4.0/"}
    (author,) = named(graph, root["author"])
    assert author["@id"] == "https://orcid.org/0000-0002-1825-0097"
    assert [row["name"] for row in named(graph, author["affiliation"])] == ["Example University"]
    assert graph["#person-bob"]["identifier"] == "bob"
    assert root["version"] == "1"
    assert "pav:previousVersion" not in root

    steps = named(graph, root["mentions"])
    (job,) = [step for step in steps if step["@type"] == "CreateAction"]
    assert named(graph, job["agent"])[0]["identifier"] == "ann"
    image = named(graph, job["instrument"])[1]
    assert image["version"] == "sha256:0123abcd"
    assert [row["version"] for row in named(graph, job["object"])[1:]] == ["2026-11-01"]
    assert job["result"] == {"@id": "north/output/visits.csv"}
    assert (job["startTime"], job["endTime"]) == ("2026-11-30T10:00:00+00:00", "2026-11-30T10:02:00+00:00")
    kinds = [target.removeprefix(SHP) for step in steps for target in references(step.get("additionalType"))]
    assert sorted(kinds) == [
        "CheckValue",
        "DisclosureCheck",
        "DisclosureCheck",
        "DisclosureCheck",
        "GenerateCheckValue",
        "SignOff",
        "ValidationCheck",
    ]
    bobs, cats = (graph[f"#review-1-{name}"] for name in ("bob", "cat"))
    assert bobs["description"] == "north/output/visits.csv: approved"
    assert [row["text"] for row in named(graph, bobs["result"])] == ["Rounded as it should be. <script>"]
    assert "result" not in cats
    automatic = graph["#automatic-check"]
    assert named(graph, automatic["agent"])[0]["name"] == "Carrel"
    (rules,) = [json.loads(row["text"]) for row in named(graph, automatic["result"])]
    assert rules["rules_version"]
    assert set(rules) >= {"configuration", "findings", "unchecked"}
    head = head_of(graph)
    event = AuditEvent.objects.get(request=request.pk, event_type="REQUEST_RELEASE")
    assert head
    assert (head.number, head.hash) == (event.number, event.hash)


def test_nothing_leaves_in_it_that_was_not_released(backend: None) -> None:
    _, path, _ = released_crate()
    payload = payload_of(path)
    assert sorted(payload) == [
        "bag-info.txt",
        "bagit.txt",
        "data/north/output/visits.csv",
        "data/ro-crate-metadata.json",
        "data/ro-crate-preview.html",
        "manifest-sha512.txt",
        "tagmanifest-sha512.txt",
    ]
    assert payload["data/north/output/visits.csv"] == TABLE
    everything = b"".join(payload.values())
    for word in (b"secret.csv", b"Never to be public", b"<script"):
        assert word not in everything.replace(b'be. <script>"', b"")


def test_the_same_facts_are_the_same_bytes_and_it_is_made_once(backend: None) -> None:
    request, path, graph = released_crate()
    facts = crates.facts_of(request, request.released_at)
    first, second = io.BytesIO(), io.BytesIO()
    crates.write(first, request, facts)
    crates.write(second, request, facts)
    assert first.getvalue() == second.getvalue()
    before = path.stat().st_mtime_ns
    crates.make(request)
    keep_house()
    assert path.stat().st_mtime_ns == before
    assert AuditEvent.objects.filter(event_type="REQUEST_CRATE").count() == 1
    # Whatever a crate is without, it is not written.
    for entity, name in (("./", "license"), ("#sign-off", "agent"), ("#audit-chain-head", "value")):
        broken = {**graph, entity: {key: value for key, value in graph[entity].items() if key != name}}
        assert faults_of(broken)


def test_a_release_of_the_same_file_points_back(backend: None) -> None:
    _, _, first = released_crate()
    _, _, graph = released_crate(TABLE.replace(b"120", b"130"))
    (previous,) = references(graph["./"]["pav:previousVersion"])
    assert previous == first["#identifier"]["value"]
    assert graph["./"]["version"] == "2"


def test_rules_that_did_not_look_are_no_pass(backend: None) -> None:
    request = release()
    DisclosureCheck.objects.all().delete()
    keep_house()
    graph = graph_of(json.loads(payload_of(crates.path_of(request))[f"data/{METADATA}"]))
    assert graph["#automatic-check"]["actionStatus"] == "http://schema.org/FailedActionStatus"
    assert "The rules did not look at it." in graph["#automatic-check"]["error"]


def test_verified_by_command(backend: None, tmp_path: Path) -> None:
    request, path, _ = released_crate()
    anchors.write()
    out = io.StringIO()
    call_command("audit", "verify", "--crate", path, stdout=out)
    assert "The crate is whole, and event" in out.getvalue()

    def rewritten(name: str, change: Any) -> Path:
        copy = tmp_path / "changed.zip"
        with zipfile.ZipFile(copy, "w") as archive:
            for part, data in payload_of(path).items():
                archive.writestr(f"{request.pk}/{part}", change(data) if part == name else data)
        return copy

    changed = rewritten("data/north/output/visits.csv", lambda data: data + b"c,5\n")
    with pytest.raises(CommandError, match=r"visits\.csv was changed"):
        call_command("audit", "verify", "--crate", changed)
    assert "tagmanifest-sha512.txt" not in crate_fault(rewritten("bagit.txt", lambda data: data))[0]
    assert "bagit.txt" in crate_fault(rewritten("bagit.txt", lambda data: b"BagIt-Version: 0.97\n"))[0]
    (tmp_path / "no.zip").write_bytes(b"PK\x05\x06")
    assert "no zip" in crate_fault(tmp_path / "no.zip")[0]
    # A crate that names another history than the site's.
    facts = crates.facts_of(request, request.released_at)
    with (tmp_path / "other.zip").open("wb") as stream:
        crates.write(stream, request, replace(facts, head_hash="1" * 64))
    with pytest.raises(CommandError, match="is not the one that the crate has"):
        call_command("audit", "verify", "--crate", tmp_path / "other.zip")


def test_offered_on_the_page(backend: None) -> None:
    request = release()
    ann = browse(Account.objects.get(pk="ann"))
    address = f"/requests/{request.pk}/crate.zip"
    assert ann.get(address).status_code == 404
    keep_house()
    assert address in ann.get(f"/requests/{request.pk}/").content.decode()
    answer = ann.get(address)
    assert b"".join(answer.streaming_content) == crates.path_of(request).read_bytes()
    answer.close()
    assert browse(add_account("eve")).get(address).status_code == 403


def test_roc_validator_accepts_it(backend: None, tmp_path: Path) -> None:
    released_crate()
    _, path, _ = released_crate(TABLE.replace(b"120", b"130"))
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path)
    assert validator_problems(next(tmp_path.glob("*/data")), tmp_path / "cache") == {
        "ro-crate-1.3": [],
        "process-run-crate-0.5": [],
    }
