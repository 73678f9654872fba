"""A job server after years: 2,000 workspaces, 50,000 requests, 1,000,000 jobs, through Django to any database."""

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction

from carrel.jobserver.models import (
    Backend,
    BackendMembership,
    Job,
    JobRequest,
    Project,
    ProjectBackend,
    ProjectDefinition,
    ProjectMembership,
    Role,
    RoleAssignment,
    RunGroup,
    User,
    Workspace,
)

BACKENDS = ("north", "south", "east", "west")
PEOPLE = 200
PROJECTS = 200
WORKSPACES = 2_000
RUNS = 25_000
REQUESTS = 50_000
JOBS = 1_000_000
ACTIONS = JOBS // REQUESTS
START = datetime(2022, 1, 1, tzinfo=UTC)
BETWEEN_RUNS = timedelta(minutes=100)
METRICS = json.dumps({"cpu_mean": 93.1, "cpu_peak": 180.4, "mem_mb_mean": 812.4, "mem_mb_peak": 1200.7})
CHUNK = 20_000
ANN = "person0"
"""Somebody who may do everything in her projects, and staff besides."""


def seed(scale: float = 1.0) -> None:
    """Fill an empty, migrated database. `scale` 0.01 makes a hundredth of the runs, requests and jobs."""
    people = [
        User(username=f"person{i}", fullname=f"Person {i}", email=f"person{i}@example.org") for i in range(PEOPLE)
    ]
    for user in people:
        user.set_unusable_password()
    User.objects.bulk_create(people)
    people = list(User.objects.order_by("pk"))
    backends = [Backend(slug=slug, name=slug, is_listed=True, position=i) for i, slug in enumerate(BACKENDS)]
    Backend.objects.bulk_create(backends)
    Project.objects.bulk_create(
        Project(slug=f"project-{i}", name=f"Project {i}", number=str(i + 1)) for i in range(PROJECTS)
    )
    projects = list(Project.objects.order_by("pk"))
    roles = Role.objects.filter(name__in=("ProjectDeveloper", "ProjectLead"))
    members = [(people[i % PEOPLE], project) for i, project in enumerate(projects)]
    members += [(people[0], project) for project in projects[1:10]]
    ProjectMembership.objects.bulk_create(ProjectMembership(user=user, project=project) for user, project in members)
    RoleAssignment.objects.bulk_create(
        RoleAssignment(user=user, role=role, project=project) for user, project in members for role in roles
    )
    RoleAssignment.objects.bulk_create(
        RoleAssignment(user=people[0], role=Role.objects.get(name=name))
        for name in ("StaffAreaAdministrator", "ServiceAdministrator", "GovernanceLead")
    )
    BackendMembership.objects.bulk_create(
        BackendMembership(user=user, backend=backend) for user in people for backend in backends
    )
    ProjectBackend.objects.bulk_create(
        ProjectBackend(project=project, backend=backend) for project in projects for backend in backends
    )
    Workspace.objects.bulk_create(
        Workspace(
            project=projects[i % PROJECTS],
            name=f"workspace-{i}",
            repo_url=f"https://git.example.org/study-{i}",
            branch="main",
            created_by=people[i % PEOPLE],
        )
        for i in range(WORKSPACES)
    )
    definition = ProjectDefinition.objects.create(digest="0" * 64, text=project_yaml(ACTIONS))
    workspaces = list(Workspace.objects.order_by("pk").values_list("pk", "created_by_id"))
    backend_ids = list(Backend.objects.order_by("pk").values_list("pk", flat=True))
    runs = int(RUNS * scale)
    insert(RunGroup, run_rows(runs, workspaces, definition.pk))
    run_ids = list(RunGroup.objects.order_by("pk").values_list("pk", "workspace_id", "created_by_id", "created_at"))
    insert(JobRequest, request_rows(run_ids, backend_ids))
    requests = JobRequest.objects.order_by("pk").values_list("pk", "workspace_id", "backend_id", "created_at", "status")
    insert(Job, job_rows(list(requests)))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def project_yaml(actions: int) -> str:
    """A chain of actions, each needing the one before."""
    lines = ["version: '4.0'", "actions:"]
    for i in range(actions):
        lines += [f"  action{i}:", f"    run: python:v2 python analysis/step{i}.py"]
        lines += [f"    needs: [action{i - 1}]"] if i else []
        lines += ["    outputs:", "      moderately_sensitive:", f"        table: output/table{i}.csv"]
    return "\n".join(lines) + "\n"


