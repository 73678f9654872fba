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
from pathlib import Path, PurePosixPath
from typing import Any

from carrel.agent import databases, metadata
from carrel.agent.context import AgentContext
from carrel.agent.errors import DatabaseUnavailable
from carrel.agent.folder import AttemptFolder, Prepared
from carrel.agent.preparation import memory_limit_of
from carrel.executors.base import Inspection, Phase
from carrel.messages.tasks import JobDefinition
from carrel.outputs import csv_shape, level4, logs, manifest
from carrel.outputs.diagnosis import notes_on
from carrel.outputs.errors import UserError
from carrel.outputs.matching import MatchedOutputs, TooMuchOutput, too_much, with_unfit
from carrel.outputs.outcome import AttemptOutcome, Ending, outcome_of
from carrel.outputs.publication import Publication
from carrel.outputs.staging import StagedFile
from carrel.outputs.unchanged_files import UNCHANGED, match_made
from carrel.outputs.walk import Listing, open_beneath, walk_job
from carrel.project import LEVEL4_FILE_TYPES
from carrel.project.patterns import is_reserved
from carrel.telemetry.faults import point
from carrel.telemetry.redaction import secrets_of_url
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


@dataclass(frozen=True, slots=True)
class StagedOutput:
    """An output that is staged; `shape` of CSV files that are counted."""

    level: str
    file: StagedFile
    shape: csv_shape.Shape | None = None


class Names:
    """The paths of a workspace's outputs, and of the folders they lie in."""

    def __init__(self, files: Collection[str]) -> None:
        self.files = files
        self._folders = {str(folder) for path in files for folder in PurePosixPath(path).parents}

    def has(self, path: str) -> bool:
        return path in self.files or path in self._folders


