"""What the disclosure rules say of a request's files, stored with the rules that said it, and what authors answer.

Rules look outside of any transaction, at copies that cannot change; what they found is stored under the request's lock.
"""

import hashlib
import io
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from django.utils import timezone

from carrel.disclosure.figures import IMAGE_TYPES
from carrel.disclosure.findings import DisclosureFinding
from carrel.disclosure.outputs import Look, look_at, look_at_difference
from carrel.disclosure.rules import rules_version, version_of
from carrel.disclosure.texts import Unreadable
from carrel.review import copies, policy
from carrel.review.audit_types import AuditType
from carrel.review.copies import CopyRefused
from carrel.review.models import DisclosureCheck, FileFinding, ReleaseRequest, RequestFile
from carrel.review.models.requests import NAME_LENGTH
from carrel.review.pdfs import text_of_pdf
from carrel.review.queries.situations import situation_of
from carrel.review.rules import Act, ActRefused, check
from carrel.review.service.changes import acting, contents_now, log, written
from carrel.review.viewers import Viewer
from carrel.units.limits import MAX_COMMENT_CHARACTERS

COMPARED_LENGTH = 300
MOST_COMPARED = 20
"""Most earlier versions of a file that it is compared with: the newest ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLook:
    """What the rules say of one file's bytes. `unchecked`: why they could not look, or at what; "" for all.

    `configuration`: the thresholds, and what else of the site the answer depends on.
    """

    sha256: str
    findings: tuple[DisclosureFinding, ...]
    unchecked: str
    rules_version: str
    configuration: dict[str, Any]


def look(request: ReleaseRequest, path: str, sha256: str, beside: Collection[str]) -> FileLook:
    """Have the rules look at a copy of a request's file, as they and the policy are now. Raises CopyRefused.

    `beside`: paths of the request's files. What other requests of the workspace had at this path is compared with it.
    """
    rules = policy.get().rules
    if PurePosixPath(path).suffix.lower() == policy.PDF:
        looks = _looks_at_text(request, path, sha256)
        return _summed_up(request, path, sha256, beside, looks)
    with copies.opened(request.workspace, request.pk, sha256) as stream:
        looks = [look_at(stream, path, rules, beside=beside)]
        for earlier in compared_with(request, path, sha256):
            stream.seek(0)
            try:
                with copies.opened(request.workspace, earlier.request_id, earlier.sha256) as other:
                    looks.append(look_at_difference(other, stream, path, rules, name_of(earlier)))
            except CopyRefused:
                looks.append(Look(unchecked=f"not compared with {name_of(earlier)}: its copy cannot be read"))
    return _summed_up(request, path, sha256, beside, looks)


def _looks_at_text(request: ReleaseRequest, path: str, sha256: str) -> list[Look]:
    """Have the rules look at the text of a PDF, and at the differences to its earlier versions' texts."""
    rules, suffix = policy.get().rules, ".txt"
    try:
        with copies.opened(request.workspace, request.pk, sha256) as stream:
            text = text_of_pdf(stream).encode()
    except Unreadable as error:
        return [Look(unchecked=f"its text cannot be read: {error}", is_blind=True)]
    looks = [Look(unchecked="what its pages show as pictures"), look_at(io.BytesIO(text), suffix, rules)]
    for earlier in compared_with(request, path, sha256):
        try:
            with copies.opened(request.workspace, earlier.request_id, earlier.sha256) as other:
                before = io.BytesIO(text_of_pdf(other).encode())
            looks.append(look_at_difference(before, io.BytesIO(text), suffix, rules, name_of(earlier)))
        except (CopyRefused, Unreadable):
            looks.append(Look(unchecked=f"not compared with {name_of(earlier)}: its copy cannot be read"))
    return looks


def _summed_up(
    request: ReleaseRequest, path: str, sha256: str, beside: Collection[str], looks: Sequence[Look]
) -> FileLook:
    return FileLook(
        sha256=sha256,
        findings=tuple(finding for part in looks for finding in part.findings),
        unchecked="; ".join(dict.fromkeys(part.unchecked for part in looks if part.unchecked)),
        rules_version=rules_version(),
        configuration=configuration_of(request, path, sha256, beside),
    )


def configuration_of(request: ReleaseRequest, path: str, sha256: str, beside: Collection[str]) -> dict[str, Any]:
    """Return what the rules' answer depends on beside the bytes: when it differs, they look again."""
    configuration = policy.get().rules.as_record()
    configuration["compared_with"] = [name_of(earlier) for earlier in compared_with(request, path, sha256)]
    if PurePosixPath(path).suffix.lower() in IMAGE_TYPES:
        listed = "\n".join(sorted(beside)).encode()
        configuration["files_beside"] = hashlib.sha256(listed).hexdigest()
    return configuration


