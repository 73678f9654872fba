"""The first step of an attempt: its folder, with the study's code and the outputs it needs."""

import contextlib
import errno
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carrel.agent import databases, metadata
from carrel.agent.context import AgentContext
from carrel.agent.errors import InputMissing, InputReplaced
from carrel.agent.folder import AttemptFolder, Prepared
from carrel.executors.base import WORKSPACE, Mount, ResourceLimits, RunSpec
from carrel.messages.tasks import JobDefinition
from carrel.outputs import manifest
from carrel.outputs.errors import UserError
from carrel.outputs.inputs import place_file
from carrel.outputs.study_files import hidden_from_jobs
from carrel.outputs.unchanged_files import highest_level, note_placed
from carrel.project import ProjectValidationError, action_names, get_all_output_patterns_from_project_file
from carrel.repos import FileIsLink, FileNotInRepo, FileTooLarge, GivenUp
from carrel.telemetry.faults import point
from carrel.units.sizes import parse_size as parse_memory

logger = logging.getLogger(__name__)
PROJECT_FILE = "project.yaml"
_IN_THE_WAY = {errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EEXIST}


def prepare(
    context: AgentContext, job: JobDefinition, folder: AttemptFolder, given_up: Callable[[], bool] = lambda: False
) -> Prepared:
    """Make the folder ready to run. Done again from the start after a crash: what counts is the last file written.

    Raises GivenUp soon after `given_up()` is true; UserError and GitError for what the study or request got wrong;
    ExecutorError, RepoInfrastructureError, InfrastructureFault and OSError for what is ours.
    """
    context.storage.check_not_archived(job.workspace)
    folder.empty_workspace()
    point("prepare.emptied")
    image_id = context.executor.prepare_image(context.images.pull_reference(job.image), job.image_sha)
    project_file = _read_project_file(context, job, given_up)
    _check_out(context, job, folder.workspace, project_file, given_up)
    point("prepare.checked_out")
    inputs = place_inputs(context, job, folder, given_up)
    access = databases.grant_access(job, context.settings, folder.pins)
    point("prepare.placed")
    prepared = Prepared(
        image_id=image_id,
        bound={path: str(source) for path, source in inputs.shown.items()},
        study_actions=action_names(project_file) if project_file else None,
        database_version=access.version,
        placed=note_placed(folder.workspace, job.output_spec, inputs.levels, inputs.hashes, inputs.shown),
    )
    folder.write_prepared(prepared)
    return prepared


def _check_out(
    context: AgentContext, job: JobDefinition, workspace: Path, project_file: bytes | None, given_up: Callable[[], bool]
) -> None:
    """The code: the study's own without its outputs, as `carrel run` copies it, or a reusable action's as it is."""
    study, mirrors = job.study, context.mirrors
    is_own = (study.git_repo_url, study.commit) == (job.repo_url, job.commit)
    patterns = list(job.output_spec)
    if is_own and project_file:
        # Of all its actions; none of a file that is not valid, which another controller may have accepted.
        with contextlib.suppress(ProjectValidationError):
            patterns += get_all_output_patterns_from_project_file(project_file)
    hidden = hidden_from_jobs(patterns) if is_own else (lambda path: False)
    mirrors.checkout(job.repo_url, job.commit, workspace, mirrors.deadline(given_up), hidden)
    if study.branch:
        mirrors.check_commit_on_branch(study.git_repo_url, study.commit, study.branch, mirrors.deadline(given_up))


@dataclass(frozen=True, slots=True)
class Inputs:
    """What was put into a job's folder, by path: the level that its maker gave it, its SHA-256 as the manifest tells
    it, and for those too large to copy, the file that is shown in its place."""

    levels: Mapping[str, str]
    hashes: Mapping[str, str]
    shown: Mapping[str, Path]


def place_inputs(
    context: AgentContext, job: JobDefinition, folder: AttemptFolder, given_up: Callable[[], bool] = lambda: False
) -> Inputs:
    """Put every output of the needed jobs into the folder.

    Raises GivenUp soon after `given_up()` is true; InputMissing with the needed action's name when a file, or the whole
    record of a job, is gone; InputReplaced when another job has replaced it.
    """
    store = context.storage.workspace(job.workspace)
    mounts: list[Mount] = []
    records = [_read_record(context, job_id) for job_id in job.input_job_ids]
    for record in records:
        mounts += _place_outputs(record, store, folder, given_up)
    point("prepare.copied")
    present = _check_who_made_them(context, job, records) if records else {}
    levels: dict[str, str] = {}
    for record in records:
        for path, level in record["outputs"].items():
            levels[path] = highest_level([level, levels.get(path, "")])
    hashes = {path: str(present[path].get("content_hash") or "") for path in levels.keys() & present.keys()}
    return Inputs(levels, hashes, {mount.target.removeprefix(f"{WORKSPACE}/"): mount.source for mount in mounts})


