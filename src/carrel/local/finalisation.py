"""End of an attempt: judge what it left, and make outputs, log, manifest and record visible together.

Whatever matched is published, also of a failed action: here the outputs are the researcher's own (contract).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from carrel.executors.base import Inspection
from carrel.jobs.outcomes import results_to_outcome
from carrel.jobs.statuses import StatusCode
from carrel.local.attempt import LocalAttempt, now
from carrel.local.errors import LocalError
from carrel.local.gitignore import find_exposed, ignore_outputs
from carrel.local.records import ActionRecord, record_path, to_bytes
from carrel.messages import manifest as manifest_format
from carrel.outputs import logs, manifest
from carrel.outputs.diagnosis import notes_on, why_not_started
from carrel.outputs.judgement import EndedJob, Judgement, disclosure_notes, judge
from carrel.outputs.level4 import HIGHLY_SENSITIVE, MINIMALLY_SENSITIVE, GateLimits
from carrel.outputs.outcome import Ending
from carrel.outputs.publication import Publication
from carrel.outputs.staged_outputs import OutputOrigin, record_of, stage_output
from carrel.outputs.targets import PublishConflict, StorageNotWritable
from carrel.outputs.walk import walk_job
from carrel.project.patterns import is_reserved
from carrel.telemetry import faults
from carrel.units.beneath import open_beneath
from carrel.units.ignored import NAME as GITIGNORE

MAX_LOG_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptResult:
    """What the attempt comes to, for the record, the log and the terminal. `excluded`: path -> reason."""

    code: StatusCode
    message: str
    log_message: str
    """The log's words: as on the server they name files, and leave a plain exit code to speak for itself."""
    hint: str
    judgement: Judgement
    outputs: Mapping[str, str]
    excluded: Mapping[str, str]
    notes: tuple[str, ...]
    """The runtime's (which limits it could keep, and how), and ours."""


def finalise(attempt: LocalAttempt, inspection: Inspection) -> ActionRecord:
    """Publish the ended attempt and return its record; `OSError` when it cannot be: then nothing has changed."""
    result = _judge(attempt, inspection)
    while True:
        record = _record(attempt, inspection, result)
        try:
            _publish(attempt, record, result)
        except (PublishConflict, StorageNotWritable) as conflict:
            if not result.outputs:
                raise OSError(str(conflict)) from conflict
            message = f"The outputs cannot be written: {conflict}"
            result = replace(
                result,
                code=StatusCode.JOB_ERROR,
                message=message,
                log_message=message,
                hint="",
                outputs={},
                excluded={},
            )
            continue
        return record


def _judge(attempt: LocalAttempt, inspection: Inspection) -> AttemptResult:
    listing = walk_job(attempt.workspace, lambda path: is_reserved(path) or Path(path).name == GITIGNORE, attempt.check)
    unreadable_list = ""
    try:
        limits = GateLimits(disclosure=attempt.context.settings.disclosure_policy)
    except LocalError as error:
        limits, unreadable_list = GateLimits(), str(error)
    job = EndedJob(
        workspace=attempt.workspace,
        output_spec=attempt.action.outputs.flat(),
        placed=attempt.placed,
        since_ns=(attempt.folder / "prepared").stat().st_mtime_ns,
        limits=limits,
        ungated_levels=(HIGHLY_SENSITIVE, MINIMALLY_SENSITIVE),
        check=attempt.check,
    )
    ending = Ending(
        exit_code=inspection.exit_code,
        oom_killed=inspection.oom_killed,
        memory_limit=attempt.context.limits(attempt.action).memory,
        timeout_seconds=attempt.action.resources.timeout if attempt.timed_out else None,
    )
    judgement = judge(job, ending, listing)
    outputs, outcome = judgement.matched.outputs, judgement.outcome
    notes = notes_on(inspection, attempt.workspace, attempt.args)
    if not unreadable_list:
        notes += disclosure_notes(job, outputs)
    elif job.gated(outputs):
        notes += (f"Columns that may identify people: not checked: {unreadable_list}",)
    if judgement.too_much and inspection.exit_code == 0:
        code, message, log_message, hint = StatusCode.JOB_ERROR, judgement.too_much, judgement.too_much, ""
    else:
        code, message = _status(attempt, inspection, judgement)
        log_message, hint = outcome.message or "", outcome.hint
        notes += judgement.notes
    return AttemptResult(
        code=code,
        message=message,
        log_message=log_message,
        hint=hint,
        judgement=judgement,
        outputs=outputs,
        excluded={path: exclusion.reason for path, exclusion in judgement.exclusions.items()},
        notes=notes,
    )


