"""The entities of a release's crate, from its facts. Pure.

Source: Five Safes RO-Crate 0.4 (w3id.org/5s-crate/0.4), Process Run Crate 0.5, RO-Crate 1.3, the SHP vocabulary
(w3id.org/shp).
"""

import json
import mimetypes
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias
from urllib.parse import quote, urlsplit, urlunsplit

from carrel.review.crate.facts import CrateFacts, CrateFile, CrateJob, CratePerson, CrateReview

Entity: TypeAlias = dict[str, Any]
FIVE_SAFES = "https://w3id.org/5s-crate/0.4"
PROCESS_RUN = "https://w3id.org/ro/wfrun/process/0.5"
SHP = "https://w3id.org/shp#"
PREFIXES = {"pav": "http://purl.org/pav/", "shp": SHP}
ASSESSMENTS = {
    "CheckValue": "Checksums were compared.",
    "ValidationCheck": "The crate was held against its profile.",
    "SignOff": "It was permitted to run here and to ask for a release.",
    "DisclosureCheck": "Results were checked for what could identify somebody.",
    "GenerateCheckValue": "Checksums were written.",
}
"""The kinds of steps in the SHP vocabulary that a crate has, and what each means."""
COMPLETED, FAILED = "http://schema.org/CompletedActionStatus", "http://schema.org/FailedActionStatus"
LEVEL = "moderately sensitive (level 4)"
HEAD = "#audit-chain-head"
CARREL, PROJECT, POLICY, RULES, PERMISSION = (
    "#carrel",
    "#project",
    "#review-policy",
    "#disclosure-rules",
    "#permission",
)


def ref(target: str) -> Entity:
    """Return a reference to an entity."""
    return {"@id": target}


def refs(targets: Iterable[str]) -> list[Entity] | Entity:
    """Return references, each once, in order; one alone is no list, as RO-Crate would have it."""
    listed = [ref(target) for target in dict.fromkeys(targets)]
    return listed[0] if len(listed) == 1 else listed


def file_id(facts: CrateFacts, path: str) -> str:
    """Return the id of a released file: where it lies in the crate."""
    return quote(f"{facts.backend}/{path}")


def person_id(person: CratePerson) -> str:
    """Return a person's ORCID, else the site's user id."""
    orcid = person.orcid.removeprefix("https://orcid.org/")
    return f"https://orcid.org/{quote(orcid)}" if orcid else f"#person-{quote(person.username, safe='')}"


def study_id(job: CrateJob) -> str:
    """Return the id of the code that a job ran: its repository at a commit, without anybody's credentials.

    A repository that is a folder of a machine is not named: its commit has an id of its own (swhid.org).
    """
    parts = urlsplit(job.repo)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return f"swh:1:rev:{job.commit}" if len(job.commit) == 40 else "#study"
    host = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname
    return urlunsplit((parts.scheme, host, quote(parts.path), "", job.commit))


def entities_of(facts: CrateFacts) -> list[Entity]:
    """Return the crate's entities, the root first; all but the metadata file's own."""
    actions = [*_runs(facts), *_assessments(facts), *_writing(facts)]
    steps = [entity["@id"] for entity in actions if str(entity["@type"]).endswith("Action")]
    entities = [_root(facts, steps), *_context(facts), *actions]
    return [{name: value for name, value in entity.items() if value not in (None, "", [])} for entity in entities]


def _root(facts: CrateFacts, mentions: list[str]) -> Entity:
    files = [file_id(facts, file.path) for file in facts.files]
    studies = [study_id(job) for job in facts.jobs]
    root: Entity = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"{facts.title or facts.workspace}: release {facts.request}",
        "description": f"Files of workspace {facts.workspace} that were checked on {facts.backend} and released, "
        "with who and what made, checked and released them.",
        "conformsTo": refs([FIVE_SAFES, PROCESS_RUN]),
        "datePublished": facts.released_at,
        # The study is a part by its address alone: RO-Crate 1.3 has scripts so.
        "hasPart": refs([*files, *studies]),
        "mainEntity": refs(studies),
        "mentions": refs(mentions),
        "author": ref(_person(facts, facts.author)),
        "sourceOrganization": ref(PROJECT),
        "publisher": ref(_publisher(facts)),
        "license": ref(_license(facts)),
        "identifier": [ref("#identifier"), ref("#request")],
        "version": str(facts.version),
        "additionalProperty": ref(HEAD),
    }
    if facts.release_url:
        root["url"] = facts.release_url
    if facts.previous:
        root["pav:previousVersion"] = ref(facts.previous)
    return root


