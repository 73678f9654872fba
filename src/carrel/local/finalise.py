"""End of an attempt: match the outputs, judge them, and make outputs, log, manifest and record visible together.

Whatever matched is published, also of a failed action: here the outputs are the researcher's own (contract).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from carrel.executors.base import Inspection
from carrel.jobs.outcomes import results_to_outcome
from carrel.jobs.statuses import StatusCode
from carrel.local.attempt import Attempt, now
from carrel.local.errors import LocalError
from carrel.local.ignoring import exposed, ignore_outputs
from carrel.local.records import Record, record_path, to_bytes
from carrel.outputs import logs, manifest
from carrel.outputs.csv_shape import shape_of_output
from carrel.outputs.diagnosis import notes_on, why_not_started
from carrel.outputs.level4 import MODERATELY_SENSITIVE, GateLimits, check_file, identifying_columns
from carrel.outputs.matching import MatchedOutputs, too_much, with_unfit
from carrel.outputs.outcome import AttemptOutcome, Ending, outcome_of
from carrel.outputs.publication import Publication
from carrel.outputs.staging import StagedFile
from carrel.outputs.targets import PublishConflict, StorageNotWritable
from carrel.outputs.unchanged_files import UNCHANGED, match_made
from carrel.outputs.walk import Listing, open_beneath, walk_job
from carrel.project.patterns import is_reserved
from carrel.telemetry import faults
from carrel.units.ignored import NAME as GITIGNORE

MAX_LOG_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the attempt comes to."""

    code: StatusCode
    message: str
    said: str
    """The log's words: as on the server they name files, and leave a plain exit code to speak for itself."""
    hint: str
    matched: MatchedOutputs
    excluded: Mapping[str, str]
    refused: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """The runtime's: which limits it could keep, and how."""


def finalise(attempt: Attempt, inspection: Inspection) -> Record:
    """Publish the ended attempt and return its record; `OSError` when it cannot be: then nothing has changed."""

    def is_ours(path: str) -> bool:
        return is_reserved(path) or Path(path).name == GITIGNORE

    listing = walk_job(attempt.workspace, is_ours, attempt.check)
    judgement = judge(attempt, inspection, listing)
    while True:
        record = _record(attempt, inspection, judgement)
        try:
            _publish(attempt, record, judgement)
        except (PublishConflict, StorageNotWritable) as conflict:
            judgement = _conflicted(judgement, conflict)
            continue
        return record


def judge(attempt: Attempt, inspection: Inspection, listing: Listing) -> Judgement:
    since = (attempt.folder / "prepared").stat().st_mtime_ns
    matched = match_made(
        attempt.action.outputs.flat(), listing.files, attempt.placed, attempt.workspace, since, attempt.check
    )
    matched = with_unfit(matched, listing)
    reason = too_much(listing, matched.outputs)
    matched = replace(matched, outputs={}) if reason else matched
    excluded = _gate(attempt, matched)
    ending = Ending(
        exit_code=inspection.exit_code,
        oom_killed=inspection.oom_killed,
        memory_limit=attempt.around.limits(attempt.action).memory,
        timeout_seconds=attempt.action.resources.timeout if attempt.timed_out else None,
    )
    outcome = outcome_of(ending, matched, excluded)
    refused = tuple(f"{refusal.path}  - {refusal.reason}" for refusal in listing.refused)
    code, message = _status(attempt, inspection, outcome, matched)
    said = outcome.message or ""
    notes = (*notes_on(inspection, attempt.workspace, attempt.args), *_identifying(attempt, matched))
    judgement = Judgement(code, message, said, outcome.hint, matched, excluded, refused, notes)
    if reason and inspection.exit_code == 0:
        return replace(judgement, code=StatusCode.JOB_ERROR, message=reason, said=reason, hint="")
    return replace(judgement, notes=(*notes, f"Nothing of what it made is kept: {reason}")) if reason else judgement


def _gate(attempt: Attempt, matched: MatchedOutputs) -> dict[str, str]:
    limits = GateLimits()
    checked = (path for path, level in matched.outputs.items() if level == MODERATELY_SENSITIVE)
    findings = ((path, check_file(attempt.workspace, path, limits, attempt.check)) for path in checked)
    return {path: found.reason for path, found in findings if found is not None}


def _identifying(attempt: Attempt, matched: MatchedOutputs) -> tuple[str, ...]:
    """A line for each column of a moderately sensitive output that may identify people."""
    paths = sorted(path for path, level in matched.outputs.items() if level == MODERATELY_SENSITIVE)
    try:
        limits = GateLimits(identifiers=attempt.around.settings.identifier_names)
    except LocalError as error:
        return (f"Columns that may identify people: not checked: {error}",) if paths else ()
    told = ((path, identifying_columns(attempt.workspace, path, limits)) for path in paths)
    return tuple(f"{path}: {sentence}" for path, sentences in told for sentence in sentences)