def _check_who_made_them(
    context: AgentContext, job: JobDefinition, records: Iterable[dict[str, Any]]
) -> Mapping[str, Any]:
    """What was copied is what these jobs made, if the manifest says so now; the outputs that it lists.

    Under the workspace's lock no publication is half done, and one that was done meanwhile shows.
    """
    with context.locks.of(job.workspace):
        present = manifest.read(context.storage.manifest(job.workspace), job.workspace)["outputs"]
    for record in records:
        for path in record["outputs"]:
            entry = present.get(path) or {}
            maker = entry.get("job_id")
            if maker and maker not in job.input_job_ids:
                raise _replaced(path, entry, record)
    outputs: Mapping[str, Any] = present
    return outputs


def _replaced(path: str, entry: dict[str, Any], record: dict[str, Any]) -> UserError:
    by = f"{path} of job {record['job_definition_id']} was replaced by job {entry['job_id']}"
    if entry.get("action") == record.get("action"):
        return InputReplaced(f"{by}, which ran the same action later. Run this action again", record.get("action"))
    # Two actions make the same file: this one's are back only when its own action runs again.
    return InputMissing(
        f"{by} of action {entry.get('action')}, which makes a file of that name too", record.get("action")
    )


def _read_record(context: AgentContext, job_id: str) -> dict[str, Any]:
    folder = context.storage.find_job_folder(job_id)
    record = metadata.read(folder) if folder else None
    if record is None:
        raise InputMissing(f"There is no record of job {job_id}, whose outputs are needed", None)
    return record


def _place_outputs(
    record: dict[str, Any], store: Path, folder: AttemptFolder, given_up: Callable[[], bool]
) -> Iterable[Mount]:
    def check() -> None:
        if given_up():
            raise GivenUp

    for path in record["outputs"]:
        try:
            if not record.get("published", True):
                raise FileNotFoundError
            mount = place_file(store, path, folder.workspace, folder.pins, check)
        except (FileNotFoundError, ValueError):
            raise InputMissing(
                f"The file {path} doesn't exist in workspace {store.name} as requested for job"
                f" {record['job_definition_id']}",
                record.get("action"),
            ) from None
        except OSError as error:
            if error.errno in _IN_THE_WAY:  # what stands where an input's folder must be is the study's fault
                raise UserError(
                    f"{path} is needed, but a file or symbolic link of the study's code is in its way"
                ) from error
            raise
        if mount:
            yield mount


def _read_project_file(context: AgentContext, job: JobDefinition, given_up: Callable[[], bool]) -> bytes | None:
    """The text of the study's project.yaml; None when there is none to be read: what is known of actions then stays."""
    study, deadline = job.study, context.mirrors.deadline(given_up)
    try:
        return context.mirrors.read_file(study.git_repo_url, study.commit, PROJECT_FILE, deadline)
    except (FileNotInRepo, FileIsLink, FileTooLarge):
        return None


def run_spec(
    context: AgentContext, job: JobDefinition, name: str, folder: AttemptFolder, prepared: Prepared
) -> RunSpec:
    """What the executor is to start."""
    access = databases.grant_access(job, context.settings, folder.pins, prepared.database_version)
    bound = (Mount(Path(source), f"{WORKSPACE}/{path}") for path, source in (prepared.bound or {}).items())
    mounts = (*bound, *access.mounts)
    return RunSpec(
        name=name,
        image=context.images.pull_reference(job.image),
        args=tuple(job.args),
        workspace=context.host_path(folder.workspace),
        image_sha=job.image_sha,
        env={**job.env, **access.env},
        limits=ResourceLimits(cpus=job.cpu_count or None, memory=memory_limit_of(job.memory_limit)),
        mounts=tuple(Mount(context.host_path(mount.source), mount.target) for mount in mounts),
        network=access.network,
        labels={"workspace": job.workspace, "action": job.action},
    )


def memory_limit_of(text: str | None) -> int | None:
    """A task's limit of memory in bytes; None for none. Raises ValueError for what is no size."""
    return parse_memory(text) if text else None