def _publisher(facts: CrateFacts) -> str:
    return facts.publisher_url or "#backend-organisation"


def _license(facts: CrateFacts) -> str:
    return facts.license or "#licence"


def _person(facts: CrateFacts, username: str) -> str:
    return person_id(facts.people.get(username) or CratePerson(username=username, name=username))


def _context(facts: CrateFacts) -> Iterator[Entity]:
    """Yield what the actions are about: profiles, organisations, people, study, files, policies, head."""
    for profile, name, version in (
        (FIVE_SAFES, "Five Safes RO-Crate", "0.4"),
        (PROCESS_RUN, "Process Run Crate", "0.5"),
    ):
        yield {"@id": profile, "@type": ["CreativeWork", "Profile"], "name": name, "version": version}
    for kind, meaning in ASSESSMENTS.items():
        yield {"@id": SHP + kind, "@type": "DefinedTerm", "name": kind, "description": meaning}
    yield _value("#identifier", "identifier of this version", facts.identifier)
    yield _value("#request", "release request", facts.request)
    if facts.previous:
        yield {"@id": facts.previous, "@type": "CreativeWork", "name": "the release before, of some of the same files"}
    yield {
        "@id": _publisher(facts),
        "@type": "Organization",
        "name": facts.publisher,
        "url": facts.publisher_url or None,
    }
    yield {
        "@id": _license(facts),
        "@type": "CreativeWork",
        "name": facts.license or "No licence is granted by this release",
        "description": "What others may do with the released files.",
    }
    organisations = {name: f"#organisation-{quote(name, safe='')}" for name in facts.organisations}
    yield {
        "@id": PROJECT,
        "@type": "Project",
        "name": facts.project or facts.workspace,
        "identifier": ref("#approval") if facts.approval else None,
        "member": refs(organisations.values()),
        "funder": ref("#funder") if facts.funder else None,
    }
    if facts.approval:
        yield _value("#approval", "approval reference", facts.approval)
    if facts.funder:
        yield {"@id": "#funder", "@type": "Organization", "name": facts.funder}
    people = facts.people.values()
    for name in organisations | dict.fromkeys(person.organisation for person in people if person.organisation):
        yield {"@id": f"#organisation-{quote(name, safe='')}", "@type": "Organization", "name": name}
    for person in people:
        organisation = person.organisation and ref(f"#organisation-{quote(person.organisation, safe='')}")
        yield {
            "@id": person_id(person),
            "@type": "Person",
            "name": person.name,
            "identifier": person.username,
            "affiliation": organisation or None,
        }
    for file in facts.files:
        yield _file(facts, file)
    yield {
        "@id": CARREL,
        "@type": "SoftwareApplication",
        "name": "Carrel",
        "url": f"pkg:generic/carrel@{facts.carrel_version}",
        "version": facts.carrel_version,
    }
    yield {
        "@id": POLICY,
        "@type": "CreativeWork",
        "name": f"review policy of {facts.backend}",
        "description": f"{facts.checkers} output checkers, none of whom is the author, approve each file.",
        "version": f"sha256:{facts.policy}",
    }
    yield {
        "@id": PERMISSION,
        "@type": "CreativeWork",
        "name": f"membership, by {facts.permission}",
        "description": "Who asks for a release is a member of the workspace, its project goes on, and it may use this "
        "backend; the rules are R1 and R4 of Carrel's review site.",
        "version": facts.carrel_version,
    }
    yield {
        "@id": HEAD,
        "@type": "PropertyValue",
        "name": "head of the audit chain at the release",
        "description": f"Event {facts.head_number} of the backend's audit log was the last one at {facts.head_at}; its "
        "SHA-256 is the value. `carrel manage audit verify --crate` holds the log against it.",
        "propertyID": f"event {facts.head_number}",
        "value": facts.head_hash,
    }


