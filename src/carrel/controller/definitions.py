"""What an agent is told to do: definitions of tasks (spec: controller.md section 2.1). Reads rows, writes none."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from carrel.controller import images, settings
from carrel.controller.models import ImageDigest, Job
from carrel.messages.tasks import JobDefinition, StudyCommit
from carrel.project import LEVEL4_FILE_TYPES
from carrel.units.sizes import smaller_size

DATABASE_UTILS = "tpp-database-utils:latest"
"""The image that regular tasks ask the database with."""


def image_and_args(run_command: str) -> tuple[str, list[str]]:
    """`"python:v2 python a.py"` -> `("<DOCKER_REGISTRY>/python:v2", ["python", "a.py"])`."""
    image, *args = shlex.split(run_command)
    return images.full_name(image), args


def known_digest(image: str, backend: str | None = None) -> str | None:
    """The digest remembered of an image; None when no registry has told one: the agent then takes what it has.

    None too for a backend with images of its own: what a registry says of that name is another image.
    """
    if backend is not None and not images.from_registry(backend):
        return None
    digest: str | None = ImageDigest.objects.filter(image=image).values_list("digest", flat=True).first()
    return digest


def job_definition(job: Job, task_id: str, input_job_ids: list[str], image_sha: str | None) -> dict[str, Any]:
    """The `definition` of a runjob or canceljob task: exactly the contract's keys."""
    common, own = settings.get(), settings.get().backend(job.backend)
    image, args = image_and_args(job.run_command)
    rap = job.rap
    return JobDefinition(
        id=job.id,
        rap_id=rap.id,
        task_id=task_id,
        repo_url=job.repo_url,
        commit=job.commit,
        study=StudyCommit(git_repo_url=rap.repo_url, commit=rap.commit, branch=rap.branch),
        workspace=job.workspace,
        action=job.action,
        created_at=int(job.created_at.timestamp()),
        user=rap.created_by,
        image=image,
        image_sha=image_sha,
        args=args,
        env=environment(job, image.rsplit("/", 1)[-1]),
        input_job_ids=input_job_ids,
        output_spec=job.output_spec,
        allow_database_access=job.requires_db,
        database_name=job.database_name,
        cpu_count=min(job.cpu_count or own.job_cpu_count, own.max_job_cpu_count),
        memory_limit=smaller_size(job.memory_limit or own.job_memory_limit, own.max_job_memory_limit),
        level4_max_filesize=common.level4_max_filesize,
        level4_max_csv_rows=common.level4_max_csv_rows,
        level4_file_types=list(LEVEL4_FILE_TYPES),
    ).model_dump(mode="json")


def environment(job: Job, image: str) -> dict[str, str]:
    """Environment of the job's process. `image` is the last part of its reference, `stata-mp:latest`."""
    common = settings.get()
    env = {"OPENSAFELY_BACKEND": job.backend}
    if image.startswith("stata-mp"):
        env["STATA_LICENSE"] = common.stata_license
    if job.requires_db:
        env["EHRQL_PERMISSIONS"] = json.dumps(permissions(job.analysis_scope))
    if job.workspace in common.workspace_ehrql_max_join_count:
        env["EHRQL_MAX_JOIN_COUNT"] = str(common.workspace_ehrql_max_join_count[job.workspace])
    return env


def permissions(analysis_scope: Mapping[str, Any] | None) -> list[str]:
    """All values of the analysis scope, in one list, each once, in the order given."""
    values = [value for group in (analysis_scope or {}).values() for value in group or ()]
    return list(dict.fromkeys(values))


def attributes(job: Job) -> dict[str, str]:
    """The `attributes` of a job's task: for telemetry on the agent's side."""
    return {"user": job.rap.created_by, "project": job.rap.project, "orgs": ",".join(job.rap.orgs)}


def _database_utils(backend: str) -> dict[str, Any]:
    image, _ = image_and_args(DATABASE_UTILS)
    return {"image": image, "image_sha": known_digest(image, backend)}


def dbstatus_definition(backend: str) -> dict[str, Any]:
    return {"database_name": "default", **_database_utils(backend)}


def dbdatacheck_definition(backend: str) -> dict[str, Any]:
    month = settings.get().data_check_hes_expected_activity_month
    return {"hes_expected_activity_month": month, **_database_utils(backend)}
