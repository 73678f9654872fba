"""A run: the archives that are to be taken, spread over workers; what came of them decided, written and committed."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from carrel.ingest.mapping.partitioning import PartitionsChanged, partition_conflicts
from carrel.ingest.run.building import Builder, BuiltRun
from carrel.ingest.run.dispatcher import Dispatcher, distinct, split_into_batches
from carrel.ingest.run.merging import RunOutcome, merge_batches
from carrel.ingest.run.pools import Pool
from carrel.ingest.run.rejections import apply_rejections, find_rejections
from carrel.ingest.run.report import Report, count_sorted
from carrel.ingest.run.source_problems import problem_ref, problems_result
from carrel.ingest.run.unmapped import count_unmapped
from carrel.ingest.run.values import BatchResult, Context, IngestOptions
from carrel.ingest.schemas import Schemas
from carrel.ingest.sources import Source, SourceProblem
from carrel.ingest.store import (
    RunNumber,
    WarehouseStorage,
    apply,
    begin,
    catalog,
    decide,
    ensure_ours,
    finish,
    is_held,
    run_key,
)
from carrel.ingest.store.ledger import CURRENT, Ledger, archive_key, skipped_files, to_arrow
from carrel.ingest.store.raw_files import is_kept, keep
from carrel.ingest.tables import TableChange
from carrel.ingest.values import ArchiveRef
from carrel.telemetry import faults

Progress = Callable[[int, int], None]
"""(archives done, archives to do)"""


def no_progress(done: int, todo: int) -> None:
    """Tell nobody how far a run is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a run needs to be told."""

    warehouse: str
    source: Source
    schemas: Schemas
    pool: Pool
    options: IngestOptions = field(default_factory=IngestOptions)
    replay: Callable[[ArchiveRef], bool] | None = None
    """Take again, from the source, archives that the ledger knows and that this says yes to; and nothing else."""


class Coordinator:
    """Takes what a source has that the ledger does not know; under the lock that `operations.ingestion` holds."""

    def __init__(self, setting: Setting, storage: WarehouseStorage, progress: Progress):
        self.setting = setting
        self.storage = storage
        self.progress = progress
        self.began = time.monotonic()

    def run(self) -> Report:
        """Run once; only what is written down in the plan of the run happened."""
        replay = self.setting.replay
        ledger = Ledger(self.storage)
        listed = distinct(self.setting.source.list())
        problems = () if replay else self.setting.source.problems()
        in_ledger = ledger.known([*listed, *(problem_ref(problem) for problem in problems)])
        faults.point("ingest.listed")
        if replay:
            todo = [ref for ref in listed if archive_key(ref) in in_ledger and replay(ref)]
        else:
            todo = [ref for ref in listed if archive_key(ref) not in in_ledger]
        new_problems = [problem for problem in problems if archive_key(problem_ref(problem)) not in in_ledger]
        taken_before = [ref for ref in listed if archive_key(ref) in in_ledger]
        report = Report(run_id=None, listed=len(listed), known=len(taken_before), is_replay=replay is not None)
        # A dataset whose `naming` in the mapping is another than its last run's gets other views, without an archive.
        options = self.setting.schemas.mapping.options
        entries = catalog.load_all(self.storage).items()
        if todo or new_problems or any(entry.naming != options(dataset).naming for dataset, entry in entries):
            report = self._take(todo, new_problems, ledger, report)
        done = taken_before + todo
        if report.failures:
            # All but what could not be fetched; after the ledger has them, so that none is lost between.
            committed = Ledger(self.storage).known(done)
            done = [ref for ref in done if archive_key(ref) in committed]
        self.setting.source.acknowledge(done)
        faults.point("ingest.acknowledged")
        return report

    def _take(self, todo: list[ArchiveRef], problems: list[SourceProblem], ledger: Ledger, report: Report) -> Report:
        setting = self.setting
        entries = catalog.load_all(self.storage)
        partitioned = {dataset: entry.partition_by for dataset, entry in entries.items()}
        for conflict in partition_conflicts(setting.schemas.mapping, partitioned):
            raise PartitionsChanged(conflict)
        number = begin(self.storage)
        if setting.options.raw_json:
            keep(self.storage)
        options = replace(setting.options, raw_json=is_kept(self.storage))
        context = Context(
            warehouse=setting.warehouse,
            run_id=number.run_id,
            source=setting.source,
            schemas=setting.schemas,
            options=options,
            catalog={dataset: entry.schema for dataset, entry in entries.items()},
            ledger_version=ledger.version,
            tombstones=ledger.tombstones(),
            is_replay=setting.replay is not None,
        )
        results = [*self._run_batches(todo, context), problems_result(problems, number.run_id)]
        ensure_ours(self.storage, number)
        faults.point("ingest.batches_done")
        rejections = find_rejections(self.storage, setting.schemas, entries, results)
        outcome = merge_batches(apply_rejections(results, rejections, options.reject_records))
        replayed = frozenset(line.archive_key for line in outcome.lines) if setting.replay else frozenset()
        builder = Builder(self.storage, number, setting.schemas, entries, replayed=replayed, rejected=rejections.files)
        built = builder.build(outcome)
        report = self._fill(report, number, results, outcome, built)
        self.storage.write(run_key(number.run_id, "report.json"), report.to_stored_json())
        decide(self.storage, built.plan)
        apply(self.storage, built.plan)
        report = replace(report, seconds=time.monotonic() - self.began)
        self.storage.write(run_key(number.run_id, "report.json"), report.to_stored_json())
        finish(self.storage, built.plan)
        return report

    def _run_batches(self, todo: list[ArchiveRef], context: Context) -> list[BatchResult]:
        dispatcher = Dispatcher(self.setting.pool, context)
        results: list[BatchResult] = []
        count = 0
        batches = split_into_batches(todo, self.setting.options, self.setting.pool.width)
        for result in dispatcher.results(batches):
            results.append(result)
            count += len(result.lines) + len(result.failures)
            self.progress(count, len(todo))
            if not is_held(self.storage):
                break
        return results

    def _fill(
        self, report: Report, number: RunNumber, results: list[BatchResult], outcome: RunOutcome, built: BuiltRun
    ) -> Report:
        first_faults = (line.entry.faults[0] for line in built.quarantine)
        current = [line.entry for line in built.lines if line.entry.disposition in CURRENT]
        return replace(
            report,
            run_id=number.run_id,
            dispositions=count_sorted(line.entry.disposition.value for line in built.lines),
            quarantined=count_sorted(f"{fault.stage}/{fault.keyword}" for fault in first_faults),
            rows=built.rows,
            raw_json=built.raw_json,
            changes=[describe_change(change) for change in built.changes],
            failures=[failure.reason for failure in outcome.failures],
            not_fetched=[archive_key(failure.ref) for failure in outcome.failures],
            repeated_keys=sum(len(entry.repeated_keys) for entry in current),
            unmapped_files=count_unmapped(skipped_files(to_arrow(built.lines)), self.setting.schemas.mapping),
            replaced=len(outcome.previous),
            bytes_read=sum(result.bytes_read for result in results),
            json_bytes=sum(result.json_bytes for result in results),
            seconds=time.monotonic() - self.began,
        )


def describe_change(change: TableChange) -> str:
    """One change of a schema, for people."""
    where = change.table + ("/" + "/".join(change.path) if change.path else "")
    where += f" ({change.role})" if change.role else ""
    kinds = f"{change.before} to {change.after}" if change.before else change.after
    text = f"{where} {change.what.value.replace('_', ' ')}"
    return f"{text}: {kinds}" if kinds else text