def _value(target: str, name: str, value: str) -> Entity:
    return {"@id": target, "@type": "PropertyValue", "name": name, "value": value}


def _file(facts: CrateFacts, file: CrateFile) -> Entity:
    return {
        "@id": file_id(facts, file.path),
        "@type": "File",
        "name": f"{facts.backend}/{file.path}",
        "contentSize": str(file.size),
        "encodingFormat": mimetypes.guess_type(file.path)[0] or "application/octet-stream",
        "sha256": file.sha256,
        "description": f"A result that was {LEVEL} until it was checked.",
    }


def _runs(facts: CrateFacts) -> Iterator[Entity]:
    """Yield each job with its code, image and data, each once."""
    entities: dict[str, Entity] = {}
    for job in facts.jobs:
        study = study_id(job)
        entities[study] = {
            "@id": study,
            "@type": ["File", "SoftwareSourceCode"],
            "name": f"study code at commit {job.commit or 'unknown'}",
            "codeRepository": study.partition("#")[0] if study.startswith("http") else None,
            "version": job.commit or "unknown",
            "encodingFormat": "application/x-git",
        }
        used = [study]
        if job.image:
            used.append(f"#image-{quote(job.image, safe='')}")
            entities[used[-1]] = {
                "@id": used[-1],
                "@type": "SoftwareApplication",
                "name": "image or toolchain that the job ran in",
                "url": f"pkg:generic/{quote(job.image)}",
                "version": job.image,
            }
        data = []
        if job.database_version or job.database:
            text = f"{job.database or 'database'} {job.database_version}".strip()
            data.append(f"#data-{quote(text, safe='')}")
            entities[data[-1]] = {
                "@id": data[-1],
                "@type": "Dataset",
                "name": job.database or f"data of {facts.backend}",
                "version": job.database_version or "not known",
                "description": "Data that stay in the backend: by name and version, never their content.",
            }
        target = f"#job-{quote(job.job_id, safe='')}"
        entities[target] = {
            "@id": target,
            "@type": "CreateAction",
            "name": f"job {job.job_id}: action {job.action}",
            "description": f"Ran action {job.action} of the study's project.yaml on {facts.backend}.",
            "agent": ref(_person(facts, job.run_by)) if job.run_by else ref(CARREL),
            "instrument": refs(used),
            "object": refs([study, *data]),
            "result": refs(file_id(facts, file.path) for file in facts.files if file.job_id == job.job_id),
            "startTime": job.started_at or None,
            "endTime": job.ended_at or None,
            "actionStatus": FAILED if job.error else COMPLETED,
            "error": job.error or None,
            "identifier": job.job_request or None,
        }
    yield from entities.values()


def _assess(target: str, kind: str, name: str, *, failed: bool = False, **properties: Any) -> Entity:
    """Return one assessment, with what it has to say of itself beside what all have."""
    return {
        "@id": target,
        "@type": "AssessAction",
        "additionalType": ref(SHP + kind),
        "name": name,
        "actionStatus": FAILED if failed else COMPLETED,
        **properties,
    }


def _assessments(facts: CrateFacts) -> Iterator[Entity]:
    files = refs(file_id(facts, file.path) for file in facts.files)
    yield _assess(
        "#sign-off",
        "SignOff",
        f"permission to run on {facts.backend} and to ask for a release",
        agent=ref(_publisher(facts)),
        endTime=facts.requested_at,
        object=refs([PROJECT, *(study_id(job) for job in facts.jobs)]),
        instrument=ref(PERMISSION),
    )
    yield from _rules(facts, files)
    for review in facts.reviews:
        yield from _review(facts, review, files)
    yield _assess(
        "#checksums",
        "CheckValue",
        "the bytes that leave are the bytes that were approved",
        agent=ref(CARREL),
        endTime=facts.approved_at,
        object=files,
        instrument=ref(CARREL),
    )
    yield {
        "@id": "#release-decision",
        "@type": "AuthorizeAction",
        "name": "decision to release",
        "agent": ref(_person(facts, facts.approved_by)),
        "endTime": facts.approved_at,
        "object": files,
        "instrument": ref(POLICY),
        "actionStatus": COMPLETED,
    }
    yield _assess(
        "#validation",
        "ValidationCheck",
        "this crate, held against its profile",
        agent=ref(CARREL),
        endTime=facts.made_at,
        object=ref("./"),
        instrument=ref(FIVE_SAFES),
    )