def compared_with(request: ReleaseRequest, path: str, sha256: str) -> list[RequestFile]:
    """Return what a file is compared with: each earlier version with other bytes once, at most MOST_COMPARED."""
    versions: dict[str, RequestFile] = {}
    for row in earlier_files(request, path):
        versions.setdefault(row.sha256, row)
    versions.pop(sha256, None)
    return list(versions.values())[:MOST_COMPARED]


def earlier_files(request: ReleaseRequest, path: str) -> list[RequestFile]:
    """Return the files of this path on every other request of the workspace that was submitted once, newest first.

    Those of rejected and withdrawn requests too: checkers were asked for them, and may remember them.
    """
    rows = RequestFile.objects.filter(request__workspace=request.workspace, path=path).exclude(request=request.pk)
    rows = rows.exclude(request__submitted_at=None).select_related("request")
    return list(rows.order_by("-request__created_at", "-pk"))


def name_of(earlier: RequestFile) -> str:
    """Return how a finding names what it compares with."""
    return f"request {earlier.request_id}"


def store(file: RequestFile, file_look: FileLook) -> DisclosureCheck:
    """Store what the rules said of a file of a locked request.

    What the author of this request has justified before, of the same bytes of the same path in this workspace, stays
    justified.
    """
    row = DisclosureCheck.objects.create(
        file=file,
        sha256=file_look.sha256,
        rules_version=file_look.rules_version,
        configuration=file_look.configuration,
        unchecked=file_look.unchecked,
    )
    answers = _justified(file)
    findings = []
    for finding in file_look.findings:
        fields = {
            "rule": finding.rule.value,
            "line": finding.line,
            "column": finding.column[:NAME_LENGTH],
            "value": finding.value[:NAME_LENGTH],
            "compared_with": finding.compared_with[:COMPARED_LENGTH],
        }
        answer = answers.get(tuple(fields.values()))
        findings.append(
            FileFinding(
                check_run=row,
                rule_version=version_of(finding.rule),
                message=finding.message,
                justification=answer.justification if answer else "",
                justified_by_id=answer.justified_by_id if answer else None,
                justified_at=answer.justified_at if answer else None,
                **fields,
            )
        )
    FileFinding.objects.bulk_create(findings)
    return row


def _justified(file: RequestFile) -> dict[tuple[Any, ...], FileFinding]:
    """Return the answers that hold for these bytes, by rule, line, column, value and what it compares with."""
    rows = FileFinding.objects.filter(
        check_run__file__request__workspace=file.request.workspace,
        check_run__file__path=file.path,
        check_run__sha256=file.sha256,
        justified_by_id=file.request.author_id,
    ).exclude(justification="")
    return {(row.rule, row.line, row.column, row.value, row.compared_with): row for row in rows.order_by("pk")}


def refresh(viewer: Viewer, request: ReleaseRequest) -> None:
    """Look again at the files of which the stored findings are of other rules, thresholds or earlier requests.

    The author does this by submitting. Raises ActRefused.
    """
    contents = contents_now(request)
    check(Act.JUSTIFY_FINDING, situation_of(Act.JUSTIFY_FINDING, viewer, contents))
    looks, beside = {}, [file.path for file in contents.current_files]
    for file in contents.current_files:
        before = contents.checks.get(file.pk)
        configuration = configuration_of(request, file.path, file.sha256, beside)
        if before is None or (before.rules_version, before.configuration) != (rules_version(), configuration):
            looks[file.pk] = look(request, file.path, file.sha256, beside)
    if not looks:
        return
    with acting(Act.JUSTIFY_FINDING, viewer, request) as now:
        for file in now.current_files:
            if file.pk in looks and looks[file.pk].sha256 == file.sha256:
                row = store(file, looks[file.pk])
                log(
                    AuditType.REQUEST_FILE_CHECK,
                    viewer,
                    now.request,
                    file=file,
                    rules_version=row.rules_version,
                    findings=len(looks[file.pk].findings),
                )


def justify(viewer: Viewer, file: RequestFile, findings: Iterable[int], text: str) -> int:
    """Answer findings of a file, by their keys, with one justification. Returns how many. Raises ActRefused.

    An empty text takes the answer back.
    """
    keys = set(findings)
    with acting(Act.JUSTIFY_FINDING, viewer, file.request) as contents:
        text = written(text, "The justification", MAX_COMMENT_CHARACTERS)
        rows = [row for row in contents.findings.get(file.pk, ()) if row.pk in keys]
        if len(rows) != len(keys):
            raise ActRefused("The file was looked at again since you opened it. Look at its findings again.")
        FileFinding.objects.filter(pk__in=keys).update(
            justification=text,
            justified_by_id=viewer.username if text else None,
            justified_at=timezone.now() if text else None,
        )
        answered = [{"rule": row.rule, "line": row.line, "column": row.column} for row in rows]
        current = next(row for row in contents.files if row.pk == file.pk)
        log(
            AuditType.REQUEST_FINDING_JUSTIFY,
            viewer,
            contents.request,
            file=current,
            justification=text,
            findings=answered,
        )
    return len(rows)
