"""The last step of an attempt: from what the process left to what everybody may rely on.

Large files are staged without any lock; what depends on the workspace as it is (level 4 copies, stubs, the manifest)
is decided under the workspace's lock, and all becomes visible in one commit. `metadata.json` is moved last: where it
is, all the rest is.
"""

import logging
import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from carrel.agent import databases, metadata
from carrel.agent.context import AgentContext
from carrel.agent.errors import DatabaseUnavailable
from carrel.agent.folder import AttemptFolder, Prepared
from carrel.agent.preparation import memory_limit_of
from carrel.executors.base import Inspection, Phase
from carrel.messages import manifest as manifest_format
from carrel.messages.tasks import JobDefinition
from carrel.outputs import level4, logs, manifest
from carrel.outputs.diagnosis import notes_on
from carrel.outputs.errors import UserError
from carrel.outputs.judgement import EndedJob, Judgement, disclosure_notes, judge
from carrel.outputs.level4 import Exclusion, GateLimits
from carrel.outputs.matching import TooMuchOutput
from carrel.outputs.outcome import Ending
from carrel.outputs.publication import Publication
from carrel.outputs.staged_outputs import OutputOrigin, StagedOutput, record_of, stage_output
from carrel.outputs.walk import Refusal, walk_job
from carrel.project import LEVEL4_FILE_TYPES
from carrel.project.patterns import is_reserved
from carrel.telemetry.faults import point
from carrel.telemetry.redaction import secrets_of_url
from carrel.units.beneath import open_beneath
from carrel.units.limits import MAX_FINALISE_SECONDS, MAX_WORKSPACE_OUTPUTS
from carrel.warehouse import versions

logger = logging.getLogger(__name__)
KEPT = "outputs"
"""Folder beside a failed job's log with what it had made."""
STUB = ".txt"
"""Added to the name of a file that may not be seen at level 4, for the message that says why."""
FEW_FILES, FEW_BYTES = 64, 64 * 1024 * 1024
"""Outputs up to this number and size are made durable under the workspace's lock, with all else."""


class Superseded(level4.Cancelled):
    """The attempt may not change its workspace (any more): nothing of it may become visible."""


class TookTooLong(UserError, level4.Cancelled):
    """What the job left cannot be read, checked and stored in the time there is for that."""


class OutputUnreadable(UserError):
    """An output cannot be read, or is not any more what it was when it was listed."""


class OutputPaths:
    """The paths of a workspace's outputs, and of the folders they lie in."""

    def __init__(self, files: Collection[str]) -> None:
        self.files = files
        self._folders = {str(folder) for path in files for folder in PurePosixPath(path).parents}

    def has(self, path: str) -> bool:
        """Whether a file of this path would stand in the place of an output, or of a folder of one."""
        return path in self.files or path in self._folders


