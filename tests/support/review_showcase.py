"""A review site as it looks on a working day, for pictures, browser tests and speed: made through the services."""

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone
from tests.support.review import WORKSPACE, add_account, add_outputs, viewer_for

from carrel.review.decisions import Vote
from carrel.review.models import Account, ReleaseRequest, RequestFile
from carrel.review.rules import FileType
from carrel.review.service import claims, comments, files, findings, groups, requests, votes

MODEL = (
    "term,people,rate ratio,95 % interval\nIntercept,2410,2.0921,1.874 – 2.336\n"
    "plan 25 %,{plan25},{ratio},0.699 – 0.917\nplan 50 %,2550,0.7805,0.640 – 0.951\n"
    "plan 95–100 %,1475,0.7109,0.602 – 0.841\nhealth: fair,1120,1.1060,0.904 – 1.353\n"
    "health: poor,[REDACTED],1.3889,0.988 – 1.954\ndeductible,{deductible},0.8013,0.708 – 0.907\n"
)
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 200"><rect width="400" height="200" fill="#fff"/>'
    '<path d="M20 180 L110 120 L200 140 L290 60 L380 40" fill="none" stroke="#0d6b66" stroke-width="4"/></svg>'
)
VISITS = "plan,people,visits\n" + "".join(f"{name},{5 * count},{15 * count}\n" for name, count in zip(
    ("free", "25 %", "50 %", "95 %", "deductible"), (482, 255, 510, 295, 466), strict=True
))  # fmt: skip
LOG = "".join(f"2026-11-28 14:0{minute} fitting model {minute} of 9\n" for minute in range(10))


@dataclass(frozen=True, kw_only=True)
class ReviewShowcase:
    """People and requests: `request` is in its second review, `finished` has all reviews, `own` is being prepared."""

    ann: Account
    sam: Account
    ben: Account
    request: ReleaseRequest
    finished: ReleaseRequest
    own: ReleaseRequest
    model: RequestFile


def add_review_showcase() -> ReviewShowcase:
    """Fill an empty database and level 4 folder."""
    ann = add_account("ann", WORKSPACE, "air-and-asthma")
    sam = add_account("sam", is_checker=True)
    ben = add_account("ben", is_checker=True)
    Account.objects.filter(pk="ann").update(fullname="Ann Lee")
    Account.objects.filter(pk="sam").update(fullname="Sam Roe")
    Account.objects.filter(pk="ben").update(fullname="Ben Okafor")
    ann, sam, ben = (Account.objects.get(pk=name) for name in ("ann", "sam", "ben"))
    author, checker, second = viewer_for(ann), viewer_for(sam), viewer_for(ben)
    outputs = {
        "output/visits_by_plan.csv": VISITS.encode(),
        "output/model.csv": MODEL.format(plan25=1285, ratio=0.8007, deductible=2330).encode(),
        "output/incentives.csv": VISITS.replace("visits", "incentives").encode(),
        "output/visits.svg": SVG.encode(),
        "output/figures/model.svg": SVG.encode(),
        "output/notes.md": b"# Notes\n\nCounts are rounded to 5.\n",
        "logs/model.log": LOG.encode(),
    }
    add_outputs(outputs)
    add_outputs({"output/old/rates.csv": b"year,rate\n2024,0.15\n"}, out_of_date_action=True)
    folder = add_outputs({"output/raw.csv": b"patient_id\n"}, excluded=True)
    (folder / "output/raw.csv.txt").write_text("output/raw.csv was refused: it has a column patient_id.\n")
    add_outputs({"output/air.csv": VISITS.encode()}, "air-and-asthma")
    request = requests.create(author, WORKSPACE, title="Visits by plan")
    files.add_all(author, request, list(outputs)[:3], group="tables")
    files.add_all(author, request, ["output/visits.svg"], group="figures")
    files.add_all(author, request, ["logs/model.log"], group="figures", file_type=FileType.SUPPORTING)
    context = (
        "Negative binomial model of visits by insurance plan; counts of 7 or fewer are redacted, others rounded to 5."
    )
    for name in ("tables", "figures"):
        groups.describe(
            author, request, name, context=context, controls="Rounded to 5; cells of 7 or fewer are redacted."
        )
    _justify_all(ann, request)
    requests.submit(author, request)
    comments.comment(
        checker, request, "Please round the **people** column as in `visits_by_plan.csv`.", is_public=True,
        file=request.files.get(path="output/model.csv"), line=3, column="people",
    )  # fmt: skip
    for viewer in (checker, second):
        for file in request.files.filter(file_type="OUTPUT"):
            refused = file.path == "output/model.csv"
            votes.vote(viewer, file, Vote.CHANGES_REQUESTED if refused else Vote.APPROVED, sha256=file.sha256)
        if viewer is second:
            comments.comment(
                second, request, "The same as for me.", is_public=False, group=request.groups.get(name="tables")
            )
        votes.submit_review(viewer, request)
    requests.return_to_author(checker, request)
    add_outputs({"output/model.csv": MODEL.format(plan25=1290, ratio=0.8011, deductible=3).encode()})
    files.update(author, request.files.get(path="output/model.csv"))
    files.add_all(author, request, ["output/figures/model.svg"], group="figures")
    comments.comment(
        author, request, "Rounded now. The three with a deductible are all that there are; happy to redact.",
        is_public=True, file=request.files.get(path="output/model.csv"),
    )  # fmt: skip
    comments.comment(
        author, request, "The model as a figure is new.", is_public=True, group=request.groups.get(name="figures")
    )
    _justify_all(ann, request)
    requests.submit(author, request)
    claims.claim(checker, request)
    comments.comment(checker, request, "Is three not below the threshold?", is_public=False,
                     file=request.files.get(path="output/model.csv"), line=8, column="people")  # fmt: skip
    comments.comment(second, request, "SECRET-OF-BEN", is_public=False, group=request.groups.get(name="tables"))
    votes.vote(
        second, (model := request.files.get(path="output/model.csv")), Vote.CHANGES_REQUESTED, sha256=model.sha256
    )
    finished = requests.create(author, WORKSPACE, title="Notes of the model")
    files.add_all(author, finished, ["output/notes.md"], group="notes")
    groups.describe(author, finished, "notes", context="How the model was made.", controls="No numbers.")
    requests.submit(author, finished)
    for viewer in (checker, second):
        file = finished.files.get()
        votes.vote(viewer, file, Vote.APPROVED, sha256=file.sha256)
        votes.submit_review(viewer, finished)
    own = requests.create(author, "air-and-asthma", title="Air, first table")
    files.add_all(author, own, ["output/air.csv"], group="tables")
    ReleaseRequest.objects.filter(pk=request.pk).update(submitted_at=timezone.now() - timedelta(hours=26))
    return ReviewShowcase(
        ann=ann, sam=sam, ben=ben, request=ReleaseRequest.objects.get(pk=request.pk),
        finished=ReleaseRequest.objects.get(pk=finished.pk), own=own, model=model,
    )  # fmt: skip


def _justify_all(author: Account, request: ReleaseRequest) -> None:
    viewer = viewer_for(author)
    findings.refresh(viewer, request)
    for file in request.files.all():
        look = file.checks.first()
        keys = [finding.pk for finding in look.findings.filter(justification="")] if look else []
        if keys:
            findings.justify(viewer, file, keys, "These are all people of the study with that plan; nobody is named.")
