"""What surrounds the showcase: organisations, trainings, catalogues, a day of each backend, usage, the audit log."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import F
from tests.support.jobserver import add_backend, add_person, add_project, add_request, add_run, add_workspace
from tests.support.showcase import Showcase

from carrel.jobserver.models import (
    Backend,
    BackendHour,
    CatalogueVersion,
    JobRequest,
    Organisation,
    Requirement,
    Role,
)
from carrel.jobserver.service import backends, notices, people, projects, publications, releases, usage
from carrel.jobserver.service.tokens import create_backend_token
from carrel.messages.catalogue import Catalogue
from carrel.messages.releases import FileList

WIDE_COLUMNS = (
    "patient_id", "record_number", "visits", "coinsurance_percent", "deductible_plan", "physical_limitation",
    "chronic_diseases", "health",
)  # fmt: skip
PERSON_COLUMNS = (
    "log_coinsurance", "deductible_plan", "physical_limitation", "chronic_diseases", "health_code", "log_incentive",
)  # fmt: skip
"""What the example study queries, in north and in south."""


def catalogue_of(backend: str, tables: dict[str, dict[str, str]], **fields: Any) -> dict[str, Any]:
    """A catalogue's document: tables by name, of columns with their types, in one data set."""
    columns = [
        {
            "name": name,
            "description": f"{name.replace('_', ' ').capitalize()} of each row.",
            "rows": 12_300,
            "changed": "2026-11-22",
            "versions": [{"version": "42", "date": "2026-11-22"}, {"version": "41", "date": "2026-11-15"}],
            "columns": [
                {"name": column, "type": kind, "description": column.replace("_", " ").capitalize()}
                for column, kind in types.items()
            ],
        }
        for name, types in tables.items()
    ]
    data_set = {"name": "primary-care", "title": "Primary care", "description": "What practices write down."}
    document = {
        "format": 1,
        "backend": backend,
        "built": "2026-11-29T05:06:20Z",
        "databases": [{"name": "default", "dialect": "duckdb", "data_sets": [{**data_set, "tables": columns}]}],
        **fields,
    }
    return Catalogue.model_validate(document).model_dump(mode="json")


def add_catalogue(backend: Backend, document: dict[str, Any], **fields: Any) -> CatalogueVersion:
    """A version of the backend's catalogue."""
    digest = hashlib.sha256(json.dumps(document).encode()).hexdigest()
    return CatalogueVersion.objects.create(backend=backend, document=document, digest=digest, **fields)