@dataclass(frozen=True, slots=True, kw_only=True)
class Finaliser:
    """One attempt being finalised.

    `may_publish` is asked once all is staged that does not depend on other jobs, and waits for the controller's word
    for this attempt (docs/adr: the publication is fenced); only then is the workspace's lock taken. `is_current` is
    asked under it, just before the commit, and does not wait.
    """

    context: AgentContext
    job: JobDefinition
    task_id: str
    name: str
    """Name of the process, as the executor knows it."""
    folder: AttemptFolder
    is_current: Callable[[], bool] = lambda: True
    may_publish: Callable[[], bool] = lambda: True
    metrics: Mapping[str, Any] = field(default_factory=dict)
    is_unwanted: Callable[[], bool] = lambda: False
    """Looked at between blocks of long work: whether to stop at once, as it has been cancelled, say."""
    deadline: float = field(default_factory=lambda: time.monotonic() + MAX_FINALISE_SECONDS)
    """When it has taken too long, by the monotonic clock in seconds."""

    def check(self) -> None:
        """Raise Superseded where its end is wanted no more, TookTooLong where its time is over."""
        if self.is_unwanted():
            raise Superseded
        if time.monotonic() > self.deadline:
            hours = MAX_FINALISE_SECONDS / 3600
            raise TookTooLong(
                f"The job's outputs could not be stored within {hours:g} hours: they are too many or large"
            )

    @property
    def job_folder(self) -> Path:
        """Where the record and the log of the job are kept for good."""
        return self.context.storage.job_folder(self.job.id, self.job.created_at)

    def finish(self, inspection: Inspection, *, cancelled: bool = False, timeout: float | None = None) -> Publication:
        """Record a process that ended (or never began and was cancelled), and publish what may be published."""
        prepared = self.folder.read_prepared()
        job = self._ended_job(prepared)
        notes = notes_on(inspection, self.folder.workspace, self.job.args)
        ending = Ending(
            exit_code=inspection.exit_code,
            oom_killed=inspection.oom_killed,
            cancelled=cancelled,
            memory_limit=memory_limit_of(self.job.memory_limit),
            timeout_seconds=timeout,
        )
        is_looked_at = prepared is not None and not cancelled
        listing = walk_job(self.folder.workspace, is_reserved, self.check) if is_looked_at else None
        judgement = judge(job, ending, listing)
        if judgement.too_much and inspection.exit_code == 0:
            raise TooMuchOutput(judgement.too_much)
        notes = (*notes, *judgement.notes, *disclosure_notes(job, judgement.matched.outputs))
        facts = self._facts(replace(inspection, notes=notes), prepared, ending, judgement)
        point("finalise.matched")
        return self._record(facts, judgement.exclusions, to_workspace=not cancelled)

    def fail(
        self, inspection: Inspection, error: Mapping[str, Any], message: str, *, to_workspace: bool
    ) -> Publication:
        """Record an attempt that could not be made. `message` is for the secure side."""
        prepared = self.folder.read_prepared()
        facts = metadata.AttemptFacts(
            task_id=self.task_id,
            inspection=inspection,
            image_id=prepared.image_id if prepared else None,
            message=message,
            error=error,
            metrics=self.metrics,
        )
        return self._record(facts, {}, to_workspace=to_workspace)

    def _ended_job(self, prepared: Prepared | None) -> EndedJob:
        settings = self.context.settings
        limits = GateLimits(
            max_filesize=self.job.level4_max_filesize,
            max_csv_rows=self.job.level4_max_csv_rows,
            file_types=frozenset(self.job.level4_file_types or LEVEL4_FILE_TYPES),
            disclosure=settings.disclosure_policy,
            bars_all=settings.level4_bars_identifiers,
        )
        return EndedJob(
            workspace=self.folder.workspace,
            output_spec=self.job.output_spec,
            placed=prepared.placed if prepared else {},
            since_ns=prepared.at_ns if prepared else 0,
            limits=limits,
            check=self.check,
        )

    def _facts(
        self, inspection: Inspection, prepared: Prepared | None, ending: Ending, judgement: Judgement
    ) -> metadata.AttemptFacts:
        outcome = judgement.outcome
        return metadata.AttemptFacts(
            task_id=self.task_id,
            inspection=inspection,
            image_id=prepared.image_id if prepared else None,
            exit_code=inspection.exit_code,
            matched=judgement.matched,
            message=outcome.message,
            hint=outcome.hint,
            excluded=outcome.excluded,
            refused={refusal.path: refusal.reason for refusal in judgement.refused},
            cancelled=ending.cancelled,
            timed_out=ending.timeout_seconds is not None,
            published=outcome.publish,
            database_version=prepared.database_version if prepared else None,
            metrics=self.metrics,
            database_changes=self._database_changes(prepared),
        )

    def _database_changes(self, prepared: Prepared | None) -> dict[str, list[str | None]]:
        """How the data differs from that which this action's present outputs were made from."""
        if not prepared or not prepared.database_version:
            return {}
        present = manifest.read(self.context.storage.manifest(self.job.workspace), self.job.workspace)
        before = manifest.database_version(present, self.job.action)
        if before is None:
            return {}
        try:
            url = databases.url_of(self.job, self.context.settings)
        except DatabaseUnavailable:  # the agent was started again without it: what is known is enough
            return versions.changes(before, prepared.database_version)
        return databases.changes(url, before, prepared.database_version)

    def _record(
        self, facts: metadata.AttemptFacts, exclusions: Mapping[str, Exclusion], *, to_workspace: bool
    ) -> Publication:
        storage = self.context.storage
        publication = Publication(self.task_id, storage.roots, self.check, clear_empty=True)
        try:
            base = storage.workspace(self.job.workspace) if facts.published else self.job_folder / KEPT
            staged = self._stage_outputs(publication, facts.matched.outputs, base)
            point("finalise.staged")
            record = metadata.metadata_of(self.job, facts)
            self._stage_logs(publication, record, facts, to_workspace=to_workspace)
            if (to_workspace or facts.published) and not self.may_publish():
                raise Superseded
            point("finalise.allowed")
            with self.context.locks.of(self.job.workspace):
                if not self.is_current():
                    raise Superseded
                if facts.published:
                    self._stage_workspace(publication, staged, exclusions)
                publication.add_bytes(metadata.dumps(record), self.job_folder / metadata.FILE)
                publication.commit()
        except Exception:
            if publication.settle():  # the commit was made, whatever was raised after it
                return publication
            raise
        return publication

    def _stage_outputs(
        self, publication: Publication, outputs: Mapping[str, str], base: Path
    ) -> dict[str, StagedOutput]:
        staged = {}
        for path, level in outputs.items():
            self.check()
            try:
                source = open_beneath(self.folder.workspace, path)
            except (PermissionError, FileNotFoundError, NotADirectoryError, ValueError) as error:
                raise OutputUnreadable(f"{path} cannot be read: {error}") from error
            link = os.fstat(source).st_nlink == 1
            staged[path] = stage_output(publication, source, base / path, path, level, link=link)
        if len(staged) > FEW_FILES or sum(output.file.size for output in staged.values()) > FEW_BYTES:
            publication.sync()  # others need not wait for it
        return staged

    def _stage_logs(
        self, publication: Publication, record: Mapping[str, Any], facts: metadata.AttemptFacts, *, to_workspace: bool
    ) -> None:
        log = publication.new_file(self.job_folder / metadata.LOG)
        sections = logs.sections(
            refused=[Refusal(path, reason) for path, reason in sorted(facts.refused.items())],
            unchanged=facts.matched.unchanged,
            notes=facts.inspection.notes,
            data_changes=versions.change_lines(facts.database_changes),
        )
        summary = logs.summary(metadata.log_fields(record), facts.matched.outputs, facts.excluded, sections)
        has_process = facts.inspection.phase is not Phase.ABSENT
        copy_lines = partial(self.context.executor.logs, self.name) if has_process else None
        logs.write_log(log, copy_lines, self.context.settings.max_log_bytes, summary)
        if to_workspace:
            high, medium = self.context.storage.action_logs(self.job.workspace, self.job.action)
            publication.add_link(log, high)
            secrets = self.context.settings.secrets()
            secrets = secrets.union(*(secrets_of_url(value) for value in secrets if "://" in value))
            logs.write_level4_copy(log, publication.new_file(medium), secrets, self.check)

    def _stage_workspace(
        self, publication: Publication, staged: Mapping[str, StagedOutput], exclusions: Mapping[str, Exclusion]
    ) -> None:
        """Level 4 copies, stubs and the manifest: what depends on what other jobs made."""
        storage, job = self.context.storage, self.job
        present = manifest.read(storage.manifest(job.workspace), job.workspace)
        taken_paths = OutputPaths(present["outputs"].keys() | staged.keys())
        for path, output in staged.items():
            self._stage_level4(publication, output, exclusions.get(path), taken_paths)
        prepared = self.folder.read_prepared()
        origin = OutputOrigin(
            job_id=job.id,
            job_request=job.rap_id,
            action=job.action,
            user=job.user,
            repo=job.repo_url,
            commit=job.commit,
            database_version=prepared.database_version if prepared else None,
        )
        reasons = {path: exclusion.reason for path, exclusion in exclusions.items()}
        records = [record_of(output, origin, reasons.get(path)) for path, output in staged.items()]
        new = manifest.updated(present, job.action, records, prepared.study_actions if prepared else None)
        if len(new["outputs"]) > max(MAX_WORKSPACE_OUTPUTS, len(present["outputs"])):
            raise TooMuchOutput(f"The workspace would have more than {MAX_WORKSPACE_OUTPUTS} outputs: use another one")
        publication.add_bytes(manifest_format.dumps(new), storage.manifest(job.workspace))

    def _stage_level4(
        self, publication: Publication, output: StagedOutput, exclusion: Exclusion | None, taken_paths: OutputPaths
    ) -> None:
        folder = self.context.storage.level4(self.job.workspace)
        if output.level == level4.HIGHLY_SENSITIVE or exclusion:
            publication.remove(folder / output.path)
        else:
            # The message about an earlier `t.csv` gives way to a file that is to be stored as `t.csv.txt/n.csv`.
            for parent in PurePosixPath(output.path).parents:
                stub = folder / parent
                if parent.suffix == STUB and str(parent) not in taken_paths.files and stub.is_file():
                    stub.unlink()
            publication.add_copy(output.file.path, folder / output.path)
        stub_path = output.path + STUB
        if taken_paths.has(stub_path):
            return
        if exclusion:
            publication.add_bytes(exclusion.stub.encode(), folder / stub_path)
        else:
            publication.remove(folder / stub_path)