@dataclass
class Finaliser:
    """One attempt being finalised.

    `may_publish` is asked once all is staged that does not depend on other jobs, and waits for the controller's word
    for this attempt (docs/adr: the publication is fenced); only then is the workspace's lock taken. `still_wanted` is
    asked under it, just before the commit, and does not wait.
    """

    context: AgentContext
    job: JobDefinition
    task_id: str
    name: str
    """Of the process."""
    folder: AttemptFolder
    still_wanted: Callable[[], bool] = lambda: True
    may_publish: Callable[[], bool] = lambda: True
    metrics: Mapping[str, Any] = field(default_factory=dict)
    is_unwanted: Callable[[], bool] = lambda: False
    """Looked at between blocks of long work: whether to stop at once, as it has been cancelled, say."""
    deadline: float = field(default_factory=lambda: time.monotonic() + MAX_FINALISE_SECONDS)

    def check(self) -> None:
        """Raise Superseded when nobody wants the end of this any more, TookTooLong when its time is over."""
        if self.is_unwanted():
            raise Superseded
        if time.monotonic() > self.deadline:
            hours = MAX_FINALISE_SECONDS / 3600
            raise TookTooLong(
                f"The job's outputs could not be stored within {hours:g} hours: they are too many or large"
            )

    @property
    def job_folder(self) -> Path:
        return self.context.storage.job_folder(self.job.id, self.job.created_at)

    def finish(self, seen: Inspection, *, cancelled: bool = False, timeout: float | None = None) -> Publication:
        """Record a process that ended (or never began and was cancelled), and publish what may be published."""
        prepared = self.folder.prepared()
        seen = replace(seen, notes=notes_on(seen, self.folder.workspace, self.job.args))
        limit = memory_limit_of(self.job.memory_limit)
        ending = Ending(seen.exit_code, seen.oom_killed, cancelled, limit, timeout)
        listing, matched = Listing(()), metadata.NOTHING_MATCHED
        if prepared and not cancelled:
            listing = walk_job(self.folder.workspace, is_reserved, self.check)
            matched = self._match(listing, prepared)
            if reason := too_much(listing, matched.outputs):
                if seen.exit_code == 0:
                    raise TooMuchOutput(reason)
                # How it failed is what there is to know.
                seen = replace(seen, notes=(*seen.notes, f"Nothing of what it made is kept: {reason}"))
                matched = replace(matched, outputs={})
        excluded = self._check(matched.outputs)
        seen = replace(seen, notes=(*seen.notes, *self._identifying(matched.outputs)))
        outcome = outcome_of(ending, matched, {path: found.reason for path, found in excluded.items()})
        facts = self._facts(seen, prepared, ending, matched, outcome, listing)
        point("finalise.matched")
        return self._record(facts, listing, excluded, to_workspace=not cancelled)

    def fail(self, seen: Inspection, error: Mapping[str, Any], message: str, *, to_workspace: bool) -> Publication:
        """Record an attempt that could not be made. `message` is for the secure side."""
        prepared = self.folder.prepared()
        facts = metadata.AttemptFacts(
            self.task_id,
            seen,
            prepared.image_id if prepared else None,
            message=message,
            error=error,
            metrics=self.metrics,
        )
        return self._record(facts, Listing(()), {}, to_workspace=to_workspace)

    def _facts(
        self,
        seen: Inspection,
        prepared: Prepared | None,
        ending: Ending,
        matched: MatchedOutputs,
        outcome: AttemptOutcome,
        listing: Listing,
    ) -> metadata.AttemptFacts:
        return metadata.AttemptFacts(
            task_id=self.task_id,
            inspection=seen,
            image_id=prepared.image_id if prepared else None,
            exit_code=seen.exit_code,
            matched=matched,
            message=outcome.message,
            hint=outcome.hint,
            excluded=outcome.excluded,
            refused={refusal.path: refusal.reason for refusal in listing.refused},
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

    def _match(self, listing: Listing, prepared: Prepared) -> MatchedOutputs:
        made = match_made(
            self.job.output_spec, listing.files, prepared.placed, self.folder.workspace, prepared.at_ns, self.check
        )
        return with_unfit(made, listing)

    def _gate_limits(self) -> level4.GateLimits:
        settings = self.context.settings
        return level4.GateLimits(
            self.job.level4_max_filesize,
            self.job.level4_max_csv_rows,
            frozenset(self.job.level4_file_types or LEVEL4_FILE_TYPES),
            identifiers=settings.identifier_names,
            bars_all=settings.level4_bars_identifiers,
        )

    def _identifying(self, outputs: Mapping[str, str]) -> list[str]:
        """A line for each column of a moderately sensitive output that may identify people."""
        limits = self._gate_limits()
        return [
            f"{path}: {sentence}"
            for path, level in sorted(outputs.items())
            if level != level4.HIGHLY_SENSITIVE
            for sentence in level4.identifying_columns(self.folder.workspace, path, limits, self.check)
        ]

    def _check(self, outputs: Mapping[str, str]) -> dict[str, level4.Exclusion]:
        limits = self._gate_limits()
        found = {}
        for path, level in outputs.items():
            self.check()
            if level != level4.HIGHLY_SENSITIVE:
                found[path] = level4.check_file(self.folder.workspace, path, limits, self.check)
        return {path: exclusion for path, exclusion in found.items() if exclusion}

    def _record(
        self,
        facts: metadata.AttemptFacts,
        listing: Listing,
        excluded: Mapping[str, level4.Exclusion],
        *,
        to_workspace: bool,
    ) -> Publication:
        storage = self.context.storage
        stage = Publication(self.task_id, storage.roots, self.check, clear_empty=True)
        try:
            base = storage.workspace(self.job.workspace) if facts.published else self.job_folder / KEPT
            staged = self._stage_outputs(stage, facts, base)
            point("finalise.staged")
            record = metadata.metadata_of(self.job, facts)
            self._stage_logs(stage, record, facts, to_workspace=to_workspace)
            if (to_workspace or facts.published) and not self.may_publish():
                raise Superseded
            point("finalise.allowed")
            with self.context.locks.of(self.job.workspace):
                if not self.still_wanted():
                    raise Superseded
                if facts.published:
                    self._stage_workspace(stage, staged, excluded)
                stage.add_bytes(metadata.dumps(record), self.job_folder / metadata.FILE)
                stage.commit()
        except Exception:
            if stage.settle():  # the commit was made, whatever was raised after it
                return stage
            raise
        return stage

    def _stage_outputs(self, stage: Publication, facts: metadata.AttemptFacts, base: Path) -> dict[str, StagedOutput]:
        staged = {}
        for path, level in facts.matched.outputs.items():
            self.check()
            try:
                fd = open_beneath(self.folder.workspace, path)
            except (PermissionError, FileNotFoundError, NotADirectoryError, ValueError) as error:
                raise OutputUnreadable(f"{path} cannot be read: {error}") from error
            try:
                file = stage.add_file(fd, base / path, link=os.fstat(fd).st_nlink == 1)
            finally:
                os.close(fd)
            staged[path] = StagedOutput(level, file, csv_shape.shape_of_output(file.path, path, level, self.check))
        if len(staged) > FEW_FILES or sum(output.file.size for output in staged.values()) > FEW_BYTES:
            stage.sync()  # others need not wait for it
        return staged

    def _stage_logs(
        self, stage: Publication, record: Mapping[str, Any], facts: metadata.AttemptFacts, *, to_workspace: bool
    ) -> None:
        log = stage.new_file(self.job_folder / metadata.LOG)
        limit = self.context.settings.max_log_bytes
        with log.open("wb") as stream:
            if facts.inspection.phase is not Phase.ABSENT:
                left_out = self.context.executor.logs(self.name, stream.write, limit)
                if left_out:
                    stream.write(logs.cut_note(left_out, limit).encode())
            stream.write(self._summary(record, facts).encode())
        if to_workspace:
            high, medium = self.context.storage.action_logs(self.job.workspace, self.job.action)
            stage.add_link(log, high)
            logs.write_level4_copy(log, stage.new_file(medium), self._secrets(), self.check)

    def _summary(self, record: Mapping[str, Any], facts: metadata.AttemptFacts) -> str:
        refused = [f"{path}  - {reason}" for path, reason in sorted(facts.refused.items())]
        moved = versions.change_lines(facts.database_changes)
        sections = {"Files that can never be outputs": refused, UNCHANGED: facts.matched.unchanged}
        sections["Notes"] = facts.inspection.notes
        sections["Data changed since this action last ran"] = moved
        return logs.summary(metadata.log_fields(record), facts.matched.outputs, facts.excluded, sections)

    def _secrets(self) -> set[str]:
        known = self.context.settings.secrets()
        return known.union(*(secrets_of_url(value) for value in known if "://" in value))

    def _stage_workspace(
        self, stage: Publication, staged: Mapping[str, StagedOutput], excluded: Mapping[str, level4.Exclusion]
    ) -> None:
        """Level 4 copies, stubs and the manifest: what depends on what other jobs made."""
        storage, job = self.context.storage, self.job
        present = manifest.read(storage.manifest(job.workspace), job.workspace)
        names = Names(present["outputs"].keys() | staged.keys())
        for path, output in staged.items():
            self._stage_level4(stage, path, output, excluded.get(path), names)
        prepared = self.folder.prepared()
        version = prepared.database_version if prepared else None
        records = [self._output_record(path, output, excluded.get(path), version) for path, output in staged.items()]
        new = manifest.updated(present, job.action, records, prepared.study_actions if prepared else None)
        if len(new["outputs"]) > max(MAX_WORKSPACE_OUTPUTS, len(present["outputs"])):
            raise TooMuchOutput(f"The workspace would have more than {MAX_WORKSPACE_OUTPUTS} outputs: use another one")
        stage.add_bytes(manifest.dumps(new), storage.manifest(job.workspace))

    def _stage_level4(
        self, stage: Publication, path: str, output: StagedOutput, exclusion: level4.Exclusion | None, names: Names
    ) -> None:
        folder = self.context.storage.level4(self.job.workspace)
        if output.level == level4.HIGHLY_SENSITIVE or exclusion:
            stage.remove(folder / path)
        else:
            self._clear_stubs(path, names)
            stage.add_copy(output.file.path, folder / path)
        stub = path + STUB
        if names.has(stub):
            return
        if exclusion:
            stage.add_bytes(exclusion.stub.encode(), folder / stub)
        else:
            stage.remove(folder / stub)

    def _clear_stubs(self, path: str, names: Names) -> None:
        """The message about an earlier `t.csv` gives way to a file that is to be stored as `t.csv.txt/n.csv`."""
        for folder in PurePosixPath(path).parents:
            stub = self.context.storage.level4(self.job.workspace) / folder
            if folder.suffix == STUB and str(folder) not in names.files and stub.is_file():
                stub.unlink()

    def _output_record(
        self, path: str, output: StagedOutput, exclusion: level4.Exclusion | None, database_version: str | None
    ) -> manifest.OutputRecord:
        job = self.job
        return manifest.OutputRecord(
            path=path,
            level=output.level,
            job_id=job.id,
            job_request=job.rap_id,
            action=job.action,
            user=job.user,
            repo=job.repo_url,
            commit=job.commit,
            size=output.file.size,
            timestamp=output.file.mtime,
            content_hash=output.file.sha256,
            excluded=exclusion is not None,
            message=exclusion.reason if exclusion else None,
            row_count=output.shape.rows if output.shape else None,
            col_count=output.shape.cols if output.shape else None,
            database_version=database_version,
        )