def _status(
    attempt: Attempt, inspection: Inspection, outcome: AttemptOutcome, matched: MatchedOutputs
) -> tuple[StatusCode, str]:
    """The server's status; its words too, but where the server must say less than a researcher may know here."""
    if attempt.timed_out:
        return StatusCode.TIMED_OUT, outcome.message or ""
    results = {
        "exit_code": inspection.exit_code,
        "status_message": outcome.message,
        "hint": outcome.hint,
        "has_unmatched_patterns": bool(matched.unmatched_patterns),
        "has_level4_excluded_files": bool(outcome.excluded),
        "error": None,
    }
    server = results_to_outcome(results, requires_db=attempt.action.is_database_action)
    if inspection.exit_code == 0:
        return server.code, outcome.message or server.message
    return server.code, server.message


def _conflicted(judgement: Judgement, conflict: Exception) -> Judgement:
    if not judgement.matched.outputs:
        raise OSError(str(conflict)) from conflict
    nothing = replace(judgement.matched, outputs={})
    message = f"The outputs cannot be written: {conflict}"
    return replace(
        judgement, code=StatusCode.JOB_ERROR, message=message, said=message, hint="", matched=nothing, excluded={}
    )


def _record(attempt: Attempt, inspection: Inspection, judgement: Judgement) -> Record:
    around, action = attempt.around, attempt.action
    return Record(
        id=attempt.id,
        request_id=around.request_id,
        action=action.action_id,
        backend=around.backend,
        state="succeeded" if judgement.code == StatusCode.SUCCEEDED else "failed",
        status_code=str(judgement.code),
        status_message=judgement.message,
        hint=judgement.hint or why_not_started(inspection.exit_code, attempt.workspace, attempt.args),
        exit_code=inspection.exit_code,
        created_at=attempt.created_at.isoformat(),
        started_at=attempt.started_at.isoformat(),
        completed_at=now().isoformat(),
        run=action.run_command,
        image=attempt.image,
        image_id=inspection.image_id or attempt.image_id,
        executor=around.executor.capabilities.name,
        commit=around.version.commit,
        dirty=around.version.dirty,
        code_hash=attempt.code_hash,
        inputs=attempt.input_hashes,
        outputs=dict(judgement.matched.outputs),
        excluded=dict(judgement.excluded),
        memory_peak=attempt.memory_peak,
    )


def _publish(attempt: Attempt, record: Record, judgement: Judgement) -> None:
    study = attempt.around.study
    stage = Publication(attempt.id, [study.folder], attempt.check)
    try:
        entries = [_stage_output(attempt, stage, record, path) for path in record.outputs]
        _write_log(attempt, stage.new_file(study.log(record.action)), record, judgement)
        with attempt.around.publishing:
            _ignore(study.folder, record.outputs)
            known = manifest.read(study.metadata / "manifest.json", study.name)
            after = manifest.updated(known, record.action, entries, attempt.around.all_actions)
            stage.add_bytes(manifest.dumps(after), study.metadata / "manifest.json")
            stage.add_bytes(to_bytes(record), record_path(study, record.action))
            stage.commit()
            faults.point("local.published")
            stage.finish()
    except BaseException:
        stage.settle()
        raise
    for path in record.outputs:
        attempt.detail(StatusCode.FINALIZING, f"Extracting output file: {path}")
    for path in exposed(study.folder, record.outputs):
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


def _stage_output(attempt: Attempt, stage: Publication, record: Record, path: str) -> manifest.OutputRecord:
    source = open_beneath(attempt.workspace, path)
    try:
        staged = stage.add_file(source, attempt.around.study.folder / path, link=True)
    finally:
        os.close(source)
    return _manifest_entry(attempt, record, path, staged)


def _manifest_entry(attempt: Attempt, record: Record, path: str, staged: StagedFile) -> manifest.OutputRecord:
    shape = shape_of_output(staged.path, path, record.outputs[path], attempt.check)
    return manifest.OutputRecord(
        path=path,
        level=record.outputs[path],
        job_id=record.id,
        job_request=record.request_id,
        action=record.action,
        user="",
        repo="",
        commit=record.commit,
        size=staged.size,
        timestamp=staged.mtime,
        content_hash=staged.sha256,
        excluded=path in record.excluded,
        message=record.excluded.get(path),
        row_count=shape.rows if shape else None,
        col_count=shape.cols if shape else None,
    )


def _write_log(attempt: Attempt, place: Path, record: Record, judgement: Judgement) -> None:
    with place.open("wb") as log:
        cut = attempt.around.executor.logs(attempt.name, log.write, MAX_LOG_BYTES)
        if cut:
            log.write(logs.cut_note(cut, MAX_LOG_BYTES).encode())
        log.write(_summary(attempt, record, judgement).encode())


def _summary(attempt: Attempt, record: Record, judgement: Judgement) -> str:
    fields = {
        "job_definition_id": record.id,
        "request_id": record.request_id,
        "commit": record.commit,
        "docker_image_id": record.image_id,
        "exit_code": "" if record.exit_code is None else str(record.exit_code),
        "created_at": record.created_at,
        "completed_at": record.completed_at,
        "status_message": judgement.said,
        "hint": record.hint,
    }
    sections = {
        "Files that can never be outputs": judgement.refused,
        UNCHANGED: judgement.matched.unchanged,
        "Files of the study not copied": attempt.skipped,
        "Notes": judgement.notes,
    }
    return logs.summary(fields, record.outputs, record.excluded, sections)