def _status(attempt: LocalAttempt, inspection: Inspection, judgement: Judgement) -> tuple[StatusCode, str]:
    """The server's status; its words too, but where the server must say less than a researcher may know here."""
    outcome = judgement.outcome
    if attempt.timed_out:
        return StatusCode.TIMED_OUT, outcome.message or ""
    results = {
        "exit_code": inspection.exit_code,
        "status_message": outcome.message,
        "hint": outcome.hint,
        "has_unmatched_patterns": bool(judgement.matched.unmatched_patterns),
        "has_level4_excluded_files": bool(outcome.excluded),
        "error": None,
    }
    server = results_to_outcome(results, requires_db=attempt.action.is_database_action)
    if inspection.exit_code == 0:
        return server.code, outcome.message or server.message
    return server.code, server.message


def _record(attempt: LocalAttempt, inspection: Inspection, result: AttemptResult) -> ActionRecord:
    context, action = attempt.context, attempt.action
    return ActionRecord(
        id=attempt.id,
        request_id=context.request_id,
        action=action.action_id,
        backend=context.backend,
        state="succeeded" if result.code == StatusCode.SUCCEEDED else "failed",
        status_code=str(result.code),
        status_message=result.message,
        hint=result.hint or why_not_started(inspection.exit_code, attempt.workspace, attempt.args),
        exit_code=inspection.exit_code,
        created_at=attempt.created_at.isoformat(),
        started_at=attempt.started_at.isoformat(),
        completed_at=now().isoformat(),
        run=action.run_command,
        image=attempt.image,
        image_id=inspection.image_id or attempt.image_id,
        executor=context.executor.capabilities.name,
        commit=context.version.commit,
        dirty=context.version.dirty,
        code_hash=attempt.code_hash,
        inputs=attempt.input_hashes,
        outputs=dict(result.outputs),
        excluded=dict(result.excluded),
        memory_peak=attempt.memory_peak,
    )


def _publish(attempt: LocalAttempt, record: ActionRecord, result: AttemptResult) -> None:
    study = attempt.context.study
    publication = Publication(attempt.id, [study.folder], attempt.check)
    origin = OutputOrigin(job_id=record.id, job_request=record.request_id, action=record.action, commit=record.commit)
    try:
        entries = []
        for path, level in record.outputs.items():
            source = open_beneath(attempt.workspace, path)
            output = stage_output(publication, source, study.folder / path, path, level, link=True)
            entries.append(record_of(output, origin, record.excluded.get(path)))
        log = publication.new_file(study.log(record.action))
        copy_lines = partial(attempt.context.executor.logs, attempt.name)
        logs.write_log(log, copy_lines, MAX_LOG_BYTES, _summary(attempt, record, result))
        with attempt.context.publishing:
            _ignore(study.folder, record.outputs)
            present = manifest.read(study.metadata / "manifest.json", study.name)
            after = manifest.updated(present, record.action, entries, attempt.context.all_actions)
            publication.add_bytes(manifest_format.dumps(after), study.metadata / "manifest.json")
            publication.add_bytes(to_bytes(record), record_path(study, record.action))
            publication.commit()
            faults.point("local.published")
            publication.finish()
    except BaseException:
        publication.settle()
        raise
    for path in record.outputs:
        attempt.detail(StatusCode.FINALIZING, f"Extracting output file: {path}")
    for path in find_exposed(study.folder, record.outputs):
        attempt.tell(StatusCode.FINALIZING, f"`git add` would take {path}: name it in the .gitignore beside it")
    attempt.detail(StatusCode.FINALIZING, f"Logs written to: {study.log(record.action)}")


def _ignore(study: Path, outputs: Mapping[str, str]) -> None:
    try:
        ignore_outputs(study, outputs)
    except OSError as error:
        folder = Path(error.filename or study).parent  # of the .gitignore, or of a folder to be made
        where = "the study's folder" if folder == study else f"{folder.relative_to(study)}/"
        raise StorageNotWritable(
            f"{where} cannot be written by you ({(error.strerror or '').lower()}). Give yourself the right to write"
            " there (chmod, chown), or move it away"
        ) from error


def _summary(attempt: LocalAttempt, record: ActionRecord, result: AttemptResult) -> str:
    fields = {
        "job_definition_id": record.id,
        "request_id": record.request_id,
        "commit": record.commit,
        "docker_image_id": record.image_id,
        "exit_code": "" if record.exit_code is None else str(record.exit_code),
        "created_at": record.created_at,
        "completed_at": record.completed_at,
        "status_message": result.log_message,
        "hint": record.hint,
    }
    sections = logs.sections(
        refused=result.judgement.refused,
        unchanged=result.judgement.matched.unchanged,
        not_copied=attempt.skipped,
        notes=result.notes,
    )
    return logs.summary(fields, record.outputs, record.excluded, sections)