def add_site(showcase: Showcase, now: datetime | None = None) -> None:
    """Add it to an existing showcase."""
    now = now or datetime.now(UTC)
    university = people.create_organisation(
        {"name": "University of Leiford", "slug": "leiford", "description": "Health economics and statistics."}, "setup"
    )
    hospital = Organisation.objects.create(name="St Anne's Hospital", slug="st-annes")
    projects.set_organisations(showcase.project, [university, hospital], university, showcase.staff)
    training = people.create_requirement(
        {"slug": "safe-researcher", "name": "Safe researcher training", "kind": "training", "valid_days": 365}, "setup"
    )
    Requirement.objects.create(slug="data-agreement", name="Data access agreement", kind="agreement")
    people.record_requirement(
        showcase.researcher,
        training,
        showcase.staff,
        obtained_on=now.date() - timedelta(days=350),
        evidence="Certificate 4711",
    )
    people.edit_role(Role.objects.get(name="OutputChecker"), {}, [training], showcase.staff)
    people.assign_role(
        showcase.researcher, Role.objects.get(name="OutputChecker"), showcase.staff, backend=showcase.north
    )
    projects.grant_data(showcase.project, "dataset_permissions", "icnarc", showcase.staff)
    projects.edit_project(showcase.project, {"status_description": "The first paper is under review."}, showcase.lead)
    for slug, name, days in (("air-and-asthma", "Air and asthma", 12), ("falls-at-home", "Falls at home", -20)):
        other = add_project(
            slug, showcase.north, name=name, purpose=f"{name}: what can be learned from routine records?",
            ends_on=now.date() + timedelta(days=days), number=str(140 + days),
        )  # fmt: skip
        member = add_person("", "ProjectLead", project=other, fullname=f"Dr {name.split()[0]}")
        run = add_run(add_workspace(other, slug), member, created_at=now - timedelta(hours=3))
        add_request(run, showcase.north, status="succeeded", created_at=run.created_at)
    tables = {
        "appointments": {"patient_id": "bigint", "booked_on": "date", "status": "varchar"},
        "patients": {"patient_id": "bigint", "date_of_birth": "date", "sex": "varchar", "practice_id": "integer"},
        "person_years": dict.fromkeys(WIDE_COLUMNS, "integer"),
    }
    words = {
        "description": "Records of general practices.",
        "access": "Apply to the data access committee of the network.",
        "contact": "data@example.org",
        "dummy_data": "Made from the types of the tables; no real person is in it.",
    }
    add_catalogue(showcase.north, catalogue_of("north", tables, **words), received_at=now - timedelta(days=20))
    tables["payments"] = {"patient_id": "bigint", "paid_on": "date", "amount": "decimal(10,2)"}
    tables["patients"]["deprivation"] = "smallint"
    add_catalogue(showcase.north, catalogue_of("north", tables, **words))
    del tables["payments"]
    del tables["person_years"]
    tables["patients"] = {"patient_id": "varchar", "date_of_birth": "date", "sex": "varchar"}
    tables["patients"] |= dict.fromkeys(PERSON_COLUMNS, "double")
    tables["visits"] = {"patient_id": "varchar", "record_number": "integer", "md_visits": "integer"}
    add_catalogue(showcase.south, catalogue_of("south", tables, **words))
    showcase.north.details = {"agent version": "0.1.0", "disk": "412 GB free of 2.0 TB", "database": "PostgreSQL 16"}
    showcase.north.save(update_fields=["details"])
    whole = now.replace(minute=0, second=0, microsecond=0)
    for back in range(25):
        hour = whole - timedelta(hours=back)
        for backend in (showcase.north, showcase.south, showcase.west):
            counts = {"asked": 240, "up": 240}
            if backend == showcase.west and back < 4:
                counts = {"asked": 240, "paused": 240}
            if backend == showcase.south and back in (9, 10):
                counts = {"asked": 240, "up": 0}
            if backend == showcase.north and back == 15:
                counts = {"asked": 240, "maintenance": 240}
            BackendHour.objects.create(backend=backend, hour=hour, **counts)
    create_backend_token(showcase.north, showcase.staff)
    backends.add_backend_member(
        add_backend("test-bench", position=9, last_seen_at=None, is_listed=False), showcase.staff, "setup"
    )
    notices.create_alert(
        {"title": "West is paused", "message": "Its database moves on Thursday.", "level": "warning"}, showcase.staff
    )
    add_releases(showcase)
    ended = JobRequest.objects.filter(status__in=["succeeded", "failed"], completed_at=None)
    ended.update(completed_at=F("created_at") + timedelta(minutes=9))
    usage.rebuild()


def add_releases(showcase: Showcase) -> None:
    """Two tables released from each of two backends, one of them twice; one is public, another waits for a decision."""
    files = []
    rounds = [(showcase.north, 1290), (showcase.south, 1290), (showcase.north, 1295)]
    for backend, visits in rounds:
        names = ("visits_by_plan", "model") if visits == 1290 else ("visits_by_plan",)
        contents = {name: f"plan,visits\nfree,940\n{backend.slug},{visits}\n".encode() for name in names}
        sent = FileList.model_validate(
            {
                "files": [
                    {
                        "name": f"output/{name}.csv",
                        "size": len(text),
                        "sha256": hashlib.sha256(text).hexdigest(),
                        "date": "2026-11-28T09:00:00Z",
                        "metadata": {"action": name, "commit": showcase.commit},
                    }
                    for name, text in contents.items()
                ]
            }
        )
        release, _ = releases.create_release(
            showcase.workspace, backend, showcase.researcher, sent, showcase.researcher
        )
        for name, text in contents.items():
            files.append(
                releases.store_file(
                    release, backend, f"output/{name}.csv", [text], showcase.researcher, showcase.researcher
                )
            )
    public = publications.draft(showcase.workspace, [files[0].pk], showcase.lead, showcase.lead)
    publications.approve(public, showcase.staff, showcase.staff)
    publications.draft(showcase.workspace, [files[1].pk, files[3].pk], showcase.researcher, showcase.researcher)
