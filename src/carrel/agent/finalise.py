"""The last step of an attempt: from what the process left to what everybody may rely on.

Large files are staged without any lock; what depends on the workspace as it is (level 4 copies, stubs, the manifest)
is decided under the workspace's lock, and all becomes visible in one commit. `metadata.json` is moved last: where it
is, all the rest is.
"""

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from carrel.agent import csvshape, databases, gate, logs, manifest, metadata, warehouses
from carrel.agent.errors import DatabaseUnavailable
from carrel.agent.executors.base import Inspection, Phase
from carrel.agent.explain import notes_on
from carrel.agent.folder import AttemptFolder, Prepared
from carrel.agent.matching import Matched, match_outputs
from carrel.agent.outcome import Ending, Outcome, outcome_of
from carrel.agent.prepare import memory_limit_of
from carrel.agent.publish import Stage, Staged
from carrel.agent.surroundings import Surroundings
from carrel.agent.walk import FileEntry, Listing, open_beneath, walk
from carrel.messages.tasks import JobDefinition
from carrel.project.patterns import is_reserved
from carrel.telemetry.faults import point

logger = logging.getLogger(__name__)
KEPT = "outputs"
"""Folder beside a failed job's log with what it had made."""


class Superseded(Exception):
    """The attempt may not change its workspace (any more): nothing of it may become visible."""