def _rules(facts: CrateFacts, files: list[Entity] | Entity) -> Iterator[Entity]:
    """Yield what the automatic rules did, and their machine-readable record of each file (SATRE 3.3.09)."""
    yield {
        "@id": RULES,
        "@type": "SoftwareApplication",
        "name": "disclosure rules of Carrel",
        "url": f"pkg:generic/carrel@{facts.carrel_version}#disclosure",
        "version": ", ".join(sorted({record.version for record in facts.records})) or "not known",
    }
    results = []
    for number, record in enumerate(facts.records, 1):
        content = {
            "file": f"{facts.backend}/{record.path}",
            "checked_at": record.checked_at,
            "rules_version": record.version,
            "configuration": record.configuration,
            "unchecked": record.unchecked,
            "findings": record.findings,
        }
        results.append(f"#rules-{number}")
        yield {
            "@id": results[-1],
            "@type": "CreativeWork",
            "name": f"what the disclosure rules said of {facts.backend}/{record.path}",
            "about": ref(file_id(facts, record.path)),
            "encodingFormat": "application/json",
            "text": json.dumps(content, sort_keys=True, ensure_ascii=False),
        }
    unchecked = [f"{facts.backend}/{record.path}: {record.unchecked}" for record in facts.records if record.unchecked]
    yield _assess(
        "#automatic-check",
        "DisclosureCheck",
        "automatic disclosure rules",
        failed=bool(unchecked),
        agent=ref(CARREL),
        endTime=max((record.checked_at for record in facts.records), default=facts.approved_at),
        object=files,
        instrument=ref(RULES),
        result=refs(results),
        error="Not everything was looked at. " + " ".join(unchecked) if unchecked else None,
    )


def _review(facts: CrateFacts, review: CrateReview, files: list[Entity] | Entity) -> Iterator[Entity]:
    """Yield one checker's review of one turn, and what they said in public."""
    target = f"#review-{review.turn}-{quote(review.checker, safe='')}"
    says = [
        f"{facts.backend}/{vote.path}: {vote.vote.lower().replace('_', ' ')}"
        + ("" if vote.is_released else ", of earlier bytes than were released")
        for vote in review.votes
    ]
    if review.others:
        says.append(f"files that were not released: {review.others}")
    comments = [f"{target}-comment-{number}" for number in range(1, len(review.comments) + 1)]
    agent = ref(_person(facts, review.checker))
    yield _assess(
        target,
        "DisclosureCheck",
        f"review by an output checker, turn {review.turn}",
        failed=not review.votes or any(vote.vote != "APPROVED" for vote in review.votes),
        agent=agent,
        endTime=review.at,
        object=files,
        instrument=ref(POLICY),
        description="; ".join(says),
        result=refs(comments) or None,
    )
    for comment, text in zip(comments, review.comments, strict=True):
        yield {"@id": comment, "@type": "Comment", "name": "public comment", "text": text, "author": agent}


def _writing(facts: CrateFacts) -> Iterator[Entity]:
    yield {
        "@id": "#bag",
        "@type": "UpdateAction",
        "additionalType": ref(SHP + "GenerateCheckValue"),
        "name": "the bag was written, with a SHA-512 of each file",
        "agent": ref(CARREL),
        "endTime": facts.made_at,
        "object": ref("./"),
        "instrument": ref(CARREL),
        "actionStatus": COMPLETED,
    }