def run_rows(count: int, workspaces: Sequence[tuple[int, int]], definition: str) -> Iterator[dict[str, Any]]:
    for i in range(count):
        workspace, person = workspaces[i % len(workspaces)]
        yield {
            "workspace_id": workspace,
            "commit": f"{i:040x}",
            "commit_subject": f"Change {i}",
            "branch": "main",
            "definition_id": definition,
            "codelists_ok": True,
            "database_name": "default",
            "notify": "end",
            "submission_key": f"seed-{i}",
            "created_at": START + i * BETWEEN_RUNS,
            "created_by_id": person,
        }


def request_rows(runs: Iterable[tuple[int, int, int, datetime]], backends: Sequence[int]) -> Iterator[dict[str, Any]]:
    per_run = REQUESTS // RUNS
    for i, (run, workspace, person, created) in enumerate(runs):
        for n in range(per_run):
            status = "failed" if (i + n) % 7 == 0 else "succeeded"
            yield {
                "identifier": f"r{i * per_run + n:015d}",
                "run_id": run,
                "backend_id": backends[(i + n) % len(backends)],
                "workspace_id": workspace,
                "requested_actions": '["run_all"]',
                "force_run_dependencies": False,
                "cancelled_actions": "[]",
                "reused": "{}",
                "status": status,
                "status_message": "",
                "created_at": created,
                "created_by_id": person,
                "updated_at": created + timedelta(minutes=40),
                "completed_at": created + timedelta(minutes=40),
                "sent_at": created,
                "send_attempts": 1,
                "send_error": "",
            }


def job_rows(
    requests: Iterable[tuple[int, int, int, datetime, str]], actions: int = ACTIONS, letter: str = "j"
) -> Iterator[dict[str, Any]]:
    """A job for each action of each request. `letter`: what their identifiers begin with."""
    for i, (request, workspace, backend, created, request_status) in enumerate(requests):
        for n in range(actions):
            failed = request_status == "failed" and n == actions - 1
            begin = created + timedelta(minutes=2 * n)
            yield {
                "identifier": f"{letter}{i * actions + n:0{16 - len(letter)}d}",
                "request_id": request,
                "workspace_id": workspace,
                "backend_id": backend,
                "action": f"action{n}",
                "run_command": f"python:v2 python analysis/step{n}.py",
                "requires_db": n == 0,
                "status": "failed" if failed else "succeeded",
                "status_code": "nonzero_exit" if failed else "succeeded",
                "status_message": "",
                "created_at": created,
                "updated_at": begin + timedelta(minutes=1),
                "started_at": begin,
                "completed_at": begin + timedelta(minutes=1),
                "metrics": METRICS,
                "trace_context": "{}",
            }


def insert(model: Any, rows: Iterator[dict[str, Any]]) -> None:
    """Write rows by column, in long transactions; a column that they leave out gets its model's default."""
    quote = connection.ops.quote_name
    while chunk := list(itertools.islice(rows, CHUNK)):
        missing = [
            field for field in model._meta.concrete_fields if field.column not in chunk[0] and not field.primary_key
        ]
        defaults = {field.column: field.get_db_prep_save(field.get_default(), connection) for field in missing}
        columns = [*chunk[0], *defaults]
        statement = (
            f"INSERT INTO {quote(model._meta.db_table)} ({', '.join(map(quote, columns))}) "
            f"VALUES ({', '.join(['%s'] * len(columns))})"
        )
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(statement, [[*map(_adapted, row.values()), *defaults.values()] for row in chunk])


def _adapted(value: Any) -> Any:
    return connection.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value