@dataclass
class Finalising:
    """One attempt being finalised.

    `may_publish` is asked once all is staged that does not depend on other jobs, and waits for the controller's word
    for this attempt (docs/adr: the publication is fenced); only then is the workspace's lock taken. `still_wanted` is
    asked under it, just before the commit, and does not wait.
    """

    place: Surroundings
    job: JobDefinition
    task_id: str
    name: str
    """Of the process."""
    folder: AttemptFolder
    still_wanted: Callable[[], bool] = lambda: True
    may_publish: Callable[[], bool] = lambda: True
    metrics: Mapping[str, Any] = field(default_factory=dict)

    @property
    def job_folder(self) -> Path:
        return self.place.storage.job_folder(self.job.id, self.job.created_at)

    def finish(self, seen: Inspection, *, cancelled: bool = False, timeout: float | None = None) -> Stage:
        """Record a process that ended (or never began and was cancelled), and publish what may be published."""
        prepared = self.folder.prepared()
        seen = replace(seen, notes=notes_on(seen, self.folder.workspace, self.job.args))
        limit = memory_limit_of(self.job.memory_limit)
        ending = Ending(seen.exit_code, seen.oom_killed, cancelled, limit, timeout)
        listing = _listing(self.folder, prepared) if prepared and not cancelled else Listing(())
        matched = self._match(listing, prepared) if not cancelled else metadata.NOTHING_MATCHED
        excluded = {} if cancelled else self._check(matched.outputs, prepared)
        if not cancelled:
            seen = replace(seen, notes=(*seen.notes, *self._identifying(matched.outputs, prepared)))
        outcome = outcome_of(ending, matched, {path: found.reason for path, found in excluded.items()})
        facts = self._facts(seen, prepared, ending, matched, outcome, listing)
        point("finalise.matched")
        return self._record(facts, listing, excluded, to_workspace=not cancelled)

    def fail(self, seen: Inspection, error: Mapping[str, Any], message: str, *, to_workspace: bool) -> Stage:
        """Record an attempt that could not be made. `message` is for the secure side."""
        prepared = self.folder.prepared()
        facts = metadata.Facts(
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
        matched: Matched,
        outcome: Outcome,
        listing: Listing,
    ) -> metadata.Facts:
        return metadata.Facts(
            self.task_id,
            seen,
            prepared.image_id if prepared else None,
            seen.exit_code,
            matched,
            outcome.message,
            outcome.hint,
            outcome.excluded,
            {refusal.path: refusal.reason for refusal in listing.refused},
            ending.cancelled,
            ending.timeout_seconds is not None,
            outcome.publish,
            None,
            prepared.database_version if prepared else None,
            self.metrics,
            database_changes=self._database_changes(prepared),
        )

    def _database_changes(self, prepared: Prepared | None) -> dict[str, list[str | None]]:
        """How the data differs from that which this action's present outputs were made from."""
        if not prepared or not prepared.database_version:
            return {}
        present = manifest.read(self.place.storage.manifest(self.job.workspace), self.job.workspace)
        before = manifest.database_version(present, self.job.action)
        if before is None:
            return {}
        try:
            url = databases.url_of(self.job, self.place.settings)
        except DatabaseUnavailable:  # the agent was started again without it: what is known is enough
            return warehouses.changes(before, prepared.database_version)
        return databases.changes(url, before, prepared.database_version)

    def _match(self, listing: Listing, prepared: Prepared | None) -> Matched:
        return match_outputs(self.job.output_spec, listing.files, prepared.at_ns if prepared else 0)

    def _gate_limits(self) -> gate.GateLimits:
        settings = self.place.settings
        return gate.GateLimits(
            self.job.level4_max_filesize,
            self.job.level4_max_csv_rows,
            frozenset(self.job.level4_file_types) or gate.LEVEL4_FILE_TYPES,
            identifiers=settings.identifier_names,
            bars_all=settings.level4_bars_identifiers,
        )

    def _identifying(self, outputs: Mapping[str, str], prepared: Prepared | None) -> list[str]:
        """A line for each column of a moderately sensitive output that may identify people."""
        limits = self._gate_limits()
        return [
            f"{path}: {sentence}"
            for path, level in sorted(outputs.items())
            if level != gate.HIGHLY_SENSITIVE
            for sentence in gate.identifying_columns(*_location(self.folder, prepared, path), limits)
        ]

    def _check(self, outputs: Mapping[str, str], prepared: Prepared | None) -> dict[str, gate.Exclusion]:
        limits = self._gate_limits()
        found = {
            path: gate.check_file(*_location(self.folder, prepared, path), limits)
            for path, level in outputs.items()
            if level != gate.HIGHLY_SENSITIVE
        }
        return {path: exclusion for path, exclusion in found.items() if exclusion}

    def _record(
        self, facts: metadata.Facts, listing: Listing, excluded: Mapping[str, gate.Exclusion], *, to_workspace: bool
    ) -> Stage:
        storage = self.place.storage
        stage = Stage(self.task_id, storage.roots)
        try:
            base = storage.workspace(self.job.workspace) if facts.published else self.job_folder / KEPT
            staged = self._stage_outputs(stage, facts, base)
            point("finalise.staged")
            record = metadata.metadata_of(self.job, facts)
            self._stage_logs(stage, record, facts, to_workspace=to_workspace)
            if (to_workspace or facts.published) and not self.may_publish():
                raise Superseded
            point("finalise.allowed")
            with self.place.locks.of(self.job.workspace):
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

    def _stage_outputs(self, stage: Stage, facts: metadata.Facts, base: Path) -> dict[str, tuple[str, Staged]]:
        prepared = self.folder.prepared()
        staged = {}
        for path, level in facts.matched.outputs.items():
            fd = open_beneath(*_location(self.folder, prepared, path))
            try:
                staged[path] = (level, stage.add_file(fd, base / path, link=os.fstat(fd).st_nlink == 1))
            finally:
                os.close(fd)
        return staged

    def _stage_logs(
        self, stage: Stage, record: Mapping[str, Any], facts: metadata.Facts, *, to_workspace: bool
    ) -> None:
        log = stage.new_file(self.job_folder / metadata.LOG)
        limit = self.place.settings.max_log_bytes
        with log.open("wb") as stream:
            if facts.inspection.phase is not Phase.ABSENT:
                left_out = self.place.executor.logs(self.name, stream.write, limit)
                if left_out:
                    stream.write(logs.cut_note(left_out, limit).encode())
            stream.write(self._summary(record, facts).encode())
        if to_workspace:
            high, medium = self.place.storage.action_logs(self.job.workspace, self.job.action)
            stage.add_link(log, high)
            stage.add_bytes(logs.level4_copy_of(log, self._secrets()), medium)

    def _summary(self, record: Mapping[str, Any], facts: metadata.Facts) -> str:
        refused = [f"{path}  - {reason}" for path, reason in sorted(facts.refused.items())]
        moved = warehouses.told(facts.database_changes)
        sections = {"Files that can never be outputs": refused, "Notes": facts.inspection.notes}
        sections["Data changed since this action last ran"] = moved
        return logs.summary(metadata.log_fields(record), facts.matched.outputs, facts.excluded, sections)

    def _secrets(self) -> set[str]:
        known = self.place.settings.secrets()
        return known.union(*(logs.secrets_of_url(value) for value in known if "://" in value))

    def _stage_workspace(
        self, stage: Stage, staged: Mapping[str, tuple[str, Staged]], excluded: Mapping[str, gate.Exclusion]
    ) -> None:
        """Level 4 copies, stubs and the manifest: what depends on what other jobs made."""
        storage, job = self.place.storage, self.job
        present = manifest.read(storage.manifest(job.workspace), job.workspace)
        others = {path for path, entry in present["outputs"].items() if entry.get("level") != gate.HIGHLY_SENSITIVE}
        outputs = others - set(staged) | {path for path, (level, _) in staged.items() if level != gate.HIGHLY_SENSITIVE}
        for path, (level, found) in staged.items():
            self._stage_level4(stage, path, level, found, excluded.get(path), outputs)
        prepared = self.folder.prepared()
        version = prepared.database_version if prepared else None
        made = [self._output_record(path, level, found, excluded) for path, (level, found) in staged.items()]
        records = [replace(record, database_version=version) for record in made]
        new = manifest.updated(present, job.action, records, prepared.study_actions if prepared else None)
        stage.add_bytes(manifest.dumps(new), storage.manifest(job.workspace))

    def _stage_level4(
        self, stage: Stage, path: str, level: str, found: Staged, exclusion: gate.Exclusion | None, outputs: set[str]
    ) -> None:
        target = self.place.storage.level4(self.job.workspace) / path
        stub = target.with_name(target.name + ".txt")
        may_stub = f"{path}.txt" not in outputs
        if level == gate.HIGHLY_SENSITIVE or exclusion:
            stage.remove(target)
        else:
            stage.add_copy(found.path, target)
        if exclusion and may_stub:
            stage.add_bytes(exclusion.stub.encode(), stub)
        elif may_stub:
            stage.remove(stub)

    def _output_record(
        self, path: str, level: str, found: Staged, excluded: Mapping[str, gate.Exclusion]
    ) -> manifest.OutputRecord:
        shape = None
        if gate.suffix_of(path) == ".csv":
            with found.path.open("rb") as stream:
                shape = csvshape.csv_shape(stream)
        job, exclusion = self.job, excluded.get(path)
        return manifest.OutputRecord(
            path,
            level,
            job.id,
            job.rap_id,
            job.action,
            job.user,
            job.repo_url,
            job.commit,
            found.size,
            found.mtime,
            found.sha256,
            exclusion is not None,
            exclusion.reason if exclusion else None,
            shape.rows if shape else None,
            shape.cols if shape else None,
        )


def _location(folder: AttemptFolder, prepared: Prepared | None, path: str) -> tuple[Path, str]:
    """Where a file of the workspace really is: a root and a path below it. Large inputs are only shown there."""
    source = ((prepared and prepared.bound) or {}).get(path)
    return (Path(source).parent, Path(source).name) if source else (folder.workspace, path)


def _listing(folder: AttemptFolder, prepared: Prepared) -> Listing:
    """What may be an output, with large inputs as they are and nothing of ours or git's."""
    found = walk(folder.workspace, is_reserved)
    bound = prepared.bound or {}
    return Listing(tuple(_as_bound(entry, bound) for entry in found.files), found.refused)


def _as_bound(entry: FileEntry, bound: Mapping[str, str]) -> FileEntry:
    source = bound.get(entry.path)
    return FileEntry(entry.path, Path(source).stat().st_size, entry.mtime_ns) if source else entry
